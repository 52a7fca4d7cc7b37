"""`pot add-dep`: another pot that start will start first.

Not here: starting it (`commands/start`).
"""

from __future__ import annotations

from pot_sim import conf, pots
from pot_sim.session import Pot


def run(pot: Pot, args: list[str]) -> int:
    given = dict(pot.options("add-dep", args, "hvp:P:"))
    other = given.get("P", "")
    name = given.get("p", "")
    problem = ""
    if not name:
        problem = "A pot name is mandatory"
    elif not other:
        problem = "A dependency pot is mandatory"
    elif name == other:
        problem = "a pot cannot be run time dependecy of itself"
    elif not pots.check(pot, name):
        problem = f"pot {name} is not valid"
    elif not pots.check(pot, other):
        problem = f"dependency pot {other} is not valid"
    if problem:
        return pot.usage_error("add-dep", problem)
    if not pot.is_root():
        return 1
    conf.append(conf.path(pot.root, name), [f"pot.depend={other}"])
    return 0
