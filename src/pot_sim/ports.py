"""`[proto:]pot_port[:host_port]`, as prepare and export-ports check it; a third field is not looked at.

Not here: what becomes of them at start (`uplink`).
"""

from __future__ import annotations

from pot_sim.shell import natural


def valid(word: str) -> bool:
    for proto in ("tcp:", "udp:"):
        if word.startswith(proto):
            word = word.removeprefix(proto)
            break
    return all(_number(part) for part in word.split(":")[:2])


def _number(text: str) -> bool:
    return natural(text) and 0 < int(text) <= 65535
