"""`pot init`: nothing is left to do, since `pot-sim init` has made the root.

Not here: making a root (`install`).
"""

from __future__ import annotations

import os

from pot_driver.sim.session import Pot


def run(pot: Pot, args: list[str]) -> int:
    dict(pot.options("init", args, "hmsvf:p:"))
    pot.must_be_root()
    if os.path.isdir(pot.root.fs):
        pot.info(f"{pot.config['POT_ZFS_ROOT']} already present")
    for kind in ("jails", "bases", "fscomp", "bridges"):
        os.makedirs(f"{pot.root.fs}/{kind}", exist_ok=True)
    return 0
