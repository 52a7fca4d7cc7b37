"""`pot set-env`: replaces all variables of a pot; the values are escaped as far as pot does it.

Not here: what the pot's shell makes of them (`tinirc`).
"""

from __future__ import annotations

import os

from pot_sim import conf, pots
from pot_sim.session import Pot


def run(pot: Pot, args: list[str]) -> int:
    name, lines = "", []
    for option, value in pot.options("set-env", args, "hvp:E:"):
        match option:
            case "E":
                if "=" not in value:
                    pot.error(f"{value} not in a valid form")
                    return pot.usage_error("set-env", "VARIABLE=value is accetped")
                lines += quoted(value)
            case "p":
                name = value
    if not name:
        return pot.usage_error("set-env", "A pot name is mandatory")
    if not lines:
        return pot.usage_error("set-env", "A command is mandatory")
    if not pots.check(pot, name):
        return pot.usage_error("set-env", f"pot {name} is not valid")
    if not pot.is_root():
        return 1
    os.makedirs(pot.root.tmp, exist_ok=True)
    conf.replace(pot.root, name, "pot.env", lines)
    return 0


def quoted(assignment: str) -> list[str]:
    """In double quotes, those inside escaped, and nothing else; each line of the value becomes one of pot.conf."""
    escaped = assignment.replace('"', '\\"').rstrip("\n")
    return f'"{escaped}"'.split("\n")
