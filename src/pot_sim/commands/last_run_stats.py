"""`pot last-run-stats`: how the command ended last time; a start that is under way does not reset it.

Not here: writing it (`launch`).
"""

from __future__ import annotations

from pot_sim import pots
from pot_sim.session import Pot
from pot_sim.shell import Exit, write


def run(pot: Pot, args: list[str]) -> int:
    given = dict(pot.options("last-run-stats", args, "hvp:"))
    name = given.get("p", "")
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
