"""Locks of the simulator's own, below a root's `run`.

Not here: pot's locks, which have holes (see `locks`).
"""

from __future__ import annotations

import contextlib
import fcntl
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def lock(run: str, name: str) -> Iterator[None]:
    """One process of this root at a time."""
    os.makedirs(run, exist_ok=True)
    fd = os.open(f"{run}/{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        fcntl.flock(fd, fcntl.LOCK_UN)
        os.close(fd)
