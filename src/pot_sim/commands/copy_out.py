"""`pot copy-out`: cp(1) in the pot, into a directory of the host that is mounted there meanwhile.

Not here: the mounts (`mounts`).
"""

from __future__ import annotations

import os

from pot_sim import copying, pots
from pot_sim.session import Pot


def run(pot: Pot, args: list[str]) -> int:
    before = pot.verbosity
    given = dict(pot.options("copy-out", args, "hvs:d:p:F"))
    name, source, target = (given.get(letter, "") for letter in "psd")
    verbose, force = pot.verbosity > before, "F" in given
    if not name:
        return pot.usage_error("copy-out", "A pot name is mandatory")
    if not source:
        return pot.usage_error("copy-out", "A source is mandatory")
    if not target:
        return pot.usage_error("copy-out", "A destination is mandatory")
    if not source.startswith("/"):
        pot.error("The source has to be an absolute pathname")
        return 1
    if not pots.check(pot, name):
        return pot.usage_error("copy-out", f"pot {name} is not valid")
    if not pot.is_root():
        return 1
    if not (os.path.isdir(target) and os.access(target, os.R_OK | os.X_OK)):
        pot.error(f"{target} not valid")  # and pot goes on: mounting it will fail
    if pots.is_running(pot.root, name) and not copying.may_touch_running(pot, "from", force=force):
        return 1
    return copying.run(pot, name, copying.Out(pot, name, source, target, verbose=verbose))
