"""`pot version`.

Not here: the number (`session`).
"""

from __future__ import annotations

from pot_sim.session import VERSION, Pot


def run(pot: Pot, args: list[str]) -> int:
    given = dict(pot.options("version", args, "hvq"))
    quiet = "q" in given
    pot.echo(VERSION if quiet else f"pot version: {VERSION}")
    return 0
