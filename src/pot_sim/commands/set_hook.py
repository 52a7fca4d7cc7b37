"""`pot set-hook`: copies scripts that will run on the host around start and stop.

Not here: running them (`hooks`).
"""

from __future__ import annotations

import os

from pot_sim import hooks, pots
from pot_sim.commands.clone import copy_file
from pot_sim.session import Pot

_KINDS = dict(zip("sStT", hooks.KINDS, strict=True))


def run(pot: Pot, args: list[str]) -> int:
    name, scripts = "", {}
    for option, value in pot.options("set-hook", args, "hvp:s:S:t:T:"):
        match option:
            case "p":
                name = value
            case _:
                if os.access(value, os.X_OK):
                    scripts[_KINDS[option]] = value
                else:
                    pot.error(f"{value} not a valid hook")
    if not name:
        return pot.usage_error("set-hook", "A pot name is mandatory")
    if not pots.check(pot, name):
        return pot.usage_error("set-hook", f"pot {name} is not valid")
    if not scripts:
        return pot.usage_error("set-hook", "No hooks provided - at least one hook as to be set")
    if not pot.is_root():
        return 1
    for kind, script in scripts.items():
        copy_file(script, f"{pot.root.conf(name)}/{kind}.sh")
    return 0
