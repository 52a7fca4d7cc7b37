"""What of images is on this host: imported by pot, in its cache, or on the way into it.

On its way an image's files lie in a directory of their own, `.fetch-<digits>` in pot's cache, and come whole and
checked under the names by which pot looks for them; the image itself last.

Not here: fetching, deciding.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pot_driver.images import origin, trouble
from pot_driver.images.choice import Asked, Local
from pot_driver.pot.layout import PotPaths, image_pot

if TYPE_CHECKING:
    from pot_driver.images.origin import Origin

SUFFIXES = (".skein", ".skein.sig", ".meta", "")  # in the order in which they come
FETCHING = ".fetch-"
_LAYER = re.compile(r"([A-Za-z0-9_][\w.-]*):([A-Za-z0-9_][\w.-]*)@\S+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Store:
    """The images of one host."""

    paths: PotPaths

    def file(self, pot: str, tag: str, suffix: str = "") -> Path:
        """Where it lies in the cache."""
        file = self.paths.image_file(pot, tag)
        return file.with_name(f"{file.name}{suffix}")

    def local(self, pot: str, tag: str) -> Local | None:
        """An image by the names that pot knows it by."""
        cached = self.file(pot, tag).is_file()
        imported = self._is_whole(image_pot(pot, tag))
        if not cached and not imported:
            return None
        return Local(pot=pot, tag=tag, origin=origin.read(self.file(pot, tag)), imported=imported, cached=cached)

    def _is_whole(self, name: str) -> bool:
        """Whether pot has all of it: a killed import leaves a pot without anything in its root."""
        with suppress(OSError):
            return self.paths.conf(name).exists() and any(self.paths.root(name).iterdir())
        return False

    def candidates(self, asked: Asked) -> list[Local]:
        """All images that have the asked name, here or where they came from."""
        tags = [asked.tag, *(tag for tag in self._recorded_tags(asked.pot) if tag != asked.tag)]
        return [local for tag in tags if (local := self.local(asked.pot, tag))]

    def recorded(self) -> Iterator[tuple[Path, Origin]]:
        """The images that this driver brought: their file in the cache, which may be gone, and their origin."""
        for record in sorted(self.paths.cache.glob(f".*.xz{origin.SUFFIX}")):
            image = record.with_name(record.name[1:].removesuffix(origin.SUFFIX))
            if found := origin.read(image):
                yield image, found

    def parent(self, meta: bytes) -> tuple[str, str] | None:
        """The image that a layered one is a difference to, as its .meta says."""
        first = meta.partition(b"\n")[0].decode(errors="replace").strip()
        match = _LAYER.fullmatch(first)
        return (match[1], match[2]) if match else None

    def install(self, work: Work, pot: str, tag: str, found: Origin, now_s: float) -> None:
        """Give the files of a finished download the names by which pot looks for them."""
        image = self.file(pot, tag)
        try:
            origin.write(image, found, now_s)
            for suffix in SUFFIXES:
                with suppress(FileNotFoundError):
                    work.file(suffix).chmod(0o644)
                    work.file(suffix).replace(self.file(pot, tag, suffix))
        except OSError as error:
            raise trouble.of_disk(self.paths.cache, error) from error

    def remove(self, image: Path) -> None:
        """Take an image out of the cache, its record last."""
        for suffix in reversed(SUFFIXES):
            image.with_name(f"{image.name}{suffix}").unlink(missing_ok=True)
        origin.path(image).unlink(missing_ok=True)

    def work(self, asked: Asked) -> Work:
        """The directory of an image's files on their way; TryAgain when it cannot be made."""
        digits = hashlib.sha256(f"{asked.url}/{asked.pot}_{asked.tag}".encode()).hexdigest()[:DIGITS]
        place = self.paths.cache / f"{FETCHING}{digits}"
        try:
            self.paths.cache.mkdir(mode=0o755, parents=True, exist_ok=True)
            place.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise trouble.of_disk(self.paths.cache, error) from error
        return Work(place)

    def sweep(self, *, older_than_s: float) -> None:
        """Remove what ended downloads left and nobody has gone on with since then."""
        for place in self.paths.cache.glob(f"{FETCHING}*"):
            with suppress(OSError):
                work = Work(place)
                if work.touched_s() < older_than_s and work.lock():
                    work.remove()

    def _recorded_tags(self, pot: str) -> list[str]:
        prefix = f".{pot}_"
        ending = f".xz{origin.SUFFIX}"
        with suppress(OSError):
            names = [entry.name for entry in os.scandir(self.paths.cache)]
            return sorted(
                name.removeprefix(prefix).removesuffix(ending)
                for name in names
                if name.startswith(prefix) and name.endswith(ending)
            )
        return []


DIGITS = 16


class Work:
    """A directory of files on their way. Who has it locked is the only one that writes, in any process."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._locked: int | None = None

    def file(self, suffix: str) -> Path:
        """Where a file is on its way."""
        return self.place / f"image{suffix}"

    def lock(self) -> bool:
        """Try to be the one who writes."""
        descriptor = os.open(self.place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_ino != self.place.lstat().st_ino:
                raise BlockingIOError  # it was removed meanwhile
        except OSError:
            os.close(descriptor)
            return False
        self._locked = descriptor
        return True

    def hold(self) -> int:
        """A descriptor that holds the lock until it is closed, too: a thread's that may be left behind."""
        return os.dup(self._locked) if self._locked is not None else os.open(os.devnull, os.O_RDONLY)

    def unlock(self) -> None:
        """Let others write, once those who hold it have ended."""
        if self._locked is not None:
            os.close(self._locked)
            self._locked = None

    def touched_s(self) -> float:
        """When something in it changed last."""
        return max(entry.lstat().st_mtime for entry in (self.place, *self.place.iterdir()))

    def clear(self) -> None:
        """Forget what came."""
        for entry in self.place.iterdir():
            entry.unlink(missing_ok=True)

    def remove(self) -> None:
        """It is not needed any more."""
        shutil.rmtree(self.place, ignore_errors=True)
        self.unlock()
