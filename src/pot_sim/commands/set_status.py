"""`pot set-status`: for pot itself, and for operators whose pot is stuck in `starting`.

Not here: which change is allowed (`status`).
"""

from __future__ import annotations

from pot_sim import pots, status
from pot_sim.session import Pot


def run(pot: Pot, args: list[str]) -> int:
    name = interfaces = state = ""
    for option, value in pot.options("set-status", args, "hvp:i:s:"):
        match option:
            case "p":
                name = value
            case "i":
                interfaces = value
            case "s":
                if value in status.STATES:
                    state = value
                else:
                    pot.error(f"{value} is not a valid status")
    if not name:
        return pot.usage_error("set-status", "A pot name is mandatory")
    if not pots.check(pot, name):
        pot.error(f"{name} is not a pot")
        return 1
    result, printed = status.move(pot, name, state, interfaces)
    if state == "stopping" and result == status.CHANGED:
        pot.echo(printed)
    return result
