"""The end of images that this driver fetched and that no task has used for long: the imported pot, then its files.

An image of which a pot is a clone cannot be destroyed, zfs sees to that; it counts as used.

Not here: images that came otherwise, which are the administrator's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import structlog

from pot_driver.errors import DriverError
from pot_driver.images.store import Store
from pot_driver.pot import parse
from pot_driver.pot.command import PotStep

if TYPE_CHECKING:
    from pot_driver.clock import Clock
    from pot_driver.config import PluginConfig
    from pot_driver.images import Images
    from pot_driver.pot.cli import Pot
    from pot_driver.pot.layout import PotPaths

PERIOD_S = 600.0

log = structlog.get_logger()


class Storing(Protocol):
    """A host that stores images."""

    @property
    def config(self) -> PluginConfig:
        """For its block `gc`."""
        ...

    @property
    def pot(self) -> Pot:
        """To destroy imported images."""
        ...

    async def paths(self) -> PotPaths:
        """Where pot keeps its files."""
        ...


class Retention:
    """Removes unused images, where the agent's `gc` block says so."""

    def __init__(self, clock: Clock, images: Images, host: Callable[[], Storing]) -> None:
        self._clock = clock
        self._images = images
        self._host = host

    async def run(self) -> None:
        """Look from time to time, for ever."""
        while True:
            await asyncio.sleep(PERIOD_S)
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
        before_s = self._clock.now_s() - host.config.gc.image_delay_s
        return [image.name for image in list(store.unused_since(before_s)) if await self._remove(host, store, image)]

    async def _remove(self, host: Storing, store: Store, image: Path) -> bool:
        with self._images.keep_away(image.name):
            try:
                if not await self._destroy(host, store, image):
                    return False
                store.remove(image)
            except (DriverError, OSError) as error:
                log.warning("cannot remove an unused image", image=image.name, error=str(error))
                return False
        log.info("unused image removed", image=image.name)
        return True

    async def _destroy(self, host: Storing, store: Store, image: Path) -> bool:
        """Destroy the imported image; whether it is gone."""
        name = image.name.removesuffix(".xz").replace(".", "_")
        if not store.paths.conf(name).exists():
            return True
        # Without -F: it does not run, and what is not a whole pot is not ours to judge.
        argv = ("destroy", "-p", name)
        done = await host.pot.ask(PotStep(verb="destroy", argv=argv, reason="unused image", timeout="destroy"))
        if done.status == 0:
            return True
        words = parse.error_text(done.stdout, done.stderr)
        if "dependent clones" in words:
            store.used(image, self._clock.now_s())
        else:
            log.warning("cannot destroy an unused image", image=image.name, error=words)
        return False
