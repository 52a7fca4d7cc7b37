"""The help texts of pot's commands: its usage lines and numbers of lines, in our words (`help.txt`).

Not here: when help is shown (`session`, `commands/`).
"""

from __future__ import annotations

import os

from pot_sim import attributes


def of(command: str) -> str:
    """Without the last newline; the text of pot itself for an empty name."""
    lines = _texts()[command]
    if command == "set-attribute":
        lines = [*lines, *_listed(attributes.settable()), '  -V value : the new value for "attribute"']
    if command == "get-attribute":
        lines = [*lines, *_listed(attributes.gettable())]
    return "\n".join(lines)


def exists(command: str) -> bool:
    return bool(command) and command in _texts()


def _listed(names: list[str]) -> list[str]:
    return [f"     + {name}" for name in names]


def _texts() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    with open(os.path.dirname(__file__) + "/help.txt", encoding="utf-8") as file:
        for line in file.read().splitlines():
            if line.startswith("@"):
                found[line[1:]] = current = []
            else:
                current.append(line)
    return found
