"""Hash and signature of an image by the host's own tools, outside of pot's lock, by pot's own rules.

The .skein is what `skein1024` says of the image followed by its .meta; the .skein.sig is signify's of the .skein.

Not here: which files these are.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

from pot_driver.errors import PotFailed
from pot_driver.images.trouble import Damaged

if TYPE_CHECKING:
    from pot_driver.process import Processes

HASH = re.compile(rb"[0-9a-f]{256}\n?")  # 1024 bits
SIGNATURE_S = 60.0
KEY_LIMIT = 1 << 16
_SKEIN = 'cat "$1" "$2" | skein1024 -q'  # as pot does it


async def hash_of(processes: Processes, image: Path, meta: Path, timeout_s: float) -> str:
    """What the image's .skein must say; PotFailed when the host cannot tell."""
    processes.find("skein1024")
    done = await processes.run(("sh", "-c", _SKEIN, "sh", str(image), str(meta)), timeout_s=timeout_s)
    words = done.stderr.decode(errors="replace").strip()
    if done.status != 0 or words or not HASH.fullmatch(done.stdout):
        raise PotFailed(f"cannot compute the hash of {image}: {words or f'skein1024 ended with {done.status}'}")
    return done.stdout.decode().strip()


def hash_text(url: str, data: bytes) -> str:
    """What a .skein says; Damaged when it is none."""
    if not HASH.fullmatch(data):
        raise Damaged(f"{url} is not the hash of an image (256 hexadecimal digits, as `pot export` writes it)")
    return data.decode().strip()


async def signature(processes: Processes, key: str, hashed: Path, signed: Path, url: str) -> None:
    """See that the .skein is signed with this key; PotFailed when it is not."""
    argv = ("signify", "-V", "-p", key, "-x", str(signed), "-m", str(hashed))
    done = await processes.run(argv, timeout_s=SIGNATURE_S)
    if done.status != 0:
        words = done.stderr.decode(errors="replace").strip()[-300:] or f"signify ended with {done.status}"
        raise PotFailed(f"the signature at {url} is not one of {key}: {words}")


def signer(key: str) -> str:
    """What identifies a public key, wherever its file lies; PotFailed when it cannot be read."""
    try:
        with Path(key).open("rb") as file:
            lines = file.read(KEY_LIMIT).splitlines()
    except OSError as error:
        raise PotFailed(f"cannot read the public key {key}: {error.strerror}") from error
    # The first line is a comment.
    return hashlib.sha256(lines[1] if len(lines) > 1 else b"").hexdigest()
