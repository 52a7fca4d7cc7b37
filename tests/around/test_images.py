"""Images come into pot's cache from a real HTTP server that behaves as badly as servers do."""

from __future__ import annotations

import asyncio
import base64
import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pot_driver import images as images_room
from pot_driver.config import DownloadOptions
from pot_driver.errors import DriverError, PotFailed, TryAgain
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


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    """A server with one image."""
    server = Mirror()
    server.answers.update(WEB)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


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


@pytest.fixture
def cache(tmp_path: Path, clock: Any) -> Cache:
    """An empty one."""
    return Cache(tmp_path, clock)


async def test_an_image_is_three_files(mirror: Mirror, cache: Cache) -> None:
    """They are byte for byte what the server has, and the event names the URL."""
    await cache.ensure(mirror.url)

    assert cache.files() == NAMES
    assert all((cache.paths.cache / path[1:]).read_bytes() == content for path, content in WEB.items())
    assert cache.told == [f"Downloading image {mirror.url}/web_1.0.xz"]


async def test_the_url_may_end_with_a_slash(mirror: Mirror, cache: Cache) -> None:
    """Jobs have it both ways."""
    await cache.ensure(f"{mirror.url}/")

    assert cache.files() == NAMES


async def test_a_cached_image_needs_no_network(mirror: Mirror, cache: Cache) -> None:
    """Also when it has no .meta."""
    await cache.ensure(mirror.url)
    (cache.paths.cache / "web_1.0.xz.meta").unlink()
    mirror.requests.clear()

    await cache.ensure(mirror.url)

    assert mirror.requests == []
    assert len(cache.told) == 1


async def test_an_imported_image_needs_no_network(mirror: Mirror, cache: Cache) -> None:
    """Pot has replaced the dot in its name."""
    cache.imported("web_1_0")

    await cache.ensure(mirror.url)

    assert mirror.requests == []
    assert cache.files() == []
    assert cache.told == []


async def test_a_missing_meta_is_tolerated(mirror: Mirror, cache: Cache) -> None:
    """As pot does."""
    del mirror.answers["/web_1.0.xz.meta"]

    await cache.ensure(mirror.url)

    assert cache.files() == ["web_1.0.xz", "web_1.0.xz.skein"]


async def test_what_is_there_is_not_fetched_again(mirror: Mirror, cache: Cache) -> None:
    """A plugin that died half way has the rest left to do."""
    (cache.paths.cache / "web_1.0.xz.skein").write_bytes(b"hash")

    await cache.ensure(mirror.url)

    assert mirror.requests == ["/web_1.0.xz.meta", "/web_1.0.xz"]


async def test_a_signature_is_fetched_when_it_will_be_checked(mirror: Mirror, cache: Cache) -> None:
    """And must be there then."""
    with pytest.raises(PotFailed, match=r"web_1\.0\.xz\.skein\.sig: HTTP 404"):
        await cache.ensure(mirror.url, key="/etc/key.pub")
    mirror.answers["/web_1.0.xz.skein.sig"] = b"signature"

    await cache.ensure(mirror.url, key="/etc/key.pub")

    assert "web_1.0.xz.skein.sig" in cache.files()


async def test_layers_bring_their_parents(mirror: Mirror, cache: Cache) -> None:
    """Up to the one that pot has, or to the end; a circle is not followed."""
    for name, parent in (("app_2", b"mid:3@snap"), ("mid_3", b"web:1.0@1234\n"), ("a_1", b"b:1@s"), ("b_1", b"a:1@s")):
        mirror.answers |= {f"/{name}.xz": b"x", f"/{name}.xz.skein": b"h", f"/{name}.xz.meta": parent}

    await cache.ensure(mirror.url, "app", "2")
    await cache.ensure(mirror.url, "a", "1")

    stored = {name for name in cache.files() if name.endswith(".xz")}
    assert stored == {"app_2.xz", "mid_3.xz", "web_1.0.xz", "a_1.xz", "b_1.xz"}


async def test_a_cached_layer_brings_missing_parents(mirror: Mirror, cache: Cache) -> None:
    """The parents that pot has imported are not asked for."""
    cache.imported("base_1")
    for name, content in (("app_2.xz", b"x"), ("app_2.xz.skein", b"h"), ("app_2.xz.meta", b"web:1.0@s")):
        (cache.paths.cache / name).write_bytes(content)
    mirror.answers["/web_1.0.xz.meta"] = b"base:1@s"

    await cache.ensure(mirror.url, "app", "2")

    assert sorted(mirror.requests) == sorted(WEB)


