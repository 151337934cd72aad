# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Mutants
-------

Do the fast tests notice a mistake? A comparison is turned, ``and`` becomes ``or``, a
number grows by one, or a branch is never taken: one mistake at a time, chosen by a
seed, in a copy of the tree. What no test notices is printed. The tests have to pass in
the copy without a mistake: otherwise each would seem to be noticed::

    python -m tests.support.mutants --seed 1 --count 100
"""

import argparse
import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple, Optional

import pytest

from tests.support.scripts import REPOSITORY

__all__ = ("Mutant", "mutants_of")

_PACKAGE = Path("helpers") / "drgn_veth"
_LONGEST = 600  # seconds of tests; a mutant that hangs is noticed
_TOOK_TOO_LONG = "time"

_TURNED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}


class Mutant(NamedTuple):
    """A mistake."""

    path: Path  # within the tree
    line: int
    start: int  # in the bytes of the file
    end: int
    new: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


def _changed(node: ast.AST) -> Optional[tuple[ast.expr, ast.expr]]:
    # What is replaced, and by what.
    if isinstance(node, ast.Compare):
        turned = _TURNED[type(node.ops[0])]()
        return node, ast.Compare(node.left, [turned, *node.ops[1:]], node.comparators)
    if isinstance(node, ast.BoolOp):
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        return node, ast.BoolOp(other, node.values)
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return node, ast.Constant(node.value + 1)
    if isinstance(node, ast.If):
        return node.test, ast.Constant(False)
    return None


def mutants_of(tree: Path, path: Path) -> Iterator[Mutant]:
    """
    Yield all mistakes that one file may have.

    :param path: Of the file, within the tree
    """
    text = (tree / path).read_bytes()
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for node in ast.walk(ast.parse(text)):
        changed = _changed(node)
        if changed is None:
            continue
        old, new = changed
        assert old.end_lineno is not None and old.end_col_offset is not None
        start = starts[old.lineno - 1] + old.col_offset
        end = starts[old.end_lineno - 1] + old.end_col_offset
        # It stays on as many lines. In brackets, it binds as before.
        filler = "\n" * (old.end_lineno - old.lineno)
        yield Mutant(path, old.lineno, start, end, f"({ast.unparse(new)}{filler})")


def _chosen(tree: Path, seed: int, count: int) -> list[Mutant]:
    found = [
        mutant
        for file in sorted((tree / _PACKAGE).rglob("*.py"))
        for mutant in mutants_of(tree, file.relative_to(tree))
    ]
    return random.Random(seed).sample(found, count)


def _noticed_by(tree: Path, tests: Path, processes: int) -> Optional[str]:
    # The first test that fails, None if all pass.
    argv = [sys.executable, "-m", "pytest", "-q", "-x", f"-n{processes}"]
    # As make test does.
    argv += ["-m", "not slow and not vm", "--ignore=tests/vm", "-p", "no:cacheprovider"]
    argv += ["--ignore-glob=*_fuzz.py", "--ignore-glob=*_dask.py", str(tests)]
    try:
        done = subprocess.run(
            argv, cwd=tree, capture_output=True, text=True, timeout=_LONGEST
        )
    except subprocess.TimeoutExpired:
        return _TOOK_TOO_LONG
    if done.returncode in (0, pytest.ExitCode.NO_TESTS_COLLECTED):
        return None
    found = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    return found.group(1) if found else f"exit status {done.returncode}"


def _main() -> int:
    parser = argparse.ArgumentParser(description="Do the fast tests notice a mistake?")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--first", type=int, default=0, help="begin with this one")
    parser.add_argument("--processes", type=int, default=2)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        files = ["git", "ls-files", "-z"]
        listed = subprocess.run(files, cwd=REPOSITORY, capture_output=True, check=True)
        for name in listed.stdout.decode().split("\0")[:-1]:
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, tree / name, follow_symlinks=False)
        by = _noticed_by(tree, Path("tests"), args.processes)
        if by is not None:
            print(f"without a mistake, the tests fail: {by}", file=sys.stderr)
            return 1
        noticed: Counter[bool] = Counter()  # by whether a test failed
        chosen = _chosen(tree, args.seed, args.count)[args.first :]
        for i, mutant in enumerate(chosen, args.first):
            path = tree / mutant.path
            text = path.read_bytes()
            old = text[mutant.start : mutant.end].decode()
            new = mutant.new.encode()
            path.write_bytes(text[: mutant.start] + new + text[mutant.end :])
            begin = time.monotonic()
            by = None
            # Tests of the same room notice most, and are fast: run them first.
            room = Path("tests", *mutant.path.relative_to(_PACKAGE).parts[:1])
            for tests in (room, Path("tests")):
                if by is None and (tree / tests).is_dir():
                    by = _noticed_by(tree, tests, args.processes)
            path.write_bytes(text)
            if by is not None:
                noticed[by != _TOOK_TOO_LONG] += 1
            took = time.monotonic() - begin
            print(f"{i} {mutant}: {old!r} -> {mutant.new!r}", flush=True)
            print(f"    {by or 'NOT NOTICED'} ({took:.0f} s)", flush=True)
    print(
        f"seed {args.seed}: of {len(chosen)}, {noticed[True]} made a test fail, and "
        f"{noticed[False]} made the tests take more than {_LONGEST} s"
    )
    return 0


if __name__ == "__main__":
    sys.exit(_main())
