# SPDX-License-Identifier: LGPL-2.1-or-later
"""The recorded cores in vmcores/, with the truth beside them."""

import json
import lzma
from pathlib import Path
from typing import Any, Dict, List

from unpack import unpack

__all__ = ("CORES", "Recorded")

VMCORES = Path(__file__).resolve().parent.parent.parent / "vmcores"

#: Names of the recorded cores.
CORES: List[str] = sorted(
    path.name[: -len(".core.xz")] for path in VMCORES.glob("*.core.xz")
)


class Recorded:
    """A recorded core."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.packed = VMCORES / f"{name}.core.xz"
        self.core = unpack(self.packed, folder)
        truth = lzma.decompress((VMCORES / f"{name}.truth.json.xz").read_bytes())
        self.truth: Dict[str, Any] = json.loads(truth)
        answers = lzma.decompress((VMCORES / f"{name}.answers.json.xz").read_bytes())
        self.answers: Dict[str, Any] = json.loads(answers)
        self.about: Dict[str, Any] = json.loads((VMCORES / f"{name}.json").read_text())
