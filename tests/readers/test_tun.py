# SPDX-License-Identifier: LGPL-2.1-or-later
"""Files of tun and tap devices."""

from drgn_veth.readers.tun import is_tun_file_operations
import pytest

from tests.support.toy import Toy


@pytest.fixture
def toy() -> Toy:
    made = Toy()
    name = made.prog.array_type(made.prog.type("char"), 56)
    made.struct("module", name=name)
    made.struct("file_operations", owner="struct module *")
    return made


@pytest.mark.parametrize(
    ("module", "is_tun"), [(b"tun", True), (b"tap", True), (b"tunnel4", False)]
)
def test_operations_of_a_module(toy: Toy, module: bytes, is_tun: bool) -> None:
    owner = toy.place("struct module")
    toy.put(owner, f"{len(module)}B", *module)
    operations = toy.place("struct file_operations")
    toy.set("struct file_operations", operations, owner=owner)
    assert is_tun_file_operations(toy.prog, operations) == is_tun


def test_operations_of_the_kernel_itself(toy: Toy) -> None:
    """Where tun is no module, and tap is not there."""
    other = toy.place("struct file_operations")
    assert not is_tun_file_operations(toy.prog, other)
    operations = toy.variable("tun_fops", "struct file_operations")
    assert is_tun_file_operations(toy.prog, operations)
    assert not is_tun_file_operations(toy.prog, other)
