"""Which mounts pot would find below a pot's `m` on its host: made by start, gone with stop, destroy or a reboot.

A pot's real mounts are seen inside it only; these are the names, for what pot says while it unmounts.

Not here: mounting (`mounts`).
"""

from __future__ import annotations

import os

from pot_sim import conf

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pot_sim.root import Root


def note(root: Root, name: str, target: str) -> None:
    os.makedirs(f"{root.run}/mounted", exist_ok=True)
    conf.append(_file(root, name), [target])


def drop(root: Root, name: str, target: str) -> bool:
    """Forget one, and tell whether it was there."""
    file = _file(root, name)
    was_there = target in conf.lines(file)
    if was_there:
        conf.edit(file, lambda line: None if line == target else line)
    return was_there


def take(root: Root, name: str) -> list[str]:
    """All of them, to be forgotten."""
    file = _file(root, name)
    if not os.path.exists(file):
        return []
    found = conf.lines(file)
    os.unlink(file)
    return found


def _file(root: Root, name: str) -> str:
    return f"{root.run}/mounted/{name}"
