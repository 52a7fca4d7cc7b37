"""Which image of this host answers a job, and under which name a new one is kept. Pure.

A name belongs to the first origin that brought it. What comes from elsewhere, or has changed, is kept as
`TAG-<16 digits of its hash>`: pot imports it under that tag from its cache, running tasks keep theirs, and no job gets
the image of another registry in silence.

Not here: asking anybody (see `flight`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from pot_driver.errors import PotFailed

if TYPE_CHECKING:
    from pot_driver.images.origin import Origin

DIGITS = 16  # of the hash in a distinct tag


@dataclass(frozen=True, slots=True, kw_only=True)
class Local:
    """An image on this host. `tag` is the one that pot knows it by; `origin` None: unknown."""

    pot: str
    tag: str
    origin: Origin | None
    imported: bool
    cached: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a job asks for: the image's names, its directory's URL, the key that must have signed it."""

    pot: str
    tag: str
    url: str
    signer: str | None = None
    force: bool = False  # what is here counts only if the registry still has the same
    strict: bool = False  # an unknown origin does not count
    plain: bool = False  # a layer: pot looks for it under its own name and no other


class Known(Enum):
    """How an image of this host answers."""

    ORIGIN = "it came from this URL"
    UNKNOWN = "it is of unknown origin"


def present(asked: Asked, locals_: Iterable[Local]) -> tuple[Local, Known] | None:
    """The image that answers without asking the registry, None when it must be asked."""
    if asked.force:
        return None
    mine = [local for local in locals_ if _names(asked, local) and (not asked.plain or local.tag == asked.tag)]
    known = [local for local in mine if local.origin and _came_from(asked, local.origin)]
    if known:
        return max(known, key=lambda local: local.origin.fetched_s if local.origin else 0.0), Known.ORIGIN
    if asked.strict or asked.signer is not None or any(local.origin is not None for local in mine):
        return None
    unknown = [local for local in mine if local.origin is None]
    return (unknown[0], Known.UNKNOWN) if unknown else None


def same(asked: Asked, hash_text: str, locals_: Iterable[Local]) -> Local | None:
    """The image of this host that has the registry's content."""
    found = [local for local in locals_ if _names(asked, local) and local.origin and local.origin.hash == hash_text]
    return found[0] if found else None


def local_tag(asked: Asked, hash_text: str, locals_: Sequence[Local]) -> str:
    """The tag under which a new image is kept; PotFailed for a layer whose name another image has."""
    taken = {local.tag for local in locals_ if local.pot == asked.pot}
    if asked.tag not in taken:
        return asked.tag
    if asked.plain:
        raise PotFailed(
            f"image {asked.pot}, tag {asked.tag}, at {asked.url} is needed as a layer, and this host has another image"
            f" of this name ({whose(asked, locals_)}): pot finds layers by their name, so only one of them can be here"
        )
    distinct = f"{asked.tag}-{hash_text[:DIGITS]}"
    if distinct in taken:
        raise PotFailed(f"image {asked.pot}, tag {distinct}, is here and is not what its hash says: remove it")
    return distinct


def whose(asked: Asked, locals_: Iterable[Local]) -> str:
    """Where the image that has the asked name came from, in words."""
    for local in locals_:
        if (local.pot, local.tag) == (asked.pot, asked.tag):
            return f"from {local.origin.urls[0]}" if local.origin else "of unknown origin"
    return "from nowhere"


def _names(asked: Asked, local: Local) -> bool:
    """Whether it is an image of the asked name, wherever it came from."""
    names = (local.origin.pot, local.origin.tag) if local.origin else (local.pot, local.tag)
    return names == (asked.pot, asked.tag)


def _came_from(asked: Asked, origin: Origin) -> bool:
    return asked.url in origin.urls and (asked.signer is None or asked.signer in origin.signers)
