"""`pot top`: top(1) for one pot's processes, which this machine has no match for.

Not here: what a pot uses (`get_rss`).
"""

from __future__ import annotations

from pot_sim import pots
from pot_sim.session import Pot
from pot_sim.shell import Exit, complain


def run(pot: Pot, args: list[str]) -> int:
    given = dict(pot.options("top", args, "hp:"))
    name = given.get("p", "")
    problem = ""
    if not name:
        problem = "A pot name is mandatory"
    elif not pots.check(pot, name):
        problem = f"pot {name} is not valid"
    elif not pots.is_running(pot.root, name):
        problem = f"pot {name} is not in execution"
    if problem:
        raise Exit(pot.usage_error("top", problem))
    complain("top: the simulator has none; try pot exec")
    return 1
