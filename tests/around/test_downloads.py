"""Downloads are shared by those who wait for them, and take their turn."""

from __future__ import annotations

import asyncio
import threading

import pytest

from pot_driver import images as images_room
from pot_driver.errors import TryAgain
from pot_driver.images.download import PART

from .mirror import NAMES, WEB, Cache, Mirror, no_part_files, slowly, until


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
