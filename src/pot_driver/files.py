"""Files that others than we may have written, or put something else in the place of.

Not here: what is in them, writing.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

LIMIT = 1 << 20  # bytes; pot's own files have some hundred


def content(path: Path, limit: int = LIMIT, *, owner: int | None = None) -> bytes | None:
    """The beginning of a plain file, None where there is none: a FIFO is not waited for, a link is not followed.

    `owner`: the uid that it must belong to, where others may put files of theirs in its place.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        found = os.fstat(descriptor)
        fit = stat.S_ISREG(found.st_mode) and owner in {None, found.st_uid}
        return os.read(descriptor, limit) if fit else None
    except OSError:
        return None
    finally:
        os.close(descriptor)


def text(path: Path) -> str:
    """The same as text, "" where there is none."""
    return (content(path) or b"").decode(errors="replace")
