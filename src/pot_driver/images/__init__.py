"""Images come into pot's cache, whole and checked, before pot asks for them.

pot downloads under its host-wide lock and without a time limit: one slow mirror would hold up every start on
the node. Here they come outside the lock, once for all who wait, with limits, progress, hash and signature, and errors
that say what the server said. Whose an image is stays known, so that no job gets another registry's.

Rooms: `flight` one image on its way, by `transfer` (one file) from `web` or `local`, with `credentials`, past `check`;
`store` what is on the host, `origin` whose it is, `choice` which one answers a job; `trouble` the words; `retention`
the end of unused images.

Not here: import and clone, which are pot's.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from pot_driver.config import urls
from pot_driver.errors import PotFailed
from pot_driver.images import check, choice, origin
from pot_driver.images.choice import Asked, Known, Local
from pot_driver.images.credentials import Access
from pot_driver.images.flight import Flight, Way
from pot_driver.images.store import Store
from pot_driver.images.transfer import Retries
from pot_driver.images.trouble import Absent
from pot_driver.pot.layout import image_pot

if TYPE_CHECKING:
    from pot_driver.clock import Clock
    from pot_driver.config import PluginConfig
    from pot_driver.pot.cli import Pot
    from pot_driver.pot.layout import PotPaths
    from pot_driver.process import Processes
    from pot_driver.spec import ImageRef

PROGRESS_S = 10.0  # Nomad keeps ten events of a task
MAX_LAYERS = 16
ABANDONED_S = 86_400.0  # what an ended download left is kept so long to go on with

Tell = Callable[[str], None]


class Storing(Protocol):
    """A host that stores images."""

    @property
    def config(self) -> PluginConfig:
        """The plugin block."""
        ...

    @property
    def processes(self) -> Processes:
        """For the tools that check."""
        ...

    @property
    def pot(self) -> Pot:
        """To destroy imported images."""
        ...

    async def paths(self) -> PotPaths:
        """Where pot keeps its files."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalImage:
    """An image that is here: `pot` and `tag` are what `pot import` must be told, `name` is the imported pot's."""

    pot: str
    tag: str

    @property
    def name(self) -> str:
        """The name under which pot imports it."""
        return image_pot(self.pot, self.tag)


