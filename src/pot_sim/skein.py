"""The digest that the simulator takes for Skein-1024: as long, written as skein1024(1) writes it, but SHAKE-256.

Python has no Skein, and one written in Python would take minutes for an image. Whoever makes or checks a .skein here
asks this module, so that all agree with one another; none agrees with a .skein made on FreeBSD.

Not here: which files a .skein is made of (`images`).
"""

from __future__ import annotations

import hashlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

_BYTES = 128
_BLOCK = 1 << 20


def hexdigest(blocks: Iterable[bytes]) -> str:
    function = hashlib.shake_256()
    for block in blocks:
        function.update(block)
    return function.hexdigest(_BYTES)


def blocks(file: BinaryIO) -> Iterator[bytes]:
    """What is left to read of a file."""
    while block := file.read(_BLOCK):
        yield block
