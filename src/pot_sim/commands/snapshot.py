"""`pot snapshot`.

Not here: keeping it (`zfs`).
"""

from __future__ import annotations

import time

from pot_sim import pots, zfs
from pot_sim.session import Pot
from pot_sim.shell import complain


def run(pot: Pot, args: list[str]) -> int:
    target, replace = ("", ""), False
    for option, value in pot.options("snapshot", args, "hvp:f:r"):
        match option:
            case "r":
                replace = True
            case "p" | "f":
                if target[0]:
                    return pot.usage_error("snapshot", "-p|-f are exclusive")
                target = ({"p": "jails", "f": "fscomp"}[option], value)
    if problem := missing(target):
        return pot.usage_error("snapshot", problem)
    if not _is_there(pot, *target):
        return pot.usage_error("snapshot", f"{target[1]} is not a {'pot!' if target[0] == 'jails' else 'valid fscomp'}")
    if target[0] == "jails" and pots.is_running(pot.root, target[1]):
        pot.error(f"The pot {target[1]} is still running. Snapshot is possible only for stopped pots")
        return 1
    if not pot.is_root():
        return 1
    _take(pot, "/".join(target), replace=replace)
    return 0


def missing(target: tuple[str, str]) -> str:
    if not target[0]:
        return "one of -p|-f has to be used"
    return "" if target[1] else "-p|-f options need an argument"


def _is_there(pot: Pot, kind: str, name: str) -> bool:
    return pots.check(pot, name) if kind == "jails" else zfs.exists(pot.root, f"{kind}/{name}")


def _take(pot: Pot, dataset: str, *, replace: bool) -> None:
    names = pot.config["POT_ZFS_ROOT"]
    old = zfs.snapshots(pot.root, dataset)[:1] if replace else []
    pot.debug(f"Take snapshot of {dataset.partition('/')[2]}")
    try:
        for tag in old:
            zfs.destroy_snapshot(pot.root, dataset, tag, names)
        zfs.snapshot(pot.root, dataset, str(int(time.time())))
    except zfs.ZfsError as error:
        complain(str(error))
