"""`pot exec`: a command in a running pot, with a clean environment, as root of the host or another user.

Not here: joining the jail (`jail`), terminals (`terminal`).
"""

from __future__ import annotations

from pot_sim import joining, pots
from pot_sim.session import Pot
from pot_sim.shell import Exit


class _Asked:
    """The options."""

    def __init__(self) -> None:
        self.pot = self.host_user = self.pot_user = ""
        self.variables: list[str] = []
        self.command: list[str] = []
        self.detached = self.terminal = False


def run(pot: Pot, args: list[str]) -> int:
    asked = _parse(pot, args)
    if not asked.command:
        pot.error("A command is mandatory")
        raise Exit(1)
    if not asked.pot:
        raise Exit(pot.usage_error("exec", "A pot name is mandatory"))
    if asked.host_user and asked.pot_user:
        pot.error("Parameters -u and -U are mutually exclusive")
        raise Exit(1)
    if not pots.is_running(pot.root, asked.pot):
        pot.error("The pot is not running")
        raise Exit(1)
    pot.must_be_root()
    pot.debug(f"Exec in {asked.pot}, cmd: {' '.join(asked.command)}")
    return joining.run(
        pot,
        asked.pot,
        ["env", *asked.variables, *asked.command],
        host_user=asked.host_user,
        pot_user=asked.pot_user,
        detached=asked.detached,
        terminal=asked.terminal,
    )


def _parse(pot: Pot, args: list[str]) -> _Asked:
    asked = _Asked()
    for option, value in pot.options("exec", args, "hvdtp:e:u:U:"):
        match option:
            case "d":
                asked.detached = True
            case "t":
                asked.terminal = True
            case "e":
                if "=" not in value:
                    pot.error(f"{value} not in a valid form")
                    raise Exit(pot.usage_error("exec", "VARIABLE=value is accetped"))
                asked.variables.append(value)
            case "u":
                asked.host_user = value
            case "U":
                asked.pot_user = value
            case "p":
                asked.pot = value
    asked.command = pot.operands
    return asked