class Images:
    """One per process. `host` is asked each time: SetConfig may change it. `tasks` owns the downloads."""

    def __init__(
        self,
        clock: Clock,
        host: Callable[[], Storing],
        tasks: asyncio.TaskGroup,
        environ: Mapping[str, str] | None = None,
        retries: Retries | None = None,
    ) -> None:
        self._clock = clock
        self._host = host
        self._tasks = tasks
        self._environ = os.environ if environ is None else environ
        self._retries = retries or Retries()
        self._slots = _Slots(lambda: self._host().config.download.max_parallel)
        self._flights: dict[Asked, _Boarding] = {}
        self._removals: dict[str, asyncio.Event] = {}
        self._held: Counter[str] = Counter()

    async def ensure(self, image: ImageRef, tell: Tell) -> LocalImage:
        """Return when pot can import the image without a network, or has it; which one of this host it is.

        PotFailed: there is no such image, or it may not be used. TryAgain: the network, the server or the disk had
        a bad moment.
        """
        asked = Asked(
            pot=image.pot,
            tag=image.tag,
            url=urls.parse(image.url).shown,
            signer=await asyncio.to_thread(check.signer, image.signature_pubkey) if image.signature_pubkey else None,
            force=image.force,
            strict=image.strict,
        )
        while True:
            local = await self._find(asked, image, tell, ())
            file = (await self._store()).file(local.pot, local.tag)
            removal = self._removals.get(file.name)
            if removal is None:
                origin.used(file, self._clock.now_s())
                return LocalImage(pot=local.pot, tag=local.tag)
            await removal.wait()

    @contextmanager
    def held(self, image: LocalImage) -> Iterator[None]:
        """Keep it from being removed until a pot is a clone of it; to be entered right after `ensure`."""
        self._held[image.name] += 1
        try:
            yield
        finally:
            self._held[image.name] -= 1

    def is_held(self, name: str) -> bool:
        """Whether a start is about to clone this imported pot."""
        return self._held[name] > 0

    @contextmanager
    def keep_away(self, file_name: str) -> Iterator[None]:
        """Let nobody use an image while it is removed."""
        removal = self._removals[file_name] = asyncio.Event()
        try:
            yield
        finally:
            del self._removals[file_name]
            removal.set()

    async def _store(self) -> Store:
        return Store(await self._host().paths())

    async def _find(self, asked: Asked, image: ImageRef, tell: Tell, above: tuple[tuple[str, str], ...]) -> Local:
        """What answers, brought if need be."""
        store = await self._store()
        candidates = await asyncio.to_thread(store.candidates, asked)
        found = choice.present(asked, candidates)
        if found is None or not found[0].imported:
            return await self._bring(asked, image, store, tell, above)
        local, known = found
        if known is Known.UNKNOWN:
            tell(_unknown(asked))
        return local

    async def _bring(
        self, asked: Asked, image: ImageRef, store: Store, tell: Tell, above: tuple[tuple[str, str], ...]
    ) -> Local:
        boarding = self._flights.get(asked)
        if boarding is None:
            boarding = self._launch(asked, image, store, tell, above)
        try:
            local = await boarding.wait(tell)
        except Absent as error:
            raise PotFailed(f"image {asked.pot}, tag {asked.tag}: {error}; is the tag right?") from error
        if local.origin is None:
            tell(_unknown(asked))
        return local

    def _launch(
        self, asked: Asked, image: ImageRef, store: Store, tell: Tell, above: tuple[tuple[str, str], ...]
    ) -> _Boarding:
        host = self._host()
        store.sweep(older_than_s=self._clock.now_s() - ABANDONED_S)

        async def bring_layer(pot: str, tag: str) -> None:
            line = (*above, (asked.pot, asked.tag))
            if (pot, tag) in line or len(line) >= MAX_LAYERS:
                chain = " → ".join(f"{each[0]} {each[1]}" for each in (*line, (pot, tag)))
                raise PotFailed(f"the image's layers (.meta) go in a circle or too deep: {chain[:600]}")
            layer = replace(asked, pot=pot, tag=tag, force=False, plain=True)
            await self._find(layer, replace(image, pot=pot, tag=tag, force=False), tell, line)

        way = Way(
            store=store,
            processes=host.processes,
            access=Access(registries=host.config.registry, environ=self._environ),
            options=host.config.download,
            clock=self._clock,
            slots=self._slots,
            retries=self._retries,
            bring_layer=bring_layer,
        )
        flight = Flight(asked, image, way)
        boarding = _Boarding(flight, self._tasks)
        self._flights[asked] = boarding
        flight.landed.add_done_callback(lambda _: self._flights.pop(asked, None))
        return boarding


class _Boarding:
    """Those who wait for a flight. When the last one leaves, it ends."""

    def __init__(self, flight: Flight, tasks: asyncio.TaskGroup) -> None:
        self._flight = flight
        self._task = tasks.create_task(flight.run())
        self._waiting = 0

    async def wait(self, tell: Tell) -> Local:
        tell(f"Downloading image {self._flight.progress.url}")
        self._flight.listen(tell)
        self._waiting += 1
        try:
            while not self._flight.landed.done():
                await asyncio.wait([self._flight.landed], timeout=PROGRESS_S)
                if not self._flight.landed.done():
                    tell(f"Downloading image {self._flight.progress.text()}")
            return self._flight.landed.result()
        finally:
            self._waiting -= 1
            if not self._waiting and not self._flight.landed.done():
                self._flight.landed.cancel()
                self._task.cancel()


class _Slots:
    """Counts transfers; the limit may change meanwhile."""

    def __init__(self, limit: Callable[[], int]) -> None:
        self._limit = limit
        self._taken = 0
        self._freed = asyncio.Event()

    async def take(self, waiting: Tell) -> None:
        if self._taken >= self._limit():
            waiting("Waiting for other image downloads")
        while self._taken >= self._limit():
            self._freed.clear()
            await self._freed.wait()
        self._taken += 1

    def give(self) -> None:
        self._taken -= 1
        self._freed.set()


def _unknown(asked: Asked) -> str:
    return (
        f"Image {asked.pot}, tag {asked.tag}, on this host is of unknown origin (imported by hand, or before this"
        f" driver kept records): it is used, and {asked.url} is not asked"
    )
