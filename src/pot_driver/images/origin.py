"""Where an image on this host came from: a record beside its file in pot's cache, `.NAME_TAG.xz.origin`.

The record's own time is that of the image's last use. An image without a record is of unknown origin: it came by hand.

Not here: deciding what an origin is good for (see `choice`).
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pot_driver import files

SUFFIX = ".origin"
LIMIT = 1 << 16  # bytes of a record; an administrator's registry has some ten URLs
MAX_URLS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What is known of an image: `pot` and `tag` are its names where it came from, `urls` all places that have it.

    `hash` is the text of its .skein, `signers` identify the keys that it is signed with, `size` is the file's in bytes.
    """

    pot: str
    tag: str
    urls: tuple[str, ...]
    hash: str
    size: int
    fetched_s: float
    signers: tuple[str, ...] = ()

    def also(self, url: str, signer: str | None) -> Origin:
        """The same content was found there, too."""
        urls = tuple(dict.fromkeys([*self.urls, url]))[-MAX_URLS:]
        return replace(self, urls=urls, signers=tuple(dict.fromkeys([*self.signers, *([signer] if signer else [])])))


def path(image: Path) -> Path:
    """Where the record of an image's file is."""
    return image.with_name(f".{image.name}{SUFFIX}")


def read(image: Path) -> Origin | None:
    """The record; None where there is none, or none that can be read."""
    data = files.content(path(image), LIMIT)
    with suppress(ValueError, TypeError, KeyError):
        raw = json.loads(data or b"")
        return Origin(
            pot=_text(raw["pot"]),
            tag=_text(raw["tag"]),
            urls=tuple(_text(url) for url in raw["urls"]),
            hash=_text(raw["hash"]),
            size=int(raw["size"]),
            fetched_s=float(raw["fetched_s"]),
            signers=tuple(_text(signer) for signer in raw["signers"]),
        )
    return None


def write(image: Path, origin: Origin, used_s: float) -> None:
    """Write the record, whole or not at all; only root reads it."""
    final = path(image)
    temporary = final.with_name(f"{final.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump({"version": 1, **asdict(origin)}, file)
    os.utime(temporary, (used_s, used_s))
    temporary.replace(final)


def used(image: Path, now_s: float) -> None:
    """Note the use of an image, if it has a record."""
    with suppress(OSError):
        os.utime(path(image), (now_s, now_s), follow_symlinks=False)


def last_used_s(image: Path) -> float | None:
    """When it was used last; None without a record."""
    try:
        return path(image).lstat().st_mtime
    except OSError:
        return None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
