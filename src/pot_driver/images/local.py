"""Images in a directory of this host: `file://`.

The directory is reached without following a link, and an image's file is a plain file in it, or a link to one
beside it.

Not here: web servers.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import IO

from pot_driver.errors import PotFailed

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC  # a FIFO is not waited for
_LINK = {errno.ELOOP, errno.EMLINK}  # Linux' and FreeBSD's word for a link that is not followed


def open_file(directory: Path, name: str) -> IO[bytes]:
    """Open an image's file for reading; FileNotFoundError or PotFailed."""
    place = _walk(directory)
    try:
        descriptor = _open(place, directory, name)
    finally:
        os.close(place)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise PotFailed(f"{directory / name} is not a plain file")
    return os.fdopen(descriptor, "rb")


def _walk(directory: Path) -> int:
    place = os.open("/", _DIRECTORY)
    for part in directory.parts[1:]:
        try:
            inner = os.open(part, _DIRECTORY, dir_fd=place)
        except OSError as error:
            if error.errno in _LINK or (error.errno == errno.ENOTDIR and _is_link(part, place)):
                raise PotFailed(f"{directory} leads through the symbolic link {part}") from None
            raise
        finally:
            os.close(place)
        place = inner
    return place


def _is_link(name: str, place: int) -> bool:
    return stat.S_ISLNK(os.stat(name, dir_fd=place, follow_symlinks=False).st_mode)


def _open(place: int, directory: Path, name: str) -> int:
    try:
        return os.open(name, _FILE, dir_fd=place)
    except OSError as error:
        if error.errno not in _LINK:
            raise
    target = os.readlink(name, dir_fd=place)
    if "/" in target or target in {".", ".."}:
        raise PotFailed(f"{directory / name} is a link that leads out of its directory")
    try:
        return os.open(target, _FILE, dir_fd=place)
    except OSError as error:
        if error.errno in _LINK:
            raise PotFailed(f"{directory / name} is a link to a link") from None
        raise