async def test_strange_meta_is_left_to_pot(mirror: Mirror, cache: Cache) -> None:
    """In particular it names no file outside the cache."""
    mirror.answers["/web_1.0.xz.meta"] = b"../../evil:1@s"

    await cache.ensure(mirror.url)

    assert sorted(mirror.requests) == sorted(WEB)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(404, PotFailed), (403, PotFailed), (400, PotFailed), (500, TryAgain), (503, TryAgain), (429, TryAgain)],
)
async def test_a_refusal_names_url_and_status(
    mirror: Mirror, cache: Cache, status: int, kind: type[DriverError]
) -> None:
    """What may pass by itself is tried again by Nomad, and the rest is not."""
    mirror.answers["/web_1.0.xz"] = status

    with pytest.raises(kind, match=rf"cannot download {mirror.url}/web_1\.0\.xz: HTTP {status} \w+"):
        await cache.ensure(mirror.url)

    assert cache.files() == ["web_1.0.xz.meta", "web_1.0.xz.skein"]


async def test_a_server_that_is_not_there_may_come_back(mirror: Mirror, cache: Cache) -> None:
    """Refused connections and unknown names are passing."""
    url = mirror.url
    mirror.shutdown()
    mirror.server_close()

    with pytest.raises(TryAgain, match=r"cannot download http://127.*\.skein: Connection refused"):
        await cache.ensure(url)
    with pytest.raises(TryAgain, match=r"cannot download http://mirror\.invalid/web_1\.0\.xz\.skein: "):
        await cache.ensure("http://mirror.invalid")


async def test_a_cut_off_file_is_not_a_file(mirror: Mirror, cache: Cache) -> None:
    """Nothing half is ever under the final name, and nothing is left of it."""

    def cut(handler: Handler) -> None:
        handler.head(1000)
        handler.wfile.write(b"x" * 10)
        handler.close_connection = True

    mirror.answers["/web_1.0.xz"] = cut

    with pytest.raises(TryAgain, match="the connection ended after 10 of 1000 bytes"):
        await cache.ensure(mirror.url)

    assert cache.files() == ["web_1.0.xz.meta", "web_1.0.xz.skein"]
    mirror.answers.update(WEB)
    await cache.ensure(mirror.url)
    assert cache.files() == NAMES


