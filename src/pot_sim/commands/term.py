"""`pot term` and `pot run`: a login shell in a pot, which `run` starts first, in the foreground.

Not here: joining the jail (`joining`).
"""

from __future__ import annotations

from pot_sim import joining, pots
from pot_sim.session import Pot
from pot_sim.shell import Exit, unquoted


def run(pot: Pot, args: list[str]) -> int:
    given = dict(pot.options("term", args, "hvfp:", lenient=True))
    force = "f" in given
    name = given.get("p", "")
    name = name or unquoted(pot.operands[0] if pot.operands else "")
    if not name:
        raise Exit(pot.usage_error("term", "A pot name is mandatory"))
    if not pots.is_running(pot.root, name):
        _start(pot, name, force=force)
    pot.must_be_root()
    return joining.run(pot, name, [], pot_user="root")


def _start(pot: Pot, name: str, *, force: bool) -> None:
    if not force:
        pot.error(f"The pot {name} is not running")
        raise Exit(1)
    pot.must_be_root()
    pot.command("start", name)
    if not pots.is_running(pot.root, name):
        pot.error(f"The pot {name} doesn't start")
        raise Exit(1)
