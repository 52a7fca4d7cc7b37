"""`pot get-attribute`.

Not here: which attributes there are (`attributes`).
"""

from __future__ import annotations

from pot_driver.sim import attributes, conf, pots
from pot_driver.sim.session import Pot
from pot_driver.sim.shell import Exit


def run(pot: Pot, args: list[str]) -> int:
    name, attribute, quiet = "", "", False
    for option, value in pot.options(args, "hvqp:A:V:"):
        match option:
            case "h":
                pot.help("get-attribute")
                raise Exit(0)
            case "v":
                pot.verbosity += 1
            case "q":
                quiet = True
            case "p":
                name = value
            case "A":
                attribute = value
            case _:
                raise Exit(pot.usage_error("get-attribute"))
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