async def test_not_http_is_told(mirror: Mirror, cache: Cache) -> None:
    """Whatever answers on that port."""

    def babble(handler: Handler) -> None:
        handler.wfile.write(b"SSH-2.0-OpenSSH\r\n")
        handler.close_connection = True

    mirror.answers["/web_1.0.xz.skein"] = babble

    with pytest.raises(TryAgain, match="is not HTTP"):
        await cache.ensure(mirror.url)


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What a slow server waits for; open at the end of the test."""
    event = threading.Event()
    yield event
    event.set()


def slowly(gate: threading.Event) -> Callable[[Handler], None]:
    """Half of the file, the gate, the other half."""

    def answer(handler: Handler) -> None:
        content = WEB["/web_1.0.xz"]
        handler.head(len(content))
        handler.wfile.write(content[:300_000])
        gate.wait(30)
        handler.wfile.write(content[300_000:])

    return answer


async def test_silence_has_a_limit(mirror: Mirror, cache: Cache, gate: threading.Event) -> None:
    """No byte for so long: try again."""
    mirror.answers["/web_1.0.xz"] = slowly(gate)
    cache.idle_s = 0.3

    with pytest.raises(TryAgain, match=r"web_1\.0\.xz: no data for 0\.3 s"):
        await cache.ensure(mirror.url)

    assert cache.files() == ["web_1.0.xz.meta", "web_1.0.xz.skein"]


async def test_a_trickle_has_a_limit(mirror: Mirror, cache: Cache) -> None:
    """However lively it is; the thread that reads it notices and cleans up."""

    def trickle(handler: Handler) -> None:
        handler.head(1_000_000)
        while True:
            handler.wfile.write(b"x")
            threading.Event().wait(0.01)

    mirror.answers["/web_1.0.xz"] = trickle
    cache.limit_s = 0.4

    with pytest.raises(TryAgain, match=r"web_1\.0\.xz: 0\.0 of 1\.0 MiB after 0\.4 s, the limit"):
        await cache.ensure(mirror.url)

    await no_part_files(cache)


async def test_many_wait_for_one_download(mirror: Mirror, cache: Cache, gate: threading.Event) -> None:
    """Each task has its event; one that gives up harms no other."""
    mirror.answers["/web_1.0.xz"] = slowly(gate)

    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(cache.ensure(mirror.url)) for _ in range(10)]
        await until(lambda: "/web_1.0.xz" in mirror.requests)
        waiting[0].cancel()
        await asyncio.wait([waiting[0]])
        gate.set()

    assert sorted(mirror.requests) == sorted(WEB)
    assert cache.files() == NAMES
    assert cache.told == [f"Downloading image {mirror.url}/web_1.0.xz"] * 10


async def test_a_failure_is_everyones(mirror: Mirror, cache: Cache) -> None:
    """And the next attempt is a new one."""
    mirror.answers["/web_1.0.xz"] = 503
    outcomes = await asyncio.gather(*(cache.ensure(mirror.url) for _ in range(3)), return_exceptions=True)
    mirror.answers.update(WEB)

    await cache.ensure(mirror.url)

    assert [type(outcome) for outcome in outcomes] == [TryAgain] * 3
    assert cache.files() == NAMES


async def test_when_nobody_waits_any_more_the_download_ends(
    mirror: Mirror, cache: Cache, gate: threading.Event
) -> None:
    """Its part is removed, and a new attempt begins afresh at once."""
    mirror.answers["/web_1.0.xz"] = slowly(gate)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(cache.ensure(mirror.url))
        await until(lambda: any(name.endswith(PART) for name in cache.files()))
        waiting.cancel()
    mirror.answers.update(WEB)

    await cache.ensure(mirror.url)
    gate.set()

    await no_part_files(cache)
    assert cache.files() == NAMES
    assert (cache.paths.cache / "web_1.0.xz").read_bytes() == WEB["/web_1.0.xz"]


async def test_the_same_image_from_two_places_is_not_mixed(mirror: Mirror, cache: Cache, gate: threading.Event) -> None:
    """Pot's cache knows names only: the first place wins, the second asks for nothing."""
    mirror.answers["/web_1.0.xz"] = slowly(gate)
    mirror.answers |= {f"/other{path}": b"other" for path in WEB}

    async with asyncio.TaskGroup() as group:
        group.create_task(cache.ensure(mirror.url))
        await until(lambda: "/web_1.0.xz" in mirror.requests)
        group.create_task(cache.ensure(f"{mirror.url}/other"))
        await asyncio.sleep(0.1)
        gate.set()

    assert sorted(mirror.requests) == sorted(WEB)


async def test_only_so_many_at_a_time(mirror: Mirror, cache: Cache, gate: threading.Event) -> None:
    """Others wait for their turn."""
    cache.max_parallel = 1
    mirror.answers["/web_1.0.xz"] = slowly(gate)
    mirror.answers |= {"/db_1.xz": b"x", "/db_1.xz.skein": b"h", "/db_1.xz.meta": b"-"}

    async with asyncio.TaskGroup() as group:
        group.create_task(cache.ensure(mirror.url))
        await until(lambda: "/web_1.0.xz" in mirror.requests)
        group.create_task(cache.ensure(mirror.url, "db", "1"))
        await until(lambda: "Waiting for other image downloads" in cache.told)
        requests = list(mirror.requests)
        gate.set()

    assert not any("db" in path for path in requests)
    assert "db_1.xz" in cache.files()


