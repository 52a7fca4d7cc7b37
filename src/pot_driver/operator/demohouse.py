"""The demo's own directory: made afresh for each run, removed after it; what killed runs left is swept first.

Not here: the steps (see `demo`).
"""

from __future__ import annotations

import os
import subprocess
import threading
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self

from pot_driver.operator import ports, scratch
from pot_driver.operator.installation import NoPot, pot_sim
from pot_driver.operator.job import PortAsk
from pot_driver.operator.scratch import Scratch

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

_COMMAND_S = 60.0


class House:
    """`sim` is the simulator's root, `allocs` the client's alloc_dir."""

    def __init__(self) -> None:
        prefix = f"pot-driver-demo-{os.getuid()}."
        self._older = scratch.left(prefix)
        self._scratch = Scratch.make(prefix)
        self.sim = self._scratch.path / "sim"
        self.allocs = self._scratch.path / "allocs"
        self.remember = self._scratch.remember
        self._server: ThreadingHTTPServer | None = None

    async def __aenter__(self) -> Self:
        for path in self._older:
            if killed := Scratch.take(path):
                await killed.end_plugins()
                _empty(killed)
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
        _empty(self._scratch)

    def serve(self, directory: Path) -> str:
        """A plain HTTP file server; its URL."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(directory)))
        threading.Thread(target=self._server.serve_forever, name="images", daemon=True).start()
        return f"http://127.0.0.1:{self._server.server_port}"

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


def _empty(house: Scratch) -> None:
    """Pots first, then all files."""
    with suppress(NoPot):
        pot_sim(house.path / "sim", "reset")
    house.remove()


def _run(*argv: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in argv],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=_COMMAND_S,
    )
