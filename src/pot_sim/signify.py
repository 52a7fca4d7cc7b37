"""signify(1), as far as pot uses it: keys without a passphrase, detached signatures.

Not here: the arithmetic (`ed25519`), when an image has to be signed (`commands/import_`, `commands/export`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os

from pot_sim import ed25519

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pot_sim.root import Root

_ALGORITHM = b"Ed"
MISSING = "Could not find 'signify', try 'pkg install signify'"  # pot's words
_COMMENT = "untrusted comment: "
_SIGNATURE_BYTES, _PUBLIC_BYTES, _SECRET_BYTES = 74, 42, 104


def installed(root: Root) -> bool:
    """It is a package of its own, which a host may lack: then there is no `signify` in the root's `bin`."""
    return os.access(root.bin + "/signify", os.X_OK)


class NotVerified(Exception):  # noqa: N818 (signify's word)
    """What signify says on stderr."""


def verify(key: str, signature: str, message: str) -> None:
    public, signed = _read(key, _PUBLIC_BYTES), _read(signature, _SIGNATURE_BYTES)
    if public[2:10] != signed[2:10]:
        raise NotVerified("verification failed: checked against wrong key")
    with open(message, "rb") as file:
        if not ed25519.verify(public[10:], file.read(), signed[10:]):
            raise NotVerified("signature verification failed")


def sign(key: str, message: str, signature: str) -> None:
    number, seed = read_secret(key)
    with open(message, "rb") as file:
        signed = ed25519.sign(seed, file.read())
    public_name = os.path.basename(key).removesuffix(".sec") + ".pub"
    _write(signature, f"verify with {public_name}", _ALGORITHM + number + signed)


def read_secret(key: str) -> tuple[bytes, bytes]:
    """The key's number and its seed."""
    secret = _read(key, _SECRET_BYTES)
    if secret[4:8] != bytes(4):
        raise NotVerified(f"{key} has a passphrase, which the simulator cannot ask for")
    return secret[32:40], secret[40:72]


def make_keys(base: str) -> None:
    """BASE.pub and BASE.sec, as `signify -G -n` does."""
    number, seed = os.urandom(8), os.urandom(32)
    public = ed25519.public_key(seed)
    pair = seed + public
    header = _ALGORITHM + b"BK" + bytes(4) + os.urandom(16) + hashlib.sha512(pair).digest()[:8]
    _write(base + ".sec", "signify secret key", header + number + pair, mode=0o600)
    _write(base + ".pub", "signify public key", _ALGORITHM + number + public)


def _read(path: str, size: int) -> bytes:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            comment, _, rest = file.read().partition("\n")
        data = base64.b64decode(rest.split("\n")[0], validate=True)
    except OSError as error:
        raise NotVerified(f"can't open {path} for reading: {error.strerror}") from error
    except binascii.Error as error:
        raise NotVerified(f"invalid base64 encoding in {path}") from error
    if not comment.startswith(_COMMENT):
        raise NotVerified(f"invalid comment in {path}; must start with '{_COMMENT}'")
    if len(data) != size or data[:2] != _ALGORITHM:
        raise NotVerified(f"unsupported file {path}")
    return data


def _write(path: str, comment: str, data: bytes, *, mode: int = 0o644) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(f"{_COMMENT}{comment}\n{base64.b64encode(data).decode()}\n")