async def test_progress_is_told_with_sizes(
    mirror: Mirror, cache: Cache, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seldom enough for Nomad's ten events."""
    assert images_room.PROGRESS_S == 10.0
    monkeypatch.setattr(images_room, "PROGRESS_S", 0.1)
    mirror.answers["/web_1.0.xz"] = slowly(gate)

    async with asyncio.TaskGroup() as group:
        group.create_task(cache.ensure(mirror.url))
        expected = f"Downloading image {mirror.url}/web_1.0.xz: 0.3 of 0.5 MiB"
        await until(lambda: expected in cache.told)
        gate.set()


async def test_credentials_go_to_their_server_and_nowhere_else(mirror: Mirror, cache: Cache) -> None:
    """Not to the target of a redirection on another host; not into events; not into errors."""
    other = Mirror()
    other.answers.update(WEB)
    thread = threading.Thread(target=other.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        mirror.answers["/private/web_1.0.xz.skein"] = redirect("/web_1.0.xz.skein")
        mirror.answers["/private/web_1.0.xz.meta"] = WEB["/web_1.0.xz.meta"]
        mirror.answers["/private/web_1.0.xz"] = redirect(f"{other.url}/web_1.0.xz")
        url = mirror.url.replace("http://", "http://us%40er:s3cr%3At@")

        await cache.ensure(f"{url}/private")
    finally:
        other.shutdown()
        other.server_close()
        thread.join()

    basic = "Basic " + base64.b64encode(b"us@er:s3cr:t").decode()
    assert mirror.authorizations == [basic] * 4
    assert other.authorizations == [None]
    assert "s3cr" not in "".join(cache.told)
    for path in ("/nothing", "/private"):
        mirror.answers["/private/db_1.xz.skein"] = redirect("http://us:s3cr@127.0.0.1:no/x")
        with pytest.raises(DriverError) as caught:
            await cache.ensure(f"{url}{path}", "db", "1")
        assert "s3cr" not in str(caught.value)


def redirect(target: str) -> Callable[[Handler], None]:
    """Send somewhere else."""

    def answer(handler: Handler) -> None:
        handler.send_response(302)
        handler.send_header("Location", target)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


@pytest.mark.parametrize("target", ["/web_1.0.xz", "file:///etc/passwd", "ftp://127.0.0.1/x"])
async def test_redirections_that_lead_nowhere_are_failures(mirror: Mirror, cache: Cache, target: str) -> None:
    """In a circle, or to what is not a web server: never to this host's files."""
    mirror.answers["/web_1.0.xz"] = redirect(target)

    with pytest.raises(PotFailed, match="HTTP 302, and the redirection leads nowhere"):
        await cache.ensure(mirror.url)


async def test_images_can_be_files(cache: Cache, tmp_path: Path) -> None:
    """With the same errors."""
    source = tmp_path / "my images"
    source.mkdir()
    for path, content in WEB.items():
        (source / path[1:]).write_bytes(content)
    url = source.as_uri()

    await cache.ensure(url)

    assert cache.files() == NAMES
    with pytest.raises(PotFailed, match=r"cannot download file:///.*/nope_1\.0\.xz\.skein: there is no such file"):
        await cache.ensure(url, "nope")


async def test_other_schemes_are_pots_affair(cache: Cache) -> None:
    """Its fetch knows ftp."""
    await cache.ensure("ftp://mirror.invalid/images")

    assert cache.told == []


async def test_without_a_cache_pot_fetches_by_itself(mirror: Mirror, cache: Cache) -> None:
    """Pot makes the directory; we do not."""
    cache.paths.cache.rmdir()

    await cache.ensure(mirror.url)

    assert mirror.requests == []
    assert not cache.paths.cache.exists()


async def test_leftovers_of_a_killed_plugin_are_removed(mirror: Mirror, cache: Cache, clock: Any) -> None:
    """Those that nobody writes any more; another's living download stays."""
    dead = cache.paths.cache / f".web_1.0.xz.dead{PART}"
    living = cache.paths.cache / f".db_1.xz.living{PART}"
    for path, age_s in ((dead, 60), (living, 1)):
        path.touch()
        os.utime(path, (clock.now - age_s, clock.now - age_s))

    await cache.ensure(mirror.url)

    assert cache.files() == sorted([living.name, *NAMES])


@pytest.mark.namespaces
async def test_a_full_disk_is_told_by_its_directory(mirror: Mirror, cache: Cache, full_disk: Path) -> None:
    """It may be emptied: try again."""
    cache.paths = PotPaths(fs_root=cache.paths.fs_root, cache=full_disk)

    with pytest.raises(TryAgain, match=f"cannot write the image to {full_disk}: No space left on device"):
        await cache.ensure(mirror.url)

    assert cache.files() == ["web_1.0.xz.meta", "web_1.0.xz.skein"]


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0 or os.spawnvp(
        os.P_WAIT, "mount", ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(disk)]
    ):
        pytest.skip("cannot mount a small file system: needs root")
    yield disk
    os.spawnvp(os.P_WAIT, "umount", ["umount", str(disk)])


async def until(true: Callable[[], bool]) -> None:
    """Wait for another thread's work to show."""
    while not true():  # noqa: ASYNC110 - a thread's doing
        await asyncio.sleep(0.01)


async def no_part_files(cache: Cache) -> None:
    """Wait for an abandoned thread to clean up."""
    async with asyncio.timeout(10):
        await until(lambda: not any(name.endswith(PART) for name in cache.files()))
