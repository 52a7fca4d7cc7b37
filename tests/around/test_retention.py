"""Images that this driver fetched go when no task has used them for long; nobody else's do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgpack
import pytest

from pot_driver.config import PluginConfig, decode_plugin
from pot_driver.images import Images, LocalImage
from pot_driver.images.retention import Retention, period_s
from pot_driver.pot.cli import Pot
from pot_driver.pot.layout import PotPaths, image_pot
from pot_driver.process import Processes
from pot_driver.spec import ImageRef

from .conftest import SKEIN
from .mirror import CacheClock, image_files

POT = """
[ "$1 $2" = "destroy -p" ] || exit 64
rm -r "$ROOT/pot/jails/$3"
"""
HOUR_S = 3600.0


class StoringHost:
    """A host with one mirror of images, on which pot imports what it is told to."""

    def __init__(self, host: Any, clock: Any, tasks: asyncio.TaskGroup) -> None:
        self.root: Path = host.root
        self.processes: Processes = host.processes
        self.config: PluginConfig = decode_plugin(msgpack.packb({"gc": {"image_delay": "1h"}}))
        self.pot: Pot = host.pot
        self.images = Images(CacheClock(clock), lambda: self, tasks, {"HOME": "/nonexistent"})
        self.retention = Retention(clock, self.images, lambda: self)
        (self.root / "cache").mkdir()
        (self.root / "mirror").mkdir()

    async def paths(self) -> PotPaths:
        """Where pot keeps its files."""
        return PotPaths(fs_root=self.root / "pot", cache=self.root / "cache")

    def publish(self, pot: str, meta: str = "-") -> None:
        """Put an image on the mirror."""
        for path, content in image_files(f"{pot}_1.0", b"x", meta.encode()).items():
            (self.root / "mirror" / path[1:]).write_bytes(content)

    async def use(self, pot: str) -> None:
        """As a task's start does."""
        image = ImageRef(url=(self.root / "mirror").as_uri(), pot=pot, tag="1.0")
        await self.images.ensure(image, lambda _: None)
        conf = (await self.paths()).conf(image_pot(pot, "1.0"))
        conf.parent.mkdir(parents=True, exist_ok=True)
        conf.touch()
        ((await self.paths()).root(image_pot(pot, "1.0")) / "bin").mkdir(parents=True, exist_ok=True)

    def imported(self) -> set[str]:
        """What pot has."""
        return {path.name for path in (self.root / "pot/jails").iterdir()}

    def cached(self) -> set[str]:
        """What the cache has, marks and all."""
        return {path.name for path in (self.root / "cache").iterdir()}


@pytest.fixture
async def storing(host: Any, clock: Any) -> AsyncIterator[StoringHost]:
    """With two published images."""
    host.script("pot", POT)
    host.script("skein1024", SKEIN)
    async with asyncio.TaskGroup() as tasks:
        storing = StoringHost(host, clock, tasks)
        storing.publish("web")
        storing.publish("db")
        yield storing


async def test_an_unused_image_goes(storing: StoringHost, clock: Any) -> None:
    """The imported pot, its files and its mark."""
    await storing.use("web")
    clock.now += 0.6 * HOUR_S
    await storing.use("db")
    clock.now += 0.6 * HOUR_S

    removed = await storing.retention.sweep()

    assert removed == ["web_1.0.xz"]
    assert storing.imported() == {"db_1_0"}
    assert not [name for name in storing.cached() if "web" in name]
    assert {"db_1.0.xz", "db_1.0.xz.skein", "db_1.0.xz.meta"} < storing.cached()


async def test_every_use_counts(storing: StoringHost, clock: Any) -> None:
    """Also of an image that pot has long imported."""
    for _ in range(5):
        await storing.use("web")
        clock.now += 0.9 * HOUR_S

    assert await storing.retention.sweep() == []
    assert storing.imported() == {"web_1_0"}


async def test_an_image_with_clones_counts_as_used(host: Any, storing: StoringHost, clock: Any) -> None:
    """It is tried again when its delay is over once more."""
    await storing.use("web")
    refusal = "echo '###>  web_1_0 destruction failed'; echo \"filesystem has dependent clones\" >&2; exit 1"
    host.script("pot", refusal)
    clock.now += 2 * HOUR_S

    assert await storing.retention.sweep() == []
    host.script("pot", POT)
    assert await storing.retention.sweep() == []
    clock.now += 2 * HOUR_S
    assert await storing.retention.sweep() == ["web_1.0.xz"]
    assert "web_1.0.xz" not in storing.cached()


async def test_what_cannot_be_destroyed_keeps_its_files(host: Any, storing: StoringHost, clock: Any) -> None:
    """One failure does not stop the others."""
    await storing.use("web")
    await storing.use("db")
    host.script("pot", f'[ "$3" = web_1_0 ] && exit 1\n{POT}')
    clock.now += 2 * HOUR_S

    assert await storing.retention.sweep() == ["db_1.0.xz"]
    assert "web_1.0.xz" in storing.cached()


async def test_the_administrators_images_stay(host: Any, storing: StoringHost, clock: Any) -> None:
    """Whoever put them into pot or its cache by hand knows why; that a task used them changes nothing."""
    for path, content in image_files("own_1.0", b"own").items():
        (storing.root / "cache" / path[1:]).write_bytes(content)
    await storing.use("own")
    clock.now += 100 * HOUR_S

    assert await storing.retention.sweep() == []
    assert "own_1.0.xz" in storing.cached()
    assert not [call for call in host.calls() if call.startswith("pot ")]


async def test_layers_are_each_an_image(storing: StoringHost, clock: Any) -> None:
    """The parent was fetched by us as well."""
    storing.publish("app", "db:1.0@snap")
    await storing.use("app")
    clock.now += 2 * HOUR_S

    assert sorted(await storing.retention.sweep()) == ["app_1.0.xz", "db_1.0.xz"]


async def test_nothing_happens_unless_the_agent_wants_it(host: Any, storing: StoringHost, clock: Any) -> None:
    """It is on by default."""
    storing.config = decode_plugin(msgpack.packb({"gc": {"image": False}}))
    await storing.use("web")
    clock.now += 100 * HOUR_S

    assert await storing.retention.sweep() == []
    assert not [call for call in host.calls() if call.startswith("pot ")]


async def test_above_the_budget_the_longest_unused_go_first(storing: StoringHost, clock: Any) -> None:
    """Before their delay."""
    storing.config = decode_plugin(msgpack.packb({"gc": {"image_budget": "1"}}))
    await storing.use("web")
    clock.now += 60
    await storing.use("db")

    assert await storing.retention.sweep() == ["web_1.0.xz"]


async def test_an_image_that_a_start_is_about_to_clone_stays(storing: StoringHost, clock: Any) -> None:
    """However short the delay is."""
    await storing.use("web")
    clock.now += 2 * HOUR_S

    with storing.images.held(LocalImage(pot="web", tag="1.0")):
        assert await storing.retention.sweep() == []


def test_the_period_follows_the_delay() -> None:
    """A delay of seconds is one of seconds."""
    assert period_s(decode_plugin(msgpack.packb({"gc": {"image_delay": "20s"}})).gc) == 5.0
    assert period_s(decode_plugin(b"").gc) == 600.0


async def test_a_start_waits_for_the_removal_of_its_image(host: Any, storing: StoringHost, clock: Any) -> None:
    """And then fetches it afresh."""
    await storing.use("web")
    clock.now += 2 * HOUR_S
    host.script("pot", f"touch $ROOT/busy\nwhile [ -e $ROOT/busy ]; do sleep 0.02; done\n{POT}")

    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        sweeping = group.create_task(storing.retention.sweep())
        while not (storing.root / "busy").exists():  # noqa: ASYNC110 - another process's doing
            await asyncio.sleep(0.01)
        using = group.create_task(storing.use("web"))
        await asyncio.sleep(0.05)
        waited = not using.done()
        (storing.root / "busy").unlink()

    assert waited
    assert sweeping.result() == ["web_1.0.xz"]
    assert "web_1.0.xz" in storing.cached()
