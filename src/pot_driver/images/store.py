"""What of an image is on this host: imported by pot, or in its cache.

Beside a cached image that this driver fetched lies an empty `.NAME.xz.used`, as old as its last use.

Not here: fetching, removing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import structlog

from pot_driver.images.download import PART, SCHEMES
from pot_driver.pot.layout import PotPaths, image_pot

if TYPE_CHECKING:
    from pot_driver.spec import ImageRef

_LAYER = re.compile(r"([A-Za-z0-9_][\w.-]*):([A-Za-z0-9_][\w.-]*)@\S+", re.ASCII)
_USED = ".used"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Store:
    """The host's images, imported and cached."""

    paths: PotPaths

    def usable(self, image: ImageRef) -> bool:
        """Whether we may fetch for pot at all."""
        scheme = urlsplit(image.url).scheme
        if scheme not in SCHEMES:
            log.debug("image left to pot's own fetch", reason=f"scheme {scheme!r}")
            return False
        if not os.access(self.paths.cache, os.W_OK | os.X_OK):
            log.debug("image left to pot's own fetch", reason=f"cannot write to {self.paths.cache}")
            return False
        return True

    def file(self, pot: str, tag: str, suffix: str) -> Path:
        """Where it lies in the cache."""
        file = self.paths.image_file(pot, tag)
        return file.with_name(f"{file.name}{suffix}")

    def imported(self, pot: str, tag: str) -> bool:
        """Whether pot has it and will not ask for its files."""
        return self.paths.conf(image_pot(pot, tag)).exists()

    def missing(self, image: ImageRef, pot: str, tag: str) -> tuple[str, ...]:
        """Which files of `pot` at `tag`, the image or a parent, are not in the cache: small ones first."""
        signed = image.signature_pubkey and (pot, tag) == (image.pot, image.tag)
        suffixes = (".skein", *((".skein.sig",) if signed else ()), ".meta", "")
        return tuple(suffix for suffix in suffixes if not self.file(pot, tag, suffix).exists())

    def parent(self, pot: str, tag: str) -> tuple[str, str] | None:
        """The image that a layered one is a difference to."""
        with suppress(OSError, ValueError):
            match = _LAYER.fullmatch(self.file(pot, tag, ".meta").read_text()[:1024].strip())
            return (match[1], match[2]) if match else None
        return None

    def lineage(self, pot: str, tag: str) -> Iterator[tuple[str, str]]:
        """The image and its parents, as far as pot would import them."""
        seen = set()
        while (pot, tag) not in seen and not self.imported(pot, tag):
            yield pot, tag
            seen.add((pot, tag))
            parent = self.parent(pot, tag)
            if parent is None:
                return
            pot, tag = parent

    def complete(self, image: ImageRef) -> bool:
        """Whether pot will need no network."""
        return not any(
            set(self.missing(image, pot, tag)) - {".meta"}  # pot does without
            for pot, tag in self.lineage(image.pot, image.tag)
        )

    def sweep(self, *, older_than_s: float) -> None:
        """Remove what a killed plugin left: a living download writes more often than this."""
        for part in self.paths.cache.glob(f".*{PART}"):
            with suppress(OSError):
                if part.stat().st_mtime < older_than_s:
                    part.unlink()

    def fetched(self, pot: str, tag: str, now_s: float) -> None:
        """Note that an image is this driver's doing."""
        image = self.file(pot, tag, "")
        with suppress(OSError):
            self._mark(image).touch(mode=0o600)
        self.used(image, now_s)

    def used(self, image: Path, now_s: float) -> None:
        """Note the use of a cached image, if this driver fetched it."""
        with suppress(OSError):
            os.utime(self._mark(image), (now_s, now_s))

    def unused_since(self, before_s: float) -> Iterator[Path]:
        """The cached images that this driver fetched and nobody has used since then."""
        for mark in self.paths.cache.glob(f".*.xz{_USED}"):
            with suppress(OSError):
                if mark.stat().st_mtime < before_s:
                    yield mark.with_name(mark.name[1:].removesuffix(_USED))

    def remove(self, image: Path) -> None:
        """Take an image out of the cache."""
        for suffix in ("", ".meta", ".skein", ".skein.sig"):
            image.with_name(f"{image.name}{suffix}").unlink(missing_ok=True)
        self._mark(image).unlink(missing_ok=True)

    def _mark(self, image: Path) -> Path:
        return image.with_name(f".{image.name}{_USED}")
