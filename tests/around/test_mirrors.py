"""Servers of images fail, lie, dawdle and redirect; each is told for what it is."""

from __future__ import annotations

import asyncio
import base64
import threading

import pytest

from pot_driver.errors import DriverError, PotFailed, TryAgain

from .mirror import CONTENT, NAMES, WEB, Cache, Handler, Mirror, cut_at, redirect, skein, slowly


@pytest.mark.parametrize(
    ("status", "kind"),
    [(404, PotFailed), (403, PotFailed), (400, PotFailed), (500, TryAgain), (503, TryAgain), (429, TryAgain)],
)
async def test_a_refusal_names_url_and_status(
    mirror: Mirror, cache: Cache, status: int, kind: type[DriverError]
) -> None:
    """What may pass by itself is tried again by Nomad, and the rest is not."""
    mirror.answers["/web_1.0.xz"] = status

    with pytest.raises(kind, match=rf"{mirror.url}/web_1\.0\.xz.*HTTP {status} \w+"):
        await cache.ensure(mirror.url)

    assert cache.files() == []


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
    """Nothing half is ever under a name that pot knows."""
    mirror.answers["/web_1.0.xz"] = cut_at(10)

    with pytest.raises(TryAgain, match=r"the connection ended after 10 of 500000 bytes|broke off"):
        await cache.ensure(mirror.url)

    assert cache.files() == []
    mirror.answers.update(WEB)
    await cache.ensure(mirror.url)
    assert cache.files() == NAMES


async def test_a_bad_moment_of_the_server_passes_unnoticed(mirror: Mirror, cache: Cache) -> None:
    """It is asked again at once."""
    tries = iter([500, WEB["/web_1.0.xz"]])
    mirror.answers["/web_1.0.xz"] = lambda handler: handler.answer(next(tries))

    await cache.ensure(mirror.url)

    assert cache.files() == NAMES


async def test_a_damaged_image_is_fetched_once_more(mirror: Mirror, cache: Cache) -> None:
    """And comes to pot only with the right hash."""
    tries = iter([b"damaged" * 10, WEB["/web_1.0.xz"]])
    mirror.answers["/web_1.0.xz"] = lambda handler: handler.answer(next(tries))

    await cache.ensure(mirror.url)

    assert (cache.store_paths.cache / "web_1.0.xz").read_bytes() == CONTENT
    assert any("Downloading the image once more" in told for told in cache.told)


async def test_an_image_that_is_never_right_is_an_error_that_may_pass(mirror: Mirror, cache: Cache) -> None:
    """Twice and not for ever; pot never sees it."""
    mirror.answers["/web_1.0.xz.skein"] = skein(b"something else")

    with pytest.raises(TryAgain, match=r"image web, tag 1\.0: what .*/web_1\.0\.xz has is not what .*\.skein says"):
        await cache.ensure(mirror.url)

    assert mirror.requests.count("/web_1.0.xz") == 2
    assert cache.files() == []


async def test_what_is_no_hash_is_told(mirror: Mirror, cache: Cache) -> None:
    """For example the page of a captive portal."""
    mirror.answers["/web_1.0.xz.skein"] = b"<html>"

    with pytest.raises(TryAgain, match="is not the hash of an image"):
        await cache.ensure(mirror.url)


@pytest.mark.parametrize("said", [100 << 30, None])
async def test_an_image_larger_than_the_node_allows_is_refused(mirror: Mirror, cache: Cache, said: int | None) -> None:
    """Whether the server says so or never ends."""

    def endless(handler: Handler) -> None:
        handler.send_response(200)
        if said:
            handler.send_header("Content-Length", str(said))
        handler.end_headers()
        while True:
            handler.wfile.write(b"x" * 100_000)

    mirror.answers["/web_1.0.xz"] = endless
    cache.download["max_size"] = "3MiB"

    with pytest.raises(PotFailed, match=r"has more than 3 MiB, this node's download\.max_size"):
        await cache.ensure(mirror.url)

    assert cache.part_size() <= 3 << 20


async def test_headers_that_drip_for_ever_have_a_limit(mirror: Mirror, cache: Cache) -> None:
    """And their thread ends."""

    def drip(handler: Handler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            handler.wfile.write(b"X-A: b\r\n"[:1])
            threading.Event().wait(0.05)

    mirror.answers["/web_1.0.xz.skein"] = drip
    cache.download["header_timeout"] = "300ms"

    with pytest.raises(TryAgain, match="no end of the answer's beginning"):
        await cache.ensure(mirror.url)

    await no_threads()


async def test_not_http_is_told(mirror: Mirror, cache: Cache) -> None:
    """Whatever answers on that port."""

    def babble(handler: Handler) -> None:
        handler.wfile.write(b"SSH-2.0-OpenSSH\r\n")
        handler.close_connection = True

    mirror.answers["/web_1.0.xz.skein"] = babble

    with pytest.raises(TryAgain, match="is not HTTP"):
        await cache.ensure(mirror.url)


async def test_silence_has_a_limit(mirror: Mirror, cache: Cache, gate: threading.Event) -> None:
    """No byte for so long: try again."""
    mirror.answers["/web_1.0.xz"] = slowly(gate)
    cache.download["inactivity_timeout"] = "300ms"

    with pytest.raises(TryAgain, match=r"web_1\.0\.xz: no data for 0\.3 s"):
        await cache.ensure(mirror.url)

    assert cache.files() == []


async def test_a_trickle_has_a_limit(mirror: Mirror, cache: Cache) -> None:
    """However lively it is; the thread that reads it notices and cleans up."""

    def trickle(handler: Handler) -> None:
        handler.head(1_000_000)
        while True:
            handler.wfile.write(b"x")
            threading.Event().wait(0.01)

    mirror.answers["/web_1.0.xz"] = trickle
    cache.download["timeout"] = "400ms"

    with pytest.raises(TryAgain, match=r"web_1\.0\.xz: 0\.0 of 1\.0 MiB after 0\.4 s, the limit"):
        await cache.ensure(mirror.url)

    await no_threads()


async def test_credentials_go_to_their_server_and_nowhere_else(mirror: Mirror, cache: Cache) -> None:
    """Not to the target of a redirection on another host; not into events; not into errors."""
    other = Mirror()
    other.answers.update(WEB)
    thread = threading.Thread(target=other.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        mirror.answers["/private/web_1.0.xz.skein.sig"] = 404
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
    assert mirror.authorizations == [basic] * len(mirror.authorizations)
    assert other.authorizations == [None]
    assert "s3cr" not in "".join(cache.told)
    for path in ("/nothing", "/private"):
        mirror.answers["/private/db_1.xz.skein"] = redirect("http://us:s3cr@127.0.0.1:no/x")
        with pytest.raises(DriverError) as caught:
            await cache.ensure(f"{url}{path}", "db", "1")
        assert "s3cr" not in str(caught.value)


@pytest.mark.parametrize("target", ["/web_1.0.xz", "file:///etc/passwd", "ftp://127.0.0.1/x"])
async def test_redirections_that_lead_nowhere_are_failures(mirror: Mirror, cache: Cache, target: str) -> None:
    """In a circle, or to what is not a web server: never to this host's files."""
    mirror.answers["/web_1.0.xz"] = redirect(target)

    with pytest.raises(PotFailed, match="the redirection leads nowhere"):
        await cache.ensure(mirror.url)


async def no_threads() -> None:
    """Wait for the threads of downloads to end."""
    async with asyncio.timeout(10):
        while any(thread.name.startswith("download") for thread in threading.enumerate()):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
