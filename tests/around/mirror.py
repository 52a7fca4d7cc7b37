"""Images for pot's cache: a mirror that behaves as badly as servers do, and the room that fetches from it.

Not here: fixtures (see `conftest`).
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgpack

from pot_driver.clock import SystemClock
from pot_driver.config import PluginConfig, decode_plugin
from pot_driver.images import Images, LocalImage
from pot_driver.images.transfer import Retries
from pot_driver.pot.cli import Pot
from pot_driver.pot.layout import PotPaths
from pot_driver.process import Processes
from pot_driver.spec import ImageRef


def skein(content: bytes, meta: bytes = b"-\n") -> bytes:
    """What the stand-in of skein1024 says of an image and its .meta."""
    return (hashlib.sha256(content + meta).hexdigest() * 4 + "\n").encode()


def image_files(name: str, content: bytes, meta: bytes = b"-\n") -> dict[str, bytes]:
    """An image as a mirror has it."""
    return {f"/{name}.xz": content, f"/{name}.xz.skein": skein(content, meta), f"/{name}.xz.meta": meta}


CONTENT = b"image" * 100_000
WEB = image_files("web_1.0", CONTENT)
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
        self.ranges: list[str | None] = []

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
        self.server.ranges.append(self.headers.get("Range"))
        self.answer(self.server.answers.get(self.path, 404))

    def answer(self, answer: Answer) -> None:
        """One of the kinds of answers."""
        if callable(answer):
            answer(self)
        elif isinstance(answer, int):
            self.send_error(answer)
        else:
            self.head(len(answer))
            self.wfile.write(answer)

    def head(self, length: int, *, etag: str = '"one"') -> None:
        """Begin a file."""
        self.send_response(200)
        self.send_header("ETag", etag)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Be quiet."""


class CacheClock(SystemClock):
    """The time of day by hand, deadlines as they are."""

    def __init__(self, hand: Any) -> None:
        self._hand = hand

    def now_s(self) -> float:
        """As the test says."""
        return float(self._hand.now)


class Cache:
    """A host with pot's cache, and the room that fills it."""

    def __init__(self, host: Any, clock: Any, tasks: asyncio.TaskGroup) -> None:
        root = host.root
        self.store_paths = PotPaths(fs_root=root / "pot", cache=root / "cache")
        self.processes: Processes = host.processes
        self.pot: Pot = host.pot
        self.block: dict[str, Any] = {}
        self.download: dict[str, Any] = {"inactivity_timeout": "10s", "timeout": "30s"}
        self.environ: dict[str, str] = {"HOME": str(root)}
        self.images = Images(
            CacheClock(clock), lambda: self, tasks, self.environ, Retries(times=2, first_s=0.01, longest_s=0.02)
        )
        self.told: list[str] = []

    @property
    def config(self) -> PluginConfig:
        """What the test says, as an agent sends it."""
        return decode_plugin(msgpack.packb({**self.block, "download": self.download}))

    async def paths(self) -> PotPaths:
        """Where pot keeps its files."""
        return self.store_paths

    async def ensure(
        self, url: str, pot: str = "web", tag: str = "1.0", *, key: str | None = None, **how: bool
    ) -> LocalImage:
        """Bring an image."""
        image = ImageRef(url=url, pot=pot, tag=tag, signature_pubkey=key, **how)
        async with asyncio.timeout(40):
            return await self.images.ensure(image, self.told.append)

    def imported(self, name: str) -> None:
        """Let pot have it."""
        self.store_paths.conf_dir(name).mkdir(parents=True)
        (self.store_paths.root(name) / "bin").mkdir(parents=True)
        self.store_paths.conf(name).touch()

    def files(self) -> list[str]:
        """What of images is in the cache under a name that pot knows."""
        return sorted(path.name for path in self.store_paths.cache.glob("[!.]*"))

    def part_size(self) -> int:
        """How much of an image is on its way."""
        return sum(path.stat().st_size for path in self.store_paths.cache.glob(".fetch-*/image"))

    def on_the_way(self) -> list[str]:
        """The files of downloads that have not ended."""
        return sorted(path.name for path in self.store_paths.cache.glob(".fetch-*/*"))


def slowly(gate: threading.Event) -> Callable[[Handler], None]:
    """Half of the file, the gate, the other half."""

    def answer(handler: Handler) -> None:
        content = WEB["/web_1.0.xz"]
        handler.head(len(content))
        handler.wfile.write(content[:300_000])
        gate.wait(30)
        handler.wfile.write(content[300_000:])

    return answer


def cut_at(size: int, *, etag: str = '"one"') -> Callable[[Handler], None]:
    """The file's beginning, then the end of the connection."""

    def answer(handler: Handler) -> None:
        content = WEB["/web_1.0.xz"]
        handler.head(len(content), etag=etag)
        handler.wfile.write(content[:size])
        handler.close_connection = True

    return answer


def from_offset(handler: Handler) -> None:
    """The rest of the file."""
    content = WEB["/web_1.0.xz"]
    offset = int((handler.headers["Range"] or "bytes=0-").removeprefix("bytes=").rstrip("-"))
    assert handler.headers["If-Range"] == '"one"'
    handler.send_response(206)
    handler.send_header("Content-Range", f"bytes {offset}-{len(content) - 1}/{len(content)}")
    handler.send_header("Content-Length", str(len(content) - offset))
    handler.end_headers()
    handler.wfile.write(content[offset:])


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
