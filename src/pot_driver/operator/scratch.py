"""The directory of one run: what must be gone after it, and by what a later run finds what a killed one has left.

    DIRECTORY/lock     held by the run for as long as it lives
              plugins  the plugins that it has launched, a line of JSON each

Not here: pots (the caller removes them before the directory).
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from pot_driver.operator.host import Handshake, Plugin, Reattach

if TYPE_CHECKING:
    from collections.abc import Iterator


class Scratch:
    """A directory that this process holds; `remove` ends it."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock

    @classmethod
    def make(cls, prefix: str) -> Scratch:
        """A new one below the directory for temporary files."""
        path = Path(tempfile.mkdtemp(prefix=prefix))
        lock = _locked(path)
        if lock is None:
            raise FileExistsError(path)  # nobody else knows its name yet
        return cls(path, lock)

    @classmethod
    def take(cls, path: Path) -> Scratch | None:
        """One whose run was killed; None while that run lives, or where the directory is not ours."""
        try:
            lock = _locked(path) if is_ours(path) else None
        except OSError:
            return None
        return None if lock is None else cls(path, lock)

    def remember(self, plugin: Plugin) -> None:
        """So that a later run can end the plugin if this one is killed."""
        with (self.path / "plugins").open("a") as file:
            file.write(json.dumps(asdict(plugin.reattach_config)) + "\n")

    async def end_plugins(self) -> None:
        """End those that the killed run has left, and the sockets of those that were killed, too."""
        for plugin in self._plugins():
            with suppress(TimeoutError):
                await (await Plugin.reattach(plugin)).kill()

    def remove(self) -> None:
        """Delete it, unless something is mounted in it; what cannot be deleted stays."""
        for plugin in self._plugins():
            socket = Path(plugin.handshake.address)
            with suppress(OSError):
                socket.unlink(missing_ok=True)
                socket.parent.rmdir()
        if not any(os.path.ismount(directory) for directory, _, _ in os.walk(self.path)):
            shutil.rmtree(self.path, ignore_errors=True)
        self.release()

    def release(self) -> None:
        """Hold it no longer."""
        os.close(self._lock)

    def _plugins(self) -> Iterator[Reattach]:
        with suppress(FileNotFoundError, ValueError, KeyError, TypeError):  # its writer was killed
            for line in (self.path / "plugins").read_text().splitlines():
                one = json.loads(line)
                yield Reattach(pid=one["pid"], handshake=Handshake(**one["handshake"]))


def left(prefix: str) -> list[Path]:
    """All directories of this prefix that are ours, of running and of killed runs."""
    return sorted(path for path in Path(tempfile.gettempdir()).glob(f"{prefix}*") if is_ours(path))


def is_ours(path: Path) -> bool:
    """Whether we made it: others may write to the directory for temporary files."""
    return path.is_dir() and not path.is_symlink() and path.stat().st_uid == os.getuid()


def _locked(root: Path) -> int | None:
    """A lock that the kernel lets go when its holder dies."""
    fd = os.open(root / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd
