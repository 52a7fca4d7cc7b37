"""The end of images that this driver fetched and that no task has used for long: the imported pot, then its files.

An image of which a pot is a clone cannot be destroyed, zfs sees to that, whoever made the clone; it counts as used.

Not here: images that came otherwise, which are the administrator's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from pot_driver.errors import DriverError
from pot_driver.images import origin
from pot_driver.images.store import Store
from pot_driver.pot import parse
from pot_driver.pot.command import PotStep

if TYPE_CHECKING:
    from pot_driver.clock import Clock
    from pot_driver.config import GcOptions
    from pot_driver.images import Images, Storing

PERIOD_S, SHORTEST_PERIOD_S = 600.0, 5.0
LOOKS_PER_DELAY = 4  # so that an image goes soon after its delay, however short that is

log = structlog.get_logger()


class Retention:
    """Removes unused images, where the agent's `gc` block says so."""

    def __init__(self, clock: Clock, images: Images, host: Callable[[], Storing]) -> None:
        self._clock = clock
        self._images = images
        self._host = host

    async def run(self) -> None:
        """Look from time to time, for ever."""
        while True:
            await asyncio.sleep(period_s(self._host().config.gc))
            try:
                await self.sweep()
            except Exception:
                log.exception("cannot look for unused images")

    async def sweep(self) -> list[str]:
        """Remove what is unused; the names of the files."""
        host = self._host()
        if not host.config.gc.image:
            return []
        store = Store(await host.paths())
        due = await asyncio.to_thread(unused, store, host.config.gc, self._clock.now_s())
        return [image.name for image in due if await self._remove(host, store, image)]

    async def _remove(self, host: Storing, store: Store, image: Path) -> bool:
        name = _pot_of(image)
        if self._images.is_held(name):
            return False
        with self._images.keep_away(image.name):
            try:
                if not await self._destroy(host, store, image, name):
                    return False
                await asyncio.to_thread(store.remove, image)
            except (DriverError, OSError) as error:
                log.warning("cannot remove an unused image", image=image.name, error=str(error))
                return False
        log.info("unused image removed", image=image.name)
        return True

    async def _destroy(self, host: Storing, store: Store, image: Path, name: str) -> bool:
        """Destroy the imported image; whether it is gone."""
        if not store.paths.conf(name).exists():
            return True
        # Without -F: it does not run, and what is not a whole pot is not ours to judge.
        argv = ("destroy", "-p", name)
        done = await host.pot.ask(PotStep(verb="destroy", argv=argv, reason="unused image", timeout="destroy"))
        if done.status == 0:
            return True
        words = parse.error_text(done.stdout, done.stderr)
        if "dependent clones" in words:
            origin.used(image, self._clock.now_s())
        else:
            log.warning("cannot destroy an unused image", image=image.name, error=words)
        return False


def period_s(gc: GcOptions) -> float:
    """How long until the next look."""
    return min(PERIOD_S, max(SHORTEST_PERIOD_S, gc.image_delay_s / LOOKS_PER_DELAY))


def unused(store: Store, gc: GcOptions, now_s: float) -> list[Path]:
    """The images whose delay is over and, above the budget, those longest unused before it."""
    found = [(origin.last_used_s(image) or now_s, image, known.size) for image, known in store.recorded()]
    due: list[Path] = []
    kept = sum(size for _, _, size in found)
    for used_s, image, size in sorted(found):
        over_budget = gc.image_budget_bytes is not None and kept > gc.image_budget_bytes
        if over_budget or used_s < now_s - gc.image_delay_s:
            due.append(image)
            kept -= size
    return due


def _pot_of(image: Path) -> str:
    return image.name.removesuffix(".xz").replace(".", "_")
