"""Images for pot's cache: a mirror that behaves as badly as servers do, and the room that fetches from it.

Not here: fixtures (see `conftest`).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from pot_driver.config import DownloadOptions
from pot_driver.images import Images
from pot_driver.images.download import PART
from pot_driver.pot.layout import PotPaths
from pot_driver.spec import ImageRef

WEB = {"/web_1.0.xz": b"image" * 100_000, "/web_1.0.xz.skein": b"hash", "/web_1.0.xz.meta": b"-\n"}
NAMES = sorted(path[1:] for path in WEB)

Answer = bytes | int | Callable[["Handler"], None]


class Mirror(ThreadingHTTPServer):
    """Answers as told: bytes are a file, a number is a status, a function does what it likes."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, Answer] = {}
        self.requests: list[str] = []
        self.authorizations: list[str | None] = []

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that leave are no news."""


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Mirror  # type: ignore[mutable-override]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer as told."""
        self.server.requests.append(self.path)
        self.server.authorizations.append(self.headers.get("Authorization"))
        answer = self.server.answers.get(self.path, 404)
        if callable(answer):
            answer(self)
        elif isinstance(answer, int):
            self.send_error(answer)
        else:
            self.head(len(answer))
            self.wfile.write(answer)

    def head(self, length: int) -> None:
        """Begin a file."""
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Be quiet."""


class Cache:
    """A host with pot's cache, and the room that fills it."""

    def __init__(self, root: Path, clock: Any) -> None:
        self.paths = PotPaths(fs_root=root / "pot", cache=root / "cache")
        self.paths.cache.mkdir()
        self.idle_s, self.limit_s, self.max_parallel = 10.0, 30.0, 2
        self.images = Images(clock, self._paths, self._options)
        self.told: list[str] = []

    async def _paths(self) -> PotPaths:
        return self.paths

    def _options(self) -> DownloadOptions:
        return DownloadOptions(inactivity_timeout_s=self.idle_s, timeout_s=self.limit_s, max_parallel=self.max_parallel)

    async def ensure(self, url: str, pot: str = "web", tag: str = "1.0", *, key: str | None = None) -> None:
        """Bring an image."""
        image = ImageRef(url=url, pot=pot, tag=tag, signature_pubkey=key)
        async with asyncio.timeout(40):
            await self.images.ensure(image, self.told.append)

    def imported(self, name: str) -> None:
        """Let pot have it."""
        self.paths.conf_dir(name).mkdir(parents=True)
        self.paths.root(name).mkdir()
        self.paths.conf(name).touch()

    def files(self) -> list[str]:
        """What is in the cache, hidden files too, but for the marks of use."""
        return sorted(path.name for path in self.paths.cache.iterdir() if path.suffix != ".used")


def slowly(gate: threading.Event) -> Callable[[Handler], None]:
    """Half of the file, the gate, the other half."""

    def answer(handler: Handler) -> None:
        content = WEB["/web_1.0.xz"]
        handler.head(len(content))
        handler.wfile.write(content[:300_000])
        gate.wait(30)
        handler.wfile.write(content[300_000:])

    return answer


def redirect(target: str) -> Callable[[Handler], None]:
    """Send somewhere else."""

    def answer(handler: Handler) -> None:
        handler.send_response(302)
        handler.send_header("Location", target)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


async def until(true: Callable[[], bool]) -> None:
    """Wait for another thread's work to show."""
    while not true():  # noqa: ASYNC110 - a thread's doing
        await asyncio.sleep(0.01)


async def no_part_files(cache: Cache) -> None:
    """Wait for an abandoned thread to clean up."""
    async with asyncio.timeout(10):
        await until(lambda: not any(name.endswith(PART) for name in cache.files()))
