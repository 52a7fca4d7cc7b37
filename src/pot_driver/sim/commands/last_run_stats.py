"""`pot last-run-stats`: how the command ended last time; a start that is under way does not reset it.

Not here: writing it (`launch`).
"""

from __future__ import annotations

from pot_driver.sim import pots
from pot_driver.sim.session import Pot
from pot_driver.sim.shell import Exit, write


def run(pot: Pot, args: list[str]) -> int:
    name = ""
    for option, value in pot.options(args, "hvp:"):
        match option:
            case "h":
                pot.help("last-run-stats")
                raise Exit(0)
            case "v":
                pot.verbosity += 1
            case "p":
                name = value
            case _:
                raise Exit(pot.usage_error("last-run-stats"))
    if not name:
        raise Exit(pot.usage_error("last-run-stats", "A pot name is mandatory"))
    if not pots.check(pot, name):
        pot.error(f"{name} is not a pot")
        raise Exit(1)
    try:
        with open(pot.root.conf(name) + "/.last_run_stats", encoding="utf-8") as file:
            write(1, file.read())
    except FileNotFoundError:
        pot.echo("{}")
    return 0
