"""`pot purge-snapshots`: all but the newest, or all. Of a running pot, too; what zfs refuses is not looked at.

Not here: the snapshots (`zfs`).
"""

from __future__ import annotations

from pot_sim import pots, zfs
from pot_sim.commands.snapshot import missing
from pot_sim.session import Pot
from pot_sim.shell import Exit, complain


def run(pot: Pot, args: list[str]) -> int:
    target, every = ("", ""), False
    for option, value in pot.options("purge-snapshots", args, "hvp:f:a"):
        match option:
            case "p" | "f":
                if target[0]:
                    raise Exit(pot.usage_error("purge-snapshots", "-p|-f are exclusive"))
                target = ({"p": "jails", "f": "fscomp"}[option], value)
            case "a":
                every = True
    if problem := missing(target):
        return pot.usage_error("purge-snapshots", problem)
    kind, name = target
    if kind == "jails" and not pots.check(pot, name):
        return pot.usage_error("purge-snapshots", f"{name} is not a pot!")
    if kind == "fscomp" and not zfs.exists(pot.root, f"fscomp/{name}"):
        return pot.usage_error("purge-snapshots", f"{name} is not a valid fscomp")
    dataset = f"{kind}/{name}"
    tags = zfs.snapshots(pot.root, dataset)
    for tag in tags if every else tags[:-1]:
        try:
            zfs.destroy_snapshot(pot.root, dataset, tag, pot.config["POT_ZFS_ROOT"])
        except zfs.ZfsError as error:
            complain(str(error))
    return 0
