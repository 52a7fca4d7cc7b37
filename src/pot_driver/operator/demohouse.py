"""The demo's own directory: made afresh for each run, removed after it; what killed runs left is swept first.

Not here: the steps (see `demo`).
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import tempfile
import threading
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pot_driver.operator import ports
from pot_driver.operator.host import Handshake, Plugin, Reattach
from pot_driver.operator.installation import NoPot, pot_sim
from pot_driver.operator.job import PortAsk

if TYPE_CHECKING:
    from types import TracebackType

_COMMAND_S = 60.0


class House:
    """`sim` is the simulator's root, `allocs` the client's alloc_dir."""

    def __init__(self) -> None:
        prefix = f"pot-driver-demo-{os.getuid()}."
        self._older = [path for path in Path(tempfile.gettempdir()).glob(f"{prefix}*") if _mine(path)]
        self.root = Path(tempfile.mkdtemp(prefix=prefix))
        self.sim = self.root / "sim"
        self.allocs = self.root / "allocs"
        self._lock = _locked(self.root)
        self._server: ThreadingHTTPServer | None = None

    async def __aenter__(self) -> Self:
        for path in self._older:
            await _sweep(path)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server:
            self._server.shutdown()
            self._server.server_close()
        _empty(self.root)
        if self._lock is not None:
            os.close(self._lock)

    def serve(self, directory: Path) -> str:
        """A plain HTTP file server; its URL."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(directory)))
        threading.Thread(target=self._server.serve_forever, name="images", daemon=True).start()
        return f"http://127.0.0.1:{self._server.server_port}"

    def remember(self, plugin: Plugin) -> None:
        """So that a later run can end the plugin if this one is killed."""
        with (self.root / "plugins").open("a") as file:
            file.write(json.dumps(asdict(plugin.reattach_config)) + "\n")

    def leftovers(self, pot_name: str) -> list[str]:
        """What there still is of a pot that should be gone."""
        paths = [self.sim / "opt/pot/jails" / pot_name, *self.allocs.glob("*")]
        paths += (self.sim / "driver").rglob(f"*{pot_name}*")
        left = [str(path) for path in paths if path.exists()]
        if not _run(self.sim / "bin/jls", "-j", pot_name, "jid").returncode:
            left.append(f"jail {pot_name}")
        with suppress(FileNotFoundError):
            processes = _run("ps", "-A", "-o", "pid=", "-o", "args=").stdout.splitlines()
            left += [f"process {line.strip()}" for line in processes if pot_name in line]
        return left


def free_port() -> int:
    """Not the job file's own port: another demo may be about to take it."""
    return ports.allocate([PortAsk(label="http")], "")[0].value


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing: the demo tells of the download."""


async def _sweep(root: Path) -> None:
    lock = _locked(root)
    if lock is None:
        return  # that demo is running
    for plugin in _plugins(root):
        with suppress(TimeoutError):
            await (await Plugin.reattach(plugin)).kill()
    _empty(root)
    os.close(lock)


def _plugins(root: Path) -> list[Reattach]:
    try:
        lines = (root / "plugins").read_text().splitlines()
    except FileNotFoundError:
        return []
    kept = (json.loads(line) for line in lines)
    return [Reattach(pid=one["pid"], handshake=Handshake(**one["handshake"])) for one in kept]


def _empty(root: Path) -> None:
    """Pots, then the sockets that killed plugins could not take with them, then all files."""
    with suppress(NoPot):
        pot_sim(root / "sim", "reset")
    for plugin in _plugins(root):
        socket = Path(plugin.handshake.address)
        with suppress(OSError):
            socket.unlink(missing_ok=True)
            socket.parent.rmdir()
    shutil.rmtree(root, ignore_errors=True)


def _run(*argv: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in argv],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=_COMMAND_S,
    )


def _mine(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink() and path.stat().st_uid == os.getuid()


def _locked(root: Path) -> int | None:
    """A lock that the kernel lets go when its holder dies."""
    fd = os.open(root / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd
