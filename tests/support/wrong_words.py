# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Reports of memory that is wrong
-------------------------------

Each u64 that a report reads is wrong in turn, each page is missing in turn. A few at a
time: what is wrong of a group is looked for by halves. A word may also lead to where
nothing ends: each object there leads to the next, and this one points back. From the
command line, for as long as wanted::

    python -m tests.support.wrong_words --seconds 600 --seed 7 7.3-zoo
"""

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
import json
import random
import resource
import struct
import sys
import time
import traceback
from typing import NamedTuple, Optional

from drgn import FaultError, Object, Program, offsetof
from drgn_veth.analysis.attach.predictor import MODES, Predictor
from drgn_veth.analysis.diagnose import diagnose
from drgn_veth.btf import use_btf
from drgn_veth.btf.carried import carried_by
from drgn_veth.core import budget
from drgn_veth.model import Device, DeviceRef, Snapshot
from drgn_veth.readers.netns import for_each_net_bounded, for_each_netdev_bounded
from drgn_veth.render import json as render_json
from drgn_veth.render.one_device import devices_in_full
from drgn_veth.render.report import report
from drgn_veth.snapshot import UnreadTargetError, take_snapshot

from tests.support.damage import bugs_in
from tests.support.recorded import EVERY_CORE, recorded_core
from tests.support.schemas import validate

__all__ = ("Problem", "WrongWords", "to_endless")

_WORD = 8
_PAGE = 4096
_ALL_ONES = (1 << 64) - 1
#: Words that are wrong in one report.
_AT_A_TIME = 20

# The last frames of a traceback that are shown.
_FRAMES = 6

# In endless memory, a report spends its whole budget.
_READS_PER_STEP = 10
#: Seconds of CPU that a report may take beside twice those of a sound one.
_ROOM = 2.0

# Where nothing ends: a part for each word that leads there. The low bits of the number
# of a part say what is in all words of it.
_ENDLESS = 0xFFFF_C100_0000_0000
_PART = 1 << 31
_PARTS = 1 << 12
_STRIDE = 1 << 10

#: What is shown in place of a word; None for one that is not in the dump.
Wrong = Mapping[int, Optional[bytes]]


class Problem(NamedTuple):
    """What a report must not do, whatever it reads."""

    what: str
    where: str  #: end of the traceback
    words: Wrong  #: the least that brings it about

    def __str__(self) -> str:
        words = ", ".join(
            f"{at:#x}: {'missing' if word is None else word[::-1].hex()}"
            for at, word in self.words.items()
        )
        return f"{self.what}\n  with {words}\n{self.where}"


def _end(frames: traceback.StackSummary) -> str:
    ours = [frame for frame in frames if "drgn_veth" in frame.filename]
    return "".join(traceback.format_list(ours[-_FRAMES:]))


def _few(snapshot: Snapshot) -> set[int]:
    # A device of each sort: a report of a hundred alike takes ten times as long.
    kept: set[int] = set()
    sorts = set()
    for device in snapshot.devices:
        sort = (device.kind, *(repr(one)[:40] for one in (device.rps, device.xps)))
        if sort in sorts and not _is_special(device):
            continue
        sorts.add(sort)
        kept.add(device.net_device)
        for other in (device.peer, device.master):
            if isinstance(other, DeviceRef):
                kept.add(other.net_device)
    return kept


def _is_special(device: Device) -> bool:
    return device.kind not in ("veth", "lo", "dummy")


def _ring(heads: Iterable[int], word: int = _WORD) -> dict[int, bytes]:
    # A struct list_head list of the head and these nodes, and of nothing else.
    nodes = list(heads)
    found = {}
    for here, after in zip(nodes, nodes[1:] + nodes[:1]):
        found[here] = after.to_bytes(word, "little")
        found[after + word] = here.to_bytes(word, "little")
    return found


def _address(head: Object) -> int:
    address: int = head.address_of_().value_()
    return address


def _list_of_few(prog: Program, kept: set[int]) -> dict[int, bytes]:
    found = {}
    node = offsetof(prog.type("struct net_device"), "dev_list")
    nets = [_address(prog["net_namespace_list"])]
    for net in for_each_net_bounded(prog):
        devices = [dev.value_() for dev in for_each_netdev_bounded(net)]
        devices = [dev + node for dev in devices if dev in kept]
        if devices:
            nets.append(_address(net.list))
            found.update(_ring([_address(net.dev_base_head), *devices]))
    found.update(_ring(nets))
    return found


def to_endless(part: int) -> bytes:
    """Return a word that leads to a part of the memory in which nothing ends."""
    return (_ENDLESS + part * _PART).to_bytes(_WORD, "little")


def _from(first: int, number: int) -> range:
    return range(first, first + number * _WORD, _WORD)


def _endless(words: range, entrance: int) -> bytes:
    """
    Return memory in which nothing ends.

    :param words: Addresses
    :param entrance: Address of the word that leads to this part
    """
    first, number = words[0], len(words)
    part, offset = divmod(first - _ENDLESS, _PART)
    numbers: Sequence[int]
    if part & 3 == 3:
        numbers = [_ENDLESS + part * _PART] * number  # all lead to one object
    elif part & 3 == 2:
        numbers = _from(first + _STRIDE + 2, number)  # as in the nodes of an XArray
    else:
        numbers = list(_from(first + _STRIDE, number))
        odd = first % (2 * _WORD) == 0
        numbers[odd::2] = _from(first - _STRIDE - _WORD, number)[odd::2]
        if offset <= _WORD and number > 1 - offset // _WORD:
            numbers[1 - offset // _WORD] = entrance
    return struct.pack(f"<{len(numbers)}Q", *numbers)


class WrongWords:
    """
    A dump with a few of its devices, whose memory may be wrong.

    :param original: The dump, with its types
    :param seed: Which words are wrong, and in which way
    """

    def __init__(self, original: Program, seed: int) -> None:
        self._original = original
        self._always = _list_of_few(original, _few(take_snapshot(original)))
        self._changed: dict[int, Optional[bytes]] = dict(self._always)
        self._read: Optional[set[int]] = set()
        self._entrances: dict[int, int] = {}
        self._reads = 0
        self._most = sys.maxsize
        self._too_far: Optional[traceback.StackSummary] = None
        self._chance = random.Random(seed)
        self._seed = seed
        self.prog = prog = Program(self._original.platform)
        vmcoreinfo = self._original["VMCOREINFO"].string_()
        prog.set_linux_kernel_custom(vmcoreinfo, False)
        # Where the kernel is. It needs no page tables.
        prog.add_memory_segment(1 << 63, (1 << 63) - 1, self._memory, False)
        use_btf(prog, given=carried_by(self._original))
        self._cache = dict(prog.cache)
        self._report()  # What a first report loads is not part of the others.
        self._read = set()
        begin = time.process_time()
        self._reads = 0
        self._report()
        #: Seconds of CPU that the report takes when nothing is wrong.
        self.sound = time.process_time() - begin
        self._most = 2 * self._reads + _READS_PER_STEP * budget._SHARED
        read, self._read = self._read, None
        words = {at: self._word(at) for at in sorted(read)}
        #: The words that a report reads.
        self.words = {at: word for at, word in words.items() if word is not None}
        numbers = (int.from_bytes(word, "little") for word in self.words.values())
        self._pointers = [one for one in numbers if one >> 47 == (1 << 17) - 1]

    def __str__(self) -> str:
        return (
            f"seed {self._seed}, {len(self.words):,} words, "
            f"{self.sound:.2f} s a report when none is wrong"
        )

    def _word(self, at: int) -> Optional[bytes]:
        try:
            return bytes(self._original.read(at, _WORD))
        except FaultError:
            return None

    def _memory(self, address: int, count: int, offset: int, physical: bool) -> bytes:
        words = range(address & -_WORD, address + count, _WORD)
        self._reads += 1
        if self._reads > self._most:
            # drgn loses what is raised here.
            self._too_far = self._too_far or traceback.extract_stack()
            raise FaultError("the report reads too much", address)
        if self._read is not None:
            self._read.update(words)
        data = None
        if 0 <= address - _ENDLESS < _PARTS * _PART:
            entrance = self._entrances.get((address - _ENDLESS) // _PART, 0)
            found = _endless(words, entrance)
            return found[address & _WORD - 1 :][:count]
        for at in words:
            if at in self._changed:
                word = self._changed[at]
                if word is None:
                    raise FaultError("could not find memory segment", at)
                data = data or bytearray(self._original.read(address, count))
                for i, byte in enumerate(word, at - address):
                    if 0 <= i < count:
                        data[i] = byte
        return self._original.read(address, count) if data is None else bytes(data)

    def _report(self) -> Optional[str]:
        # What decisions were made of memory are made again.
        self.prog.cache.clear()
        self.prog.cache.update(self._cache)
        try:
            snapshot = take_snapshot(self.prog)
        except UnreadTargetError:
            return None  # One line says why.
        found = diagnose(snapshot)
        for value in bugs_in(snapshot):
            raise AssertionError(f"a type is not as expected: {value.reason}")
        text = render_json.render(snapshot, found)
        report(snapshot, snapshot, found)
        devices_in_full(snapshot.devices[::8], snapshot, found)
        predictor = Predictor(snapshot)
        for device in snapshot.devices[::4]:
            for mode in MODES:
                predictor.attach(device, mode)
        return text

    def problem(self, wrong: Wrong) -> Optional[Problem]:
        """Make a report of wrong memory; return what is wrong with the report."""
        self._changed = {**self._always, **wrong}
        self._reads, self._too_far = 0, None
        self._entrances = {
            (to - _ENDLESS) // _PART: at
            for at, word in wrong.items()
            if word is not None
            for to in (int.from_bytes(word, "little"),)
            if 0 <= to - _ENDLESS < _PARTS * _PART
        }
        begin = time.process_time()
        try:
            text = self._report()
            took = time.process_time() - begin
            if text is not None:
                validate(json.loads(text))
        except Exception as e:
            where = traceback.extract_tb(e.__traceback__)
            return Problem(f"{type(e).__name__}: {e}", _end(where), wrong)
        if self._too_far is not None:
            what = f"a report of more than {self._most:,} reads"
            return Problem(what, _end(self._too_far), wrong)
        if took > 2 * self.sound + _ROOM:
            return Problem(f"a report that takes {took:.1f} s of CPU", "", wrong)
        return None

    def least(self, problem: Problem) -> Problem:
        """Look by halves for the word that brings a problem about."""
        words = list(problem.words.items())
        while len(words) > 1:
            half = len(words) // 2
            for part in (words[:half], words[half:]):
                found = self.problem(dict(part))
                if found is not None:
                    problem, words = found, part
                    break
            else:
                break  # It takes several.
        return problem

    def _wrong(self, at: int) -> Optional[bytes]:
        chance, word = self._chance, int.from_bytes(self.words[at], "little")
        new = chance.choice(
            (
                0,
                _ALL_ONES,
                at,  # a loop
                word ^ 1 << chance.randrange(64),
                word + chance.choice((1, -1, _WORD, _PAGE, 1 << 20)) & _ALL_ONES,
                chance.choice(self._pointers),
                chance.choice(self._pointers),
                chance.getrandbits(64),
                None,
            )
        )
        return None if new is None else new.to_bytes(_WORD, "little")

    def endless(self, at_a_time: int = _AT_A_TIME) -> Iterator[Wrong]:
        """Yield words of which each leads to where nothing ends."""
        words = [at for at in self.words if self._leads(at)]
        self._chance.shuffle(words)
        for i in range(0, len(words), at_a_time):
            yield {
                at: to_endless(self._chance.randrange(_PARTS))
                for at in words[i : i + at_a_time]
            }

    def _leads(self, at: int) -> bool:
        word = int.from_bytes(self.words[at], "little")
        return word == 0 or word >> 47 == (1 << 17) - 1

    def of_words(self, at_a_time: int = _AT_A_TIME) -> Iterator[Wrong]:
        """Yield wrong words: each word once, by chance a few together."""
        words = list(self.words)
        self._chance.shuffle(words)
        for i in range(0, len(words), at_a_time):
            yield {at: self._wrong(at) for at in words[i : i + at_a_time]}

    def of_pages(self, at_a_time: int = _AT_A_TIME) -> Iterator[Wrong]:
        """Yield missing pages: each page once, by chance a few together."""
        pages: dict[int, list[int]] = {}
        for at in self.words:
            pages.setdefault(at // _PAGE, []).append(at)
        groups = list(pages.values())
        self._chance.shuffle(groups)
        for i in range(0, len(groups), at_a_time):
            yield {at: None for page in groups[i : i + at_a_time] for at in page}


def _dump(name: str) -> Program:
    if name in EVERY_CORE:
        return recorded_core(name).prog
    prog = Program()
    prog.set_core_dump(name)
    use_btf(prog)
    return prog


def _main() -> int:
    parser = argparse.ArgumentParser(description="Reports of memory that is wrong.")
    parser.add_argument("core", nargs="+", help="name of a recorded core, or a file")
    parser.add_argument("--seconds", type=float, default=60.0, help="for each core")
    parser.add_argument("--seed", type=int, default=None)
    args = parser.parse_args()
    seed = random.randrange(1 << 32) if args.seed is None else args.seed
    problems: set[str] = set()
    for core in args.core:
        wrong_words = WrongWords(_dump(core), seed)
        number, end = 0, time.monotonic() + args.seconds
        while time.monotonic() < end:
            for wrong in (
                *wrong_words.endless(),
                *wrong_words.of_pages(),
                *wrong_words.of_words(),
            ):
                number += len(wrong)
                found = wrong_words.problem(wrong)
                if found is not None:
                    found = wrong_words.least(found)
                    if found.where not in problems:
                        print(found, flush=True)
                    problems.add(found.where)
                if time.monotonic() >= end:
                    break
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        print(f"{core}: {wrong_words}: {number:,} were wrong, {most} MB")
    print(f"{len(problems)} problems")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(_main())
