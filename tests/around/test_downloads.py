"""Downloads are shared by those who wait for them, and take their turn."""

from __future__ import annotations

import asyncio
import threading

import pytest

from pot_driver import images as images_room
from pot_driver.errors import TryAgain
from pot_driver.images import flight

from .mirror import NAMES, WEB, Cache, Mirror, cut_at, from_offset, image_files, slowly, until


async def test_many_wait_for_one_download(mirror: Mirror, cache: Cache, gate: threading.Event) -> None:
    """Each task has its event; one that gives up harms no other."""
    mirror.answers["/web_1.0.xz"] = slowly(gate)

    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(cache.ensure(mirror.url)) for _ in range(20)]
        await until(lambda: "/web_1.0.xz" in mirror.requests)
        waiting[0].cancel()
        await asyncio.wait([waiting[0]])
        gate.set()

    assert sorted(mirror.requests) == sorted([*WEB, "/web_1.0.xz.skein.sig"])
    assert cache.files() == NAMES
    assert cache.told == [f"Downloading image {mirror.url}/web_1.0.xz"] * 20


async def test_a_failure_is_everyones(mirror: Mirror, cache: Cache) -> None:
    """And the next attempt is a new one."""
    mirror.answers["/web_1.0.xz"] = 503
    outcomes = await asyncio.gather(*(cache.ensure(mirror.url) for _ in range(3)), return_exceptions=True)
    mirror.answers.update(WEB)

    await cache.ensure(mirror.url)

    assert [type(outcome) for outcome in outcomes] == [TryAgain] * 3
    assert cache.files() == NAMES


async def test_what_nobody_waits_for_is_gone_on_with_later(mirror: Mirror, cache: Cache) -> None:
    """Also by another plugin: the part is asked for from where it ends, if it is still the same file."""
    gate = threading.Event()
    mirror.answers["/web_1.0.xz"] = slowly(gate)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(cache.ensure(mirror.url))
        await until(lambda: "image" in cache.on_the_way() and cache.part_size() == 300_000)
        waiting.cancel()
    gate.set()
    mirror.answers["/web_1.0.xz"] = from_offset

    await cache.ensure(mirror.url)

    assert mirror.ranges[-1] == "bytes=300000-"
    assert cache.files() == NAMES
    assert (cache.store_paths.cache / "web_1.0.xz").read_bytes() == WEB["/web_1.0.xz"]
    assert cache.on_the_way() == []


async def test_another_version_of_a_file_is_begun_afresh(mirror: Mirror, cache: Cache) -> None:
    """If-Range makes the server send the whole of it."""
    tries = iter([cut_at(300_000, etag='"one"'), WEB["/web_1.0.xz"]])
    mirror.answers["/web_1.0.xz"] = lambda handler: handler.answer(next(tries))

    await cache.ensure(mirror.url)

    assert mirror.ranges[-1] == "bytes=300000-"
    assert (cache.store_paths.cache / "web_1.0.xz").read_bytes() == WEB["/web_1.0.xz"]


async def test_two_registries_with_one_name_and_tag_are_two_images(mirror: Mirror, cache: Cache) -> None:
    """Each job gets what its own URL has, the second under a tag of its own, and an event names both."""
    mirror.answers |= {f"/other{path}": content for path, content in image_files("web_1.0", b"other").items()}

    async with asyncio.TaskGroup() as group:
        first = group.create_task(cache.ensure(mirror.url))
        second = group.create_task(cache.ensure(f"{mirror.url}/other"))

    images = (first.result(), second.result())
    contents = [(cache.store_paths.cache / f"web_{image.tag}.xz").read_bytes() for image in images]
    assert contents == [WEB["/web_1.0.xz"], b"other"]
    assert len({image.name for image in images}) == 2
    assert any("is kept as tag 1.0-" in told and "the image of this name on this host" in told for told in cache.told)
    mirror.requests.clear()
    assert (await cache.ensure(mirror.url), await cache.ensure(f"{mirror.url}/other")) == images
    assert mirror.requests == []


async def test_one_content_at_two_registries_is_one_image(mirror: Mirror, cache: Cache) -> None:
    """The hash is asked for, the image is not."""
    mirror.answers |= {f"/other{path}": content for path, content in WEB.items()}
    await cache.ensure(mirror.url)

    assert (await cache.ensure(f"{mirror.url}/other")).tag == "1.0"

    assert "/other/web_1.0.xz" not in mirror.requests


async def test_where_origins_count_an_image_of_unknown_origin_does_not(mirror: Mirror, cache: Cache) -> None:
    """On a node with allowed_image_urls what came by hand is not taken for the registry's."""
    cache.imported("web_1_0")

    local = await cache.ensure(mirror.url, strict=True)

    assert local.tag.startswith("1.0-")
    assert any("of unknown origin" in told for told in cache.told)


async def test_a_changed_image_comes_when_it_is_asked_for(mirror: Mirror, cache: Cache) -> None:
    """Under a new name, since running tasks keep theirs; later starts take the newest, unforced ones, too."""
    first = await cache.ensure(mirror.url)
    cache.imported(first.name)
    assert await cache.ensure(mirror.url, force=True) == first
    mirror.answers |= image_files("web_1.0", b"changed")
    assert await cache.ensure(mirror.url) == first

    second = await cache.ensure(mirror.url, force=True)

    assert second != first
    assert (cache.store_paths.cache / f"web_{second.tag}.xz").read_bytes() == b"changed"


async def test_a_stalled_image_makes_room_for_another(
    mirror: Mirror, cache: Cache, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where only one may be fetched at a time."""
    monkeypatch.setattr(flight, "STALLED_S", 0.2)
    monkeypatch.setattr(flight, "LOOK_S", 0.05)
    cache.download["max_parallel"] = 1
    mirror.answers["/web_1.0.xz"] = slowly(gate)
    mirror.answers |= image_files("db_1", b"x")

    async with asyncio.TaskGroup() as group:
        stalled = group.create_task(cache.ensure(mirror.url))
        await until(lambda: "/web_1.0.xz" in mirror.requests)
        await cache.ensure(mirror.url, "db", "1")
        waiting = not stalled.done()
        gate.set()

    assert waiting


async def test_only_so_many_at_a_time(mirror: Mirror, cache: Cache, gate: threading.Event) -> None:
    """Others wait for their turn."""
    cache.download["max_parallel"] = 1
    mirror.answers["/web_1.0.xz"] = slowly(gate)
    mirror.answers |= image_files("db_1", b"x")

    async with asyncio.TaskGroup() as group:
        group.create_task(cache.ensure(mirror.url))
        await until(lambda: "/web_1.0.xz" in mirror.requests)
        group.create_task(cache.ensure(mirror.url, "db", "1"))
        await until(lambda: "Waiting for other image downloads" in cache.told)
        requests = list(mirror.requests)
        gate.set()

    assert "/db_1.xz" not in requests
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
