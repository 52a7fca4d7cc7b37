"""`pot prune`: destroys prunable pots that have run and run no more; one that cannot be destroyed ends it all.

Not here: destroying (`commands/destroy`).
"""

from __future__ import annotations

import os
import time

from pot_sim import conf, pots
from pot_sim.session import Pot

_GRACE_S = 60
_SECOND_LOOK_S = 2  # pot start needs a moment to write its stats


def run(pot: Pot, args: list[str]) -> int:
    given = dict(pot.options("prune", args, "hvqgn"))
    quiet = "q" in given
    grace = "g" in given
    dry_run = "n" in given
    pot.must_be_root()
    for name in pots.names(pot.root):
        if _is_due(pot, name, grace=grace):
            _prune(pot, name, quiet=quiet, dry_run=dry_run)
    return 0


def _is_due(pot: Pot, name: str, *, grace: bool) -> bool:
    if pots.is_running(pot.root, name):
        return False
    if any(conf.get(pot.root, name, f"pot.attr.{each}") != "YES" for each in ("prunable", "to-be-pruned")):
        return False
    if not grace:
        return True
    if _just_ended(pot, name):
        return False
    time.sleep(_SECOND_LOOK_S)
    return not _just_ended(pot, name) and not pots.is_running(pot.root, name)


def _just_ended(pot: Pot, name: str) -> bool:
    try:
        return time.time() - os.stat(pot.root.conf(name) + "/.last_run_stats").st_mtime < _GRACE_S
    except FileNotFoundError:
        return False


def _prune(pot: Pot, name: str, *, quiet: bool, dry_run: bool) -> None:
    pot.info(f"Pruning {name}")
    if dry_run:
        return
    if pots.is_running(pot.root, name):
        pot.command("stop", name)
    if pot.command("destroy", "-p", name) == 0:
        pot.info(f"Pruned {name}")
    elif not quiet:
        pot.error("", f"Error while pruning {name}")
