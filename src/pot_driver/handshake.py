"""go-plugin's way in: the cookie, the place of the socket, the one line on stdout.

There is no TLS: Nomad never asks a driver for it (its hosts must be able to reattach), so certificate variables
that leak in from the agent's own environment mean nothing here; the socket's directory guards the way instead.

Not here: serving (see `app`).
"""

from __future__ import annotations

import grp
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

COOKIE = (
    "NOMAD_PLUGIN_MAGIC_COOKIE",
    "e4327c2e01eabfd75a8a67adb114fb34a757d57eee7728d857a8cec6e91a7255",
)
CORE_PROTOCOL = 1
APP_PROTOCOL = 2  # Nomad's

SOCKET_DIR = "PLUGIN_UNIX_SOCKET_DIR"
SOCKET_GROUP = "PLUGIN_UNIX_SOCKET_GROUP"

_PATH_LIMIT = 103  # bytes; what FreeBSD's sockaddr_un holds beside the final NUL
_PREFIX = "pot-driver-"
_SOCKET_NAME = "s"


def invited(environ: Mapping[str, str]) -> bool:
    """Whether a host has launched us."""
    name, value = COOKIE
    return environ.get(name) == value


def line(socket: Path) -> str:
    """What the host reads on stdout once we listen."""
    return f"{CORE_PROTOCOL}|{APP_PROTOCOL}|unix|{socket}|grpc\n"


class SocketPlace:
    """A fresh directory with room for one socket, which the host may dial again for as long as we live."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.group = _group(environ.get(SOCKET_GROUP, ""))
        self.directory = _fresh_directory(environ)
        self.path = self.directory / _SOCKET_NAME

    def admit(self) -> None:
        """Open the socket to whom it is for: us, and the group if there is one."""
        if self.group is None:
            self.path.chmod(0o600)
            return
        for path, mode in ((self.path, 0o660), (self.directory, 0o710)):
            os.chown(path, -1, self.group)
            path.chmod(mode)

    def touch(self) -> None:
        """Look alive to those who clean up temporary directories: a host that reattaches dials this very path."""
        with suppress(OSError):
            os.utime(self.directory)
            os.utime(self.path)

    def remove(self) -> None:
        """Leave nothing behind."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)
            self.directory.rmdir()


def _group(name: str) -> int | None:
    """The group's number. An unknown name is nobody: it may have leaked in from the agent's own environment."""
    if name.isdecimal():
        return int(name)
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return None


def _fresh_directory(environ: Mapping[str, str]) -> Path:
    """A new 0700 directory where the host wants it, or where temporary files go, or in /tmp."""
    for parent in filter(None, (environ.get(SOCKET_DIR), environ.get("TMPDIR"))):
        if _has_room(parent):
            with suppress(OSError):
                return _make(parent)
    return _make("/tmp")  # noqa: S108 - a fresh directory of our own


def _has_room(parent: str) -> bool:
    """Whether the socket's path fits into a socket address and into the handshake line."""
    path = str(_fresh(parent) / _SOCKET_NAME)
    return len(os.fsencode(path)) <= _PATH_LIMIT and "|" not in path and path.isprintable()


def _make(parent: str) -> Path:
    directory = _fresh(parent)
    directory.mkdir(mode=0o700)
    return directory


def _fresh(parent: str) -> Path:
    """A name that nobody has: tempfile would do as well, and costs more than all the rest of this module."""
    return Path(parent).absolute() / f"{_PREFIX}{os.urandom(8).hex()}"
