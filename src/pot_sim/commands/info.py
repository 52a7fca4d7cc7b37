"""`pot info`: is it a pot, does it run, what is known of it.

Not here: the `_POT_*` variables of -E (`facts`).
"""

from __future__ import annotations

from pot_sim import pots
from pot_sim.session import Pot
from pot_sim.shell import Exit


class _Asked:
    """The options."""

    def __init__(self, given: dict[str, str]) -> None:
        self.pot, self.bridge = given.get("p", ""), given.get("B", "")
        self.quiet, self.running = "q" in given, "r" in given
        self.environment, self.snapshots = "E" in given, "s" in given


def run(pot: Pot, args: list[str]) -> int:
    asked = _Asked(dict(pot.options("info", args, "hvqp:rB:Es")))
    _demand(pot, asked)
    if asked.pot:
        return _of_pot(pot, asked)
    return _of_bridge(pot, asked)


def _demand(pot: Pot, asked: _Asked) -> None:
    problem = ""
    if not asked.pot and not asked.bridge:
        problem = "Option -p or -b are mandatory"
    elif asked.pot and asked.bridge:
        problem = "Option -p and -b are mutually exclusive"
    elif asked.quiet and pot.verbose:
        problem = "Option -q and -v are mutually exclusive"
    elif asked.environment and not asked.pot:
        problem = "Environment variable output available for pot only"
    if problem:
        raise Exit(pot.usage_error("info", problem))
    if asked.bridge and asked.snapshots:
        pot.info("Bridges has no snapshots - -s ignored")


def _of_pot(pot: Pot, asked: _Asked) -> int:
    if not pots.exists(pot.root, asked.pot):
        if not asked.quiet:
            pot.error("NO", f"{asked.pot} is not a pot")
        raise Exit(pot.usage_error("info"))
    if asked.running:
        return 0 if pots.is_running(pot.root, asked.pot) else 1
    if asked.quiet:
        return 0
    if asked.environment and not asked.snapshots:
        from pot_sim import facts  # noqa: PLC0415

        for line in facts.exports(pot, asked.pot):
            pot.echo(line)
        return 0
    from pot_sim import describe  # noqa: PLC0415

    for line in describe.snapshots(pot, asked.pot) if asked.snapshots else describe.full(pot, asked.pot):
        pot.echo(line)
    return 0


def _of_bridge(pot: Pot, asked: _Asked) -> int:
    if asked.bridge not in pots.bridges(pot.root):
        if not asked.quiet:
            pot.error("NO", f"{asked.bridge} is not a bridge")
        raise Exit(1)
    if not asked.quiet:
        from pot_sim import describe  # noqa: PLC0415

        for line in describe.bridge(pot, asked.bridge):
            pot.echo(line)
    return 0
