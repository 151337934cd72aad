# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who holds rtnl_mutex."""

from drgn_veth.readers.rtnl import rtnl_owner
import pytest

from tests.support.toy import Toy

TASK = 0xFFFF888003B5C940


@pytest.mark.parametrize("flags", range(8))
def test_rtnl_owner(toy: Toy, flags: int) -> None:
    counter = toy.struct("atomic", counter="long")
    toy.struct("task_struct", pid="int")
    toy.struct("mutex", owner=counter)
    mutex = toy.variable("rtnl_mutex", "struct mutex")
    toy.set("struct mutex", mutex, owner__counter=TASK | flags)
    owner = rtnl_owner(toy.prog)
    assert owner.type_.type_name() == "struct task_struct *"
    assert owner.value_() == TASK
    toy.set("struct mutex", mutex, owner__counter=flags)
    assert not rtnl_owner(toy.prog)


@pytest.mark.parametrize("waiters", (0, 1))
@pytest.mark.parametrize("member", ("rtmutex", "lock"))
def test_rtnl_owner_with_preempt_rt(toy: Toy, member: str, waiters: int) -> None:
    toy.struct("task_struct", pid="int")
    base = toy.struct("rt_mutex", owner="struct task_struct *")
    toy.struct("mutex", **{member: base})
    mutex = toy.variable("rtnl_mutex", "struct mutex")
    toy.set("struct mutex", mutex, **{f"{member}__owner": TASK | waiters})
    assert rtnl_owner(toy.prog).value_() == TASK
    toy.set("struct mutex", mutex, **{f"{member}__owner": waiters})
    assert not rtnl_owner(toy.prog)


def test_rtnl_owner_of_a_mutex_that_does_not_say(toy: Toy) -> None:
    toy.struct("task_struct", pid="int")
    toy.struct("mutex", count="int")
    toy.variable("rtnl_mutex", "struct mutex")
    with pytest.raises(AttributeError):
        rtnl_owner(toy.prog)
