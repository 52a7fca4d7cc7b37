"""`pot revert`: back to the newest snapshot, the configuration included.

Not here: the snapshots (`zfs`).
"""

from __future__ import annotations

from pot_sim import pots, zfs
from pot_sim.commands.snapshot import missing
from pot_sim.session import Pot
from pot_sim.shell import Exit


def run(pot: Pot, args: list[str]) -> int:
    target = ("", "")
    for option, value in pot.options("revert", args, "hvp:f:"):
        match option:
            case "p" | "f":
                if target[0]:
                    raise Exit(pot.usage_error("revert", "-p|-f are exclusive"))
                target = ({"p": "jails", "f": "fscomp"}[option], value)
    if problem := missing(target):
        raise Exit(pot.usage_error("revert", problem))
    kind, name = target
    if kind == "jails" and not pots.check(pot, name):
        raise Exit(pot.usage_error("revert", f"{name} is not a pot!"))
    if kind == "fscomp" and not zfs.exists(pot.root, f"fscomp/{name}"):
        raise Exit(pot.usage_error("revert", f"{name} is not a valid fscomp"))
    if kind == "jails" and pots.is_running(pot.root, name):
        pot.error(f"The pot {name} is still running. Revert is possible only for stopped pots")
        raise Exit(1)
    pot.must_be_root()
    for dataset in reversed(zfs.children(pot.root, f"{kind}/{name}")):
        tags = zfs.snapshots(pot.root, dataset)
        if tags:
            zfs.rollback(pot.root, dataset, tags[-1])
        else:
            pot.info(f"{pot.config['POT_ZFS_ROOT']}/{dataset} has not snapshot - no possible rollback")
    return 0
