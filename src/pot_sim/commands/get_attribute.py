"""`pot get-attribute`.

Not here: which attributes there are (`attributes`).
"""

from __future__ import annotations

from pot_sim import attributes, conf, pots
from pot_sim.session import Pot
from pot_sim.shell import Exit


def run(pot: Pot, args: list[str]) -> int:
    given = dict(pot.options("get-attribute", args, "hvqp:A:V:"))
    quiet = "q" in given
    name = given.get("p", "")
    attribute = given.get("A", "")
    if not name:
        raise Exit(pot.usage_error("get-attribute", "A pot name is mandatory"))
    if not attribute:
        raise Exit(pot.usage_error("get-attribute", "Option -A is mandatory"))
    problem = pots.problem(pot.root, name)
    if problem:
        if not quiet:
            pot.error("no", problem)
            pot.usage_error("get-attribute", f"{name} is not a valid pot")
        raise Exit(1)
    if attribute not in attributes.gettable():
        raise Exit(pot.usage_error("get-attribute", f"{attribute} is not a valid attribute"))
    found = conf.get(pot.root, name, f"pot.attr.{attribute}")
    if quiet:
        pot.echo(found)
    elif found:
        pot.info(f"{attribute}: {found}")
    else:
        pot.info(f"The attribute {attribute} is not set for the pot {name}")
    return 0
