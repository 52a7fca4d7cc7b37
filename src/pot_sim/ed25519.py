"""Ed25519 signatures (RFC 8032), since Python's library has none; for images of tests, not for secrets of worth.

Not here: files of keys and signatures (`signify`).
"""

from __future__ import annotations

import hashlib

_P = 2**255 - 19
_ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P

Point = tuple[int, int, int, int]  # extended coordinates: x = X/Z, y = Y/Z, x*y = T/Z

_NEUTRAL: Point = (0, 1, 1, 0)


def public_key(seed: bytes) -> bytes:
    scalar, _ = _expand(seed)
    return _encode(_times(scalar, _BASE))


def sign(seed: bytes, message: bytes) -> bytes:
    scalar, prefix = _expand(seed)
    public = public_key(seed)
    nonce = _hash(prefix, message)
    commitment = _encode(_times(nonce, _BASE))
    return commitment + ((nonce + _hash(commitment, public, message) * scalar) % _ORDER).to_bytes(32, "little")


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    key, commitment = _decode(public), _decode(signature[:32])
    answer = int.from_bytes(signature[32:], "little")
    if key is None or commitment is None or len(signature) != 64 or answer >= _ORDER:
        return False
    challenge = _hash(signature[:32], public, message)
    return _equal(_times(answer, _BASE), _add(commitment, _times(challenge, key)))


def _expand(seed: bytes) -> tuple[int, bytes]:
    digest = hashlib.sha512(seed).digest()
    scalar = int.from_bytes(digest[:32], "little") & ~7
    return scalar & (1 << 254) - 1 | 1 << 254, digest[32:]


def _hash(*parts: bytes) -> int:
    return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little") % _ORDER


def _add(one: Point, other: Point) -> Point:
    x1, y1, z1, t1 = one
    x2, y2, z2, t2 = other
    a, b = (y1 - x1) * (y2 - x2) % _P, (y1 + x1) * (y2 + x2) % _P
    c, d = 2 * t1 * t2 * _D % _P, 2 * z1 * z2 % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _times(scalar: int, point: Point) -> Point:
    result = _NEUTRAL
    while scalar:
        if scalar & 1:
            result = _add(result, point)
        point = _add(point, point)
        scalar >>= 1
    return result


def _equal(one: Point, other: Point) -> bool:
    return (one[0] * other[2] - other[0] * one[2]) % _P == 0 and (one[1] * other[2] - other[1] * one[2]) % _P == 0


def _encode(point: Point) -> bytes:
    inverse = pow(point[2], -1, _P)
    x, y = point[0] * inverse % _P, point[1] * inverse % _P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _decode(data: bytes) -> Point | None:
    number = int.from_bytes(data, "little")
    y, sign_bit = number & (1 << 255) - 1, number >> 255
    x = _x_of(y)
    if len(data) != 32 or y >= _P or x is None or (x == 0 and sign_bit):
        return None
    x = _P - x if x & 1 != sign_bit else x
    return x, y, 1, x * y % _P


def _x_of(y: int) -> int | None:
    """A square root of what the curve's equation says of x."""
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    root = pow(square, (_P + 3) // 8, _P)
    if (root * root - square) % _P:
        root = root * pow(2, (_P - 1) // 4, _P) % _P
    return root if (root * root - square) % _P == 0 else None


def _base() -> Point:
    y = 4 * pow(5, -1, _P) % _P
    x = _x_of(y)
    assert x is not None
    x = _P - x if x & 1 else x
    return x, y, 1, x * y % _P


_BASE = _base()
