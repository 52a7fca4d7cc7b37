"""`pot ps`: the names of the pots that run.

Not here: what runs in them.
"""

from __future__ import annotations

import os

from pot_sim import epair, pots
from pot_sim.session import Pot


def run(pot: Pot, args: list[str]) -> int:
    given = dict(pot.options("ps", args, "hvq"))
    quiet = "q" in given
    if not quiet and os.geteuid() != 0:
        pot.info("Need privileges to read internal network status")
    elif not quiet:
        pot.info(f"Internal network {'up' if epair.bridge_interface(pot.root, epair.PUBLIC) else 'down'}")
    for name in pots.names(pot.root):
        if pots.is_running(pot.root, name):
            pot.echo(name)
    return 0
