"""Images come into pot's cache before `pot prepare` asks for them.

pot downloads under its host-wide lock and without a time limit: one slow mirror would hold up every start on
the node. Here they come outside the lock, once for all who wait, with limits, progress, and errors that say
what the server said. Where the cache is not ours to write, pot fetches by itself, as it always did.

Rooms: `download` the transfer of one file, `store` what is on the host, `retention` the end of unused images.

Not here: import, hash and signature, which are pot's own, in `prepare`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from pot_driver.errors import TryAgain
from pot_driver.images.download import Absent, Progress, fetch, without_credentials
from pot_driver.images.store import Store

if TYPE_CHECKING:
    from pot_driver.clock import Clock
    from pot_driver.config import DownloadOptions
    from pot_driver.pot.layout import PotPaths
    from pot_driver.spec import ImageRef

PROGRESS_S = 10.0  # Nomad keeps ten events of a task


class Images:
    """One per process. `paths` and `options` are asked each time: SetConfig may change both."""

    def __init__(
        self, clock: Clock, paths: Callable[[], Awaitable[PotPaths]], options: Callable[[], DownloadOptions]
    ) -> None:
        self._clock = clock
        self._paths = paths
        self._options = options
        self._flights: dict[tuple[str, str], _Flight] = {}
        self._removals: dict[str, asyncio.Event] = {}

    async def ensure(self, image: ImageRef, progress: Callable[[str], None]) -> None:
        """Return when `pot prepare` will find the image, or when only pot can fetch it.

        PotFailed: the image is not there. TryAgain: the network, the server or the disk had a bad moment.
        """
        store = Store(await self._paths())
        if not store.usable(image):
            return
        file = store.file(image.pot, image.tag, "")
        while removal := self._removals.get(file.name):
            await removal.wait()
        await self._complete(image, store, progress)
        store.used(file, self._clock.now_s())

    @contextmanager
    def keep_away(self, file_name: str) -> Iterator[None]:
        """Let nobody use an image while it is removed."""
        removal = self._removals[file_name] = asyncio.Event()
        try:
            yield
        finally:
            del self._removals[file_name]
            removal.set()

    async def _complete(self, image: ImageRef, store: Store, progress: Callable[[str], None]) -> None:
        while not store.complete(image):
            flight = self._flights.get((image.pot, image.tag))
            if flight is None and len(self._flights) >= self._options().max_parallel:
                progress("Waiting for other image downloads")
                landings = [other.landed for other in self._flights.values()]
                await asyncio.wait(landings, return_when=asyncio.FIRST_COMPLETED)
                continue
            flight = flight or self._launch(image, store)
            if flight.image == image:
                await flight.wait(progress)
                return
            # The same file from elsewhere is under way: only one of the two may write it.
            await asyncio.wait([flight.landed])

    def _launch(self, image: ImageRef, store: Store) -> _Flight:
        key = (image.pot, image.tag)
        options = self._options()
        store.sweep(older_than_s=self._clock.now_s() - 2 * options.inactivity_timeout_s)
        flight = _Flight(image, store, options, self._clock, landed=lambda: self._flights.pop(key))
        self._flights[key] = flight
        return flight


class _Flight:
    """One image on its way, in a thread that may be left behind: name lookups and reads cannot be cancelled."""

    def __init__(
        self, image: ImageRef, store: Store, options: DownloadOptions, clock: Clock, *, landed: Callable[[], object]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.image = image
        self.landed: asyncio.Future[BaseException | None] = self._loop.create_future()
        self._on_landed = landed
        self._store = store
        self._clock = clock
        self._idle_s = options.inactivity_timeout_s
        self._progress = Progress(url=self._shown)
        self._stop = threading.Event()
        self._waiting = 0
        self._limit = self._loop.call_later(options.timeout_s, self._expire, options.timeout_s)
        threading.Thread(target=self._fly, name=f"download {image.pot}", daemon=True).start()

    async def wait(self, progress: Callable[[str], None]) -> None:
        """Wait with the others. When the last one leaves, the download ends."""
        progress(f"Downloading image {self._shown}")
        self._waiting += 1
        try:
            while not (await asyncio.wait([self.landed], timeout=PROGRESS_S))[0]:
                progress(f"Downloading image {self._progress.text()}")
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._land(TryAgain("nobody waits for this image any more"))
        outcome = self.landed.result()
        if outcome is not None:
            raise outcome

    def _land(self, outcome: BaseException | None) -> None:
        if not self.landed.done():
            self._stop.set()
            self._limit.cancel()
            self._on_landed()
            self.landed.set_result(outcome)

    def _expire(self, limit_s: float) -> None:
        self._land(TryAgain(f"cannot download {self._progress.text()} after {limit_s:g} s, the limit"))

    def _fly(self) -> None:
        outcome: BaseException | None = None
        try:
            self._bring()
        except Exception as error:  # noqa: BLE001 - raised again where someone waits
            outcome = error
        with suppress(RuntimeError):  # the plugin ends: nobody waits
            self._loop.call_soon_threadsafe(self._land, outcome)

    def _bring(self) -> None:
        for pot, tag in self._store.lineage(self.image.pot, self.image.tag):
            missing = self._store.missing(self.image, pot, tag)
            for suffix in missing:
                with suppress(*((Absent,) if suffix == ".meta" else ())):
                    self._fetch(pot, tag, suffix)
            if "" in missing and not self._stop.is_set():
                self._store.fetched(pot, tag, self._clock.now_s())

    def _fetch(self, pot: str, tag: str, suffix: str) -> None:
        fetch(
            self._url(pot, tag, suffix),
            self._store.file(pot, tag, suffix),
            idle_s=self._idle_s,
            progress=self._progress,
            stop=self._stop,
        )

    def _url(self, pot: str, tag: str, suffix: str) -> str:
        return f"{self.image.url.rstrip('/')}/{self._store.file(pot, tag, suffix).name}"

    @property
    def _shown(self) -> str:
        return without_credentials(self._url(self.image.pot, self.image.tag, ""))
