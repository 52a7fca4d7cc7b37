"""`pot clone-fscomp`: a file system component from another one's newest snapshot.

Not here: the snapshots (`zfs`).
"""

from __future__ import annotations

from pot_sim import zfs
from pot_sim.session import Pot
from pot_sim.shell import Exit


def run(pot: Pot, args: list[str]) -> int:
    given = dict(pot.options("clone-fscomp", args, "hvf:F:"))
    new = given.get("f", "")
    model = given.get("F", "")
    if not new:
        raise Exit(pot.usage_error("clone-fscomp", "fscomp name is missing (option -f)"))
    if not model:
        raise Exit(pot.usage_error("clone-fscomp", "clonable fscomp name is missing (option -F)"))
    tags = zfs.snapshots(pot.root, f"fscomp/{model}")
    problem = ""
    if zfs.exists(pot.root, f"fscomp/{new}"):
        problem = f"fscomp {new} already exists"
    elif not zfs.exists(pot.root, f"fscomp/{model}"):
        problem = f"fscomp {model} doesn't exist"
    elif not tags:
        problem = f"{pot.config['POT_ZFS_ROOT']}/fscomp/{model} has no snapshots - please take one"
    if problem:
        pot.error(problem)
        raise Exit(1)
    pot.must_be_root()
    zfs.clone(pot.root, f"fscomp/{model}", tags[-1], f"fscomp/{new}", pot.config["POT_ZFS_ROOT"])
    return 0
