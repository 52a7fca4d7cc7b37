"""`pot create-base`: what is wrong with the request; a base itself would be FreeBSD's files.

Not here: the one release that `create -t single` takes (`commands/create`).
"""

from __future__ import annotations

import os

from pot_sim.commands.create import RELEASES
from pot_sim.session import Pot
from pot_sim.shell import Exit, complain


def run(pot: Pot, args: list[str]) -> int:
    release = base = ""
    for option, value in pot.options("create-base", args, "hvr:b:"):
        match option:
            case "r":
                if value not in RELEASES:
                    raise Exit(pot.usage_error("create-base", f"{value} is not a supported release"))
                release = value
            case _:
                base = value
                _must_be_new(pot, base, "is already a base")
    if not release:
        raise Exit(pot.usage_error("create-base", "option -r is mandatory"))
    if not base:
        base = release
        pot.info(f"Automatically use {release} as base name")
    if base != release and base in RELEASES:
        problem = f"{base} has the name of another valid release and that's forbidden"
        raise Exit(pot.usage_error("create-base", problem))
    _must_be_new(pot, base, "already exist")
    pot.must_be_root()
    pot.info(f"Create a base with release {release}")
    complain("pot-sim: there are no bases here; try pot create -t single")
    pot.error(f"fetch of {release} RELEASE failed")
    raise Exit(1)


def _must_be_new(pot: Pot, base: str, problem: str) -> None:
    if base and os.path.isdir(f"{pot.root.fs}/bases/{base}"):
        pot.error(f"{base} {problem}")
        raise Exit(1)
