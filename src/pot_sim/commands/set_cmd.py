"""`pot set-cmd`: the command as it will stand behind `exec` in the start script.

Not here: what the pot's shell makes of it (`tinirc`).
"""

from __future__ import annotations

from pot_sim import conf, pots
from pot_sim.session import Pot


def run(pot: Pot, args: list[str]) -> int:
    given = dict(pot.options("set-cmd", args, "hvp:c:"))
    command = given.get("c", "")
    name = given.get("p", "")
    if not name:
        return pot.usage_error("set-cmd", "A pot name is mandatory")
    if not command:
        return pot.usage_error("set-cmd", "A command is mandatory")
    if not pots.check(pot, name):
        return pot.usage_error("set-cmd", f"pot {name} is not valid")
    if not pot.is_root():
        return 1
    store(pot, name, command)
    return 0


def store(pot: Pot, name: str, command: str) -> None:
    """A newline in it ends the command, and begins further lines of the configuration."""
    conf.replace(pot.root, name, "pot.cmd", [unwrapped(command)])


def unwrapped(command: str) -> str:
    """Without the double quote at its beginning and, only then, those at the end of its lines."""
    printed = "" if command == "-n" else command  # by echo
    stripped = "\n".join(line.removeprefix('"') for line in printed.split("\n")).rstrip("\n")
    if stripped == command:
        return command
    return "\n".join(line.removesuffix('"') for line in stripped.split("\n")).rstrip("\n")
