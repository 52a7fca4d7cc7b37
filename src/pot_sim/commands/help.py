"""`pot help COMMAND`.

Not here: the texts (`sim.help`).
"""

from __future__ import annotations

from pot_sim import help as texts
from pot_sim.session import ALIASES, Pot
from pot_sim.shell import Exit, complain

_NO_COMMANDS = ("common", "common-flv", "help", "network")  # files of pot's own, without a help


def run(pot: Pot, args: list[str]) -> int:
    topic = ALIASES.get(args[0], args[0])
    topic = "term" if topic == "run" else topic
    if topic in _NO_COMMANDS:
        complain(f"{pot.program}: {topic}-help: not found")
        return 0
    if not texts.exists(topic):
        pot.error(f"Command {topic} unkown")
        raise Exit(1)
    pot.help(topic)
    return 0
