"""`pot version`.

Not here: the number (`session`).
"""

from __future__ import annotations

from pot_driver.sim.session import VERSION, Pot
from pot_driver.sim.shell import Exit


def run(pot: Pot, args: list[str]) -> int:
    quiet = False
    for option, _ in pot.options(args, "hvq"):
        match option:
            case "h":
                pot.help("version")
                raise Exit(0)
            case "v":
                pot.verbosity += 1
            case "q":
                quiet = True
            case _:
                raise Exit(pot.usage_error("version"))
    pot.echo(VERSION if quiet else f"pot version: {VERSION}")
    return 0
