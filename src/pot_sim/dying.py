"""Jails that have ended and are not quite gone: with the faults `dying` and `busy`, for some seconds.

A dying jail has no processes, and its name is free; only jls speaks of it. A busy dataset cannot be destroyed yet.

Not here: jails that live (`registry`).
"""

from __future__ import annotations

import os
import time

from pot_sim import faults

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pot_sim.registry import Record
    from pot_sim.root import Root


def note(root: Root, name: str, record: Record) -> None:
    """The jail has ended just now."""
    if not any(faults.on(root, fault, name) for fault in ("dying", "busy")):
        return
    os.makedirs(_directory(root), exist_ok=True)
    temporary = f"{root.run}/dying.{name}.{os.getpid()}"
    with open(temporary, "w", encoding="ascii") as file:
        file.write(record.fields["jid"])
    os.rename(temporary, f"{_directory(root)}/{name}")


def jid(root: Root, name: str) -> str:
    """Of the dying jail of this name; empty if there is none."""
    if not _within(root, "dying", name):
        return ""
    with open(f"{_directory(root)}/{name}", encoding="ascii") as file:
        return file.read()


def names(root: Root) -> list[str]:
    """All that are dying."""
    try:
        return [name for name in sorted(os.listdir(_directory(root))) if _within(root, "dying", name)]
    except FileNotFoundError:
        return []


def is_busy(root: Root, name: str) -> bool:
    """Whether the datasets of the pot are still held."""
    return _within(root, "busy", name)


def _within(root: Root, fault: str, name: str) -> bool:
    seconds = faults.value(root, fault, name)
    if seconds is None or "/" in name or name in ("", ".", ".."):
        return False
    try:
        return time.time() < os.stat(f"{_directory(root)}/{name}").st_mtime + float(seconds)
    except FileNotFoundError:
        return False


def _directory(root: Root) -> str:
    return root.run + "/dying"
