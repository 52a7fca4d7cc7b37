"""One image on its way, for all who wait for it: small files first, the image, hash, then its place in pot's cache.

The transfers are in threads that may be left behind, since name lookups cannot be cancelled; their connections are cut.
A flight that ends early leaves what came for the next one, which goes on with it.

Not here: who waits (see the room's door), one file's transfer (see `transfer`), decisions (see `choice`).
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from pot_driver import files
from pot_driver.config import urls
from pot_driver.errors import PotFailed, TryAgain
from pot_driver.images import check, choice, origin, trouble
from pot_driver.images.choice import Asked, Known, Local
from pot_driver.images.origin import Origin
from pot_driver.images.transfer import Progress, Retries, Transfer
from pot_driver.images.trouble import Absent, Damaged
from pot_driver.images.web import Client, Patience

if TYPE_CHECKING:
    from pathlib import Path

    from pot_driver.clock import Clock
    from pot_driver.config import DownloadOptions
    from pot_driver.images.credentials import Access
    from pot_driver.images.store import Store, Work
    from pot_driver.process import Processes
    from pot_driver.spec import ImageRef

SMALL = 4096  # bytes of a hash, a signature, a .meta
STALLED_S = 5.0  # without data for so long, a download makes room for another
LOOK_S = 1.0
LOCK_POLL_S = 0.3

Value = TypeVar("Value")


class Slots(Protocol):
    """Only so many images are transferred at the same time."""

    async def take(self, waiting: Callable[[str], None]) -> None:
        """Wait for one."""
        ...

    def give(self) -> None:
        """Leave it to another."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """What a flight works with. `bring_layer` brings the image that this one is a difference to."""

    store: Store
    processes: Processes
    access: Access
    options: DownloadOptions
    clock: Clock
    slots: Slots
    retries: Retries
    bring_layer: Callable[[str, str], Awaitable[object]]


class Flight:
    """One asked image. `run` ends with `landed`, a Local or an error."""

    def __init__(self, asked: Asked, image: ImageRef, way: Way) -> None:
        self.asked = asked
        self._news: list[str] = []
        self._listeners: list[Callable[[str], None]] = []
        self._loop = asyncio.get_running_loop()
        self.landed: asyncio.Future[Local] = asyncio.get_running_loop().create_future()
        self._image = image
        self._way = way
        self._store = way.store
        self._directory = urls.parse(image.url)
        self._stop = threading.Event()
        options = way.options
        patience = Patience(way.clock, options.inactivity_timeout_s, way.clock.monotonic_s() + options.timeout_s)
        self._client = Client(way.access, patience, options.header_timeout_s)
        self.progress = Progress(self._shown(""))

    async def run(self) -> None:
        """Bring it. Never raises but when cancelled: the outcome is for those who wait."""
        outcome: Exception | Local
        try:
            async with asyncio.timeout(self._way.options.timeout_s):
                outcome = await self._fly()
        except TimeoutError:
            limit = f"{self._way.options.timeout_s:g} s, the limit (download.timeout)"
            outcome = TryAgain(f"cannot download {self.progress.text()} after {limit}")
        except asyncio.CancelledError:
            self._land(TryAgain("nobody waits for this image any more"))
            raise
        except Exception as error:  # noqa: BLE001 - raised again where someone waits
            outcome = error
        self._land(outcome)

    def listen(self, tell: Callable[[str], None]) -> None:
        """Tell one more of those who wait what there is to know."""
        self._listeners.append(tell)
        for news in self._news:
            tell(news)

    def _say(self, news: str) -> None:
        self._news.append(news)
        for tell in self._listeners:
            tell(news)

    def _land(self, outcome: Exception | Local) -> None:
        self._stop.set()
        self._client.cut()
        if self.landed.done():
            return
        if isinstance(outcome, Exception):
            self.landed.set_exception(outcome)
            self.landed.exception()  # perhaps nobody waits
        else:
            self.landed.set_result(outcome)

    async def _fly(self) -> Local:
        work = self._store.work(self.asked)
        await self._locked(work)
        try:
            if (local := await self._present()) is not None:
                return local
            try:
                return await self._bring(work)
            except Damaged as error:
                self._say(f"Downloading the image once more: {error}")
                await asyncio.to_thread(work.clear)
            return await self._bring(work)
        finally:
            self._client.cut()
            self._client.close()
            work.unlock()

    async def _locked(self, work: Work) -> None:
        """Wait for another flight or process that brings the same files, or for a thread that was left behind."""
        while not work.lock():
            await asyncio.sleep(LOCK_POLL_S)
            work = self._store.work(self.asked)

    async def _present(self) -> Local | None:
        """What is here, its hash seen to be right unless pot has imported it already."""
        found = choice.present(self.asked, self._store.candidates(self.asked))
        if found is None or found[0].imported:
            return found[0] if found else None
        local, known = found
        image = self._store.file(local.pot, local.tag)
        if await self._intact(image):
            return local
        whose = "of unknown origin" if known is Known.UNKNOWN else "that came from there"
        self._say(f"Image file {image.name} {whose} in pot's cache is damaged: it is fetched again")
        await asyncio.to_thread(self._store.remove, image)
        return None

    async def _intact(self, image: Path) -> bool:
        meta = image.with_name(f"{image.name}.meta")
        said = await asyncio.to_thread(_said, image, meta)
        if not said:
            return False
        hashed = await check.hash_of(self._way.processes, image, meta, self._way.options.timeout_s)
        return said == f"{hashed}\n".encode()

    async def _bring(self, work: Work) -> Local:
        hash_text = check.hash_text(self._shown(".skein"), await self._small(work, ".skein"))
        await self._signed(work)
        candidates = self._store.candidates(self.asked)
        if (local := choice.same(self.asked, hash_text, candidates)) is not None:
            return await self._adopt(work, local)
        choice.local_tag(self.asked, hash_text, candidates)  # a layer whose name is taken is refused before all
        try:
            await self._layer(await self._small(work, ".meta"))
        except Absent:  # as pot does
            work.file(".meta").write_bytes(b"")
        await self._large(work, hash_text)
        hashed = await check.hash_of(
            self._way.processes, work.file(""), work.file(".meta"), self._way.options.timeout_s
        )
        if hashed != hash_text:
            raise Damaged(
                f"{self._named}: what {self._shown('')} has is not what {self._shown('.skein')} says:"
                " damaged on its way, or replaced there by halves"
            )
        return await asyncio.to_thread(self._install, work, hash_text)

    async def _signed(self, work: Work) -> None:
        """The signature, which must be right where a key is given."""
        try:
            await self._small(work, ".skein.sig")
        except Absent as error:
            work.file(".skein.sig").unlink(missing_ok=True)
            if self._image.signature_pubkey is not None:
                raise PotFailed(f"{self._named} is not signed: {error}") from error
            return
        if (key := self._image.signature_pubkey) is not None:
            signed = work.file(".skein.sig")
            await check.signature(self._way.processes, key, work.file(".skein"), signed, self._shown(".skein.sig"))

    async def _layer(self, meta: bytes) -> None:
        if meta.partition(b"\n")[0].strip() in {b"", b"-"}:
            return
        parent = self._store.parent(meta)
        if parent is None:
            raise PotFailed(
                f"{self._shown('.meta')} does not say which image this one is layered on (POT:TAG@SNAPSHOT)"
            )
        await self._way.bring_layer(*parent)

    async def _adopt(self, work: Work, local: Local) -> Local:
        """The registry's content is here already, perhaps from elsewhere: it is known from here, too."""
        image = self._store.file(local.pot, local.tag)
        if not local.imported and not await self._intact(image):
            await asyncio.to_thread(self._store.remove, image)
            raise Damaged(f"{image.name} in pot's cache is damaged")
        if local.origin is not None:
            found = local.origin.also(self.asked.url, self.asked.signer)
            with suppress(FileNotFoundError):
                work.file(".skein.sig").chmod(0o644)
                work.file(".skein.sig").replace(image.with_name(f"{image.name}.skein.sig"))
            origin.write(image, found, self._way.clock.now_s())
        await asyncio.to_thread(work.remove)
        return local

    def _install(self, work: Work, hash_text: str) -> Local:
        """In a thread: another process may give names, too."""
        cache = os.open(self._store.paths.cache, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(cache, fcntl.LOCK_EX)
            candidates = self._store.candidates(self.asked)
            tag = choice.local_tag(self.asked, hash_text, candidates)
            if tag != self.asked.tag:
                whose = choice.whose(self.asked, candidates)
                self._loop.call_soon_threadsafe(
                    self._say,
                    f"{self._named} from {self.asked.url} is kept as tag {tag}: the image of this name on this host"
                    f" is another one, {whose}",
                )
            now_s = self._way.clock.now_s()
            signers = (self.asked.signer,) if self.asked.signer else ()
            found = Origin(
                pot=self.asked.pot,
                tag=self.asked.tag,
                urls=(self.asked.url,),
                hash=hash_text,
                size=work.file("").stat().st_size,
                fetched_s=now_s,
                signers=signers,
            )
            self._store.install(work, self.asked.pot, tag, found, now_s)
        finally:
            os.close(cache)
        work.remove()
        return Local(pot=self.asked.pot, tag=tag, origin=found, imported=False, cached=True)

    async def _small(self, work: Work, suffix: str) -> bytes:
        name = self._name(suffix)
        data = await self._threaded(work, lambda: self._transfer.small(name, SMALL))
        try:
            work.file(suffix).write_bytes(data)
        except OSError as error:
            raise trouble.of_disk(self._store.paths.cache, error) from error
        return data

    async def _large(self, work: Work, hash_text: str) -> None:
        self.progress.moved_s = self._way.clock.monotonic_s()
        await self._way.slots.take(self._say)
        given = False
        name, part = self._name(""), work.file("")
        transfer = asyncio.get_running_loop().create_task(
            self._threaded(work, lambda: self._transfer.large(name, part, hash_text))
        )
        try:
            while not (await asyncio.wait([transfer], timeout=LOOK_S))[0]:
                idle_s = self._way.clock.monotonic_s() - self.progress.moved_s
                if idle_s > STALLED_S and not given:
                    given = True
                    self._way.slots.give()
            await transfer
        finally:
            transfer.cancel()
            if not given:
                self._way.slots.give()

    async def _threaded(self, work: Work, function: Callable[[], Value]) -> Value:
        """The function's value, from a thread of its own, which holds the lock of the files for as long as it lives."""
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[Value] = loop.create_future()
        held = work.hold()

        def finish(value: Value | None, error: Exception | None) -> None:
            if outcome.done():
                return
            if error is not None:
                outcome.set_exception(error)
            else:
                outcome.set_result(value)  # type: ignore[arg-type] # Value may be None itself

        def run() -> None:
            value, failed = None, None
            try:
                value = function()
            except Exception as error:  # noqa: BLE001 - raised again where someone waits
                failed = error
            finally:
                os.close(held)
            with suppress(RuntimeError):  # the plugin ends: nobody waits
                loop.call_soon_threadsafe(finish, value, failed)

        try:
            threading.Thread(target=run, name=f"download {self.asked.pot}", daemon=True).start()
        except RuntimeError as error:  # too many threads
            os.close(held)
            raise TryAgain(f"cannot download {self.progress.url}: {error}") from error
        return await outcome

    @property
    def _transfer(self) -> Transfer:
        return Transfer(
            client=self._client,
            directory=self._directory,
            progress=self.progress,
            clock=self._way.clock,
            stop=self._stop,
            retries=self._way.retries,
            max_bytes=self._way.options.max_size_bytes,
        )

    @property
    def _named(self) -> str:
        return f"image {self.asked.pot}, tag {self.asked.tag}"

    def _name(self, suffix: str) -> str:
        return self._store.file(self.asked.pot, self.asked.tag, suffix).name

    def _shown(self, suffix: str) -> str:
        return self._directory.file(self._name(suffix)).shown


def _said(image: Path, meta: Path) -> bytes:
    """The hash of an image in the cache as its .skein has it, empty where there is none; no .meta is an empty one."""
    if not image.is_file():
        return b""
    meta.touch(mode=0o644)
    return files.content(image.with_name(f"{image.name}.skein"), SMALL) or b""
