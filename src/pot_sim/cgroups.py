"""Limits of a jail that the kernel keeps: its memory by a cgroup of version 1 or 2, its CPUs by affinity.

A cgroup is made where this process may make one. Linux kills what goes beyond the limit, as FreeBSD does by a rule
memoryuse:sigkill.

Not here: what is used (see `limits`), when a jail is made (see `jailer`).
"""

from __future__ import annotations

import contextlib
import os
import time
import zlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_REMOVE_S = 0.5  # a cgroup can be removed a moment after its last process has ended


def create(run: str, jid: int, pid: int, memory: int) -> str:
    """A cgroup with a memory limit for a new jail, its process 1 in it; empty where none can be made."""
    name = _prefix(run) + str(jid)
    for parent, limit in _parents():
        path = f"{parent}/{name}"
        with contextlib.suppress(OSError):
            if limit == "memory.max":
                _write(f"{parent}/cgroup.subtree_control", "+memory")
            os.mkdir(path)
            try:
                _write(f"{path}/{limit}", str(memory))
                _write(f"{path}/cgroup.procs", str(pid))
            except OSError:
                os.rmdir(path)
                raise
            return path
    return ""


def left(run: str) -> list[str]:
    """Those of a root, whether or not their jails live."""
    found = []
    for parent, _ in _parents():
        with contextlib.suppress(OSError):
            found += [f"{parent}/{name}" for name in os.listdir(parent) if name.startswith(_prefix(run))]
    return sorted(set(found))


def sweep(run: str) -> None:
    """Remove those in which nothing runs any more."""
    for path in left(run):
        with contextlib.suppress(OSError):  # it is in use
            os.rmdir(path)


def _prefix(run: str) -> str:
    return f"pot-sim-{zlib.crc32(os.fsencode(run)):08x}-"


def change(path: str, memory: int) -> None:
    """Another limit."""
    for name in ("memory.max", "memory.limit_in_bytes"):
        with contextlib.suppress(OSError):
            _write(f"{path}/{name}", str(memory))


def enter(path: str, pid: int = 0) -> None:
    """Put a process into it, too, the calling one if none is named."""
    with contextlib.suppress(OSError):
        _write(f"{path}/cgroup.procs", str(pid))


def remove(path: str) -> None:
    deadline = time.monotonic() + _REMOVE_S
    while os.path.isdir(path) and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            os.rmdir(path)
            return
        time.sleep(0.01)


def _parents() -> Iterator[tuple[str, str]]:
    """Where a cgroup may be made, and the name of the limit there.

    Version 1: below this process' own. Version 2: beside it, since what has processes has no children.
    """
    own = {}
    with open("/proc/self/cgroup", encoding="utf-8") as file:
        for line in file:
            _, controllers, path = line.rstrip("\n").split(":", 2)
            own[controllers] = path
    with open("/proc/self/mounts", encoding="utf-8") as file:
        mounts = [line.split() for line in file]
    for _, place, kind, options, *_ in mounts:
        if kind == "cgroup2" and "" in own:
            yield place + os.path.dirname(own[""]).rstrip("/"), "memory.max"
            yield place, "memory.max"
        elif kind == "cgroup" and "memory" in options.split(","):
            controllers = next((each for each in own if "memory" in each.split(",")), "")
            yield place + own[controllers].rstrip("/"), "memory.limit_in_bytes"
            yield place, "memory.limit_in_bytes"


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY)  # never makes a file
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def cpu_set(count: int) -> frozenset[int]:
    """CPUs for a jail: the first ones, as potcpu gives them when nothing else has any."""
    return frozenset(sorted(os.sched_getaffinity(0))[:count])
