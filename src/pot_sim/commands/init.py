"""`pot init`: makes the place for pots again, where `pot de-init` has removed it.

Not here: making a root (`install`).
"""

from __future__ import annotations

import os

from pot_sim import zfs
from pot_sim.session import Pot


def run(pot: Pot, args: list[str]) -> int:
    dict(pot.options("init", args, "hmsvf:p:"))
    pot.must_be_root()
    dataset = pot.config["POT_ZFS_ROOT"]
    if zfs.exists(pot.root, "jails"):
        pot.info(f"{dataset} already present")
    for kind in ("bases", "jails", "fscomp"):
        if not zfs.exists(pot.root, kind):
            pot.debug(f"creating {dataset}/{kind}")
            zfs.create(pot.root, kind)
    os.chmod(pot.root.fs, 0o750)
    for place in (pot.root.fs + "/bridges", pot.root.cache, pot.root.tmp):
        os.makedirs(place, exist_ok=True)
    pot.debug("pf configuration skipped")
    return 0
