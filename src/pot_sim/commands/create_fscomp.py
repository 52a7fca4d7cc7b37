"""`pot create-fscomp`: an empty file system component.

Not here: mounting it (`commands/mount_in`).
"""

from __future__ import annotations

from pot_sim import zfs
from pot_sim.session import Pot
from pot_sim.shell import Exit


def run(pot: Pot, args: list[str]) -> int:
    given = dict(pot.options("create-fscomp", args, "hvf:"))
    name = given.get("f", "")
    if not name:
        raise Exit(pot.usage_error("create-fscomp", "fs component name is missing"))
    dataset = f"fscomp/{name}"
    if zfs.exists(pot.root, dataset):
        pot.info(f"fs component {pot.config['POT_ZFS_ROOT']}/{dataset} already exists")
        return 0
    pot.must_be_root()
    zfs.create(pot.root, dataset)
    return 0
