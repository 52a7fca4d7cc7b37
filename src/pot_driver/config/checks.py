"""What an option's value must look like by itself: each check returns the value to keep, or raises Unfit.

Not here: anything that needs a second option, the job or the host.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable

from pot_driver.config.urls import parse, without_credentials

_UNITS_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ns|us|µs|ms|s|m|h)")
_SHOWN = 80  # characters of a wrong value that a message repeats


class Unfit(ValueError):  # noqa: N818 - what the value is
    """A value does not fit; the text completes "OPTION: …"."""


def shown(value: object) -> str:
    """The value as a message repeats it: quoted, on one line, not longer than a line."""
    text = str(value) if isinstance(value, (int, float, bool)) else ascii_quoted(str(value))
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def ascii_quoted(text: str) -> str:
    """Double-quoted, control characters as escapes."""
    body = "".join(c if c.isprintable() and c not in '"\\' else _escape(c) for c in text)
    return f'"{body}"'


def _escape(char: str) -> str:
    return f"\\{char}" if char in '"\\' else char.encode("unicode_escape").decode()


def duration(value: object) -> float:
    """Seconds of a Go duration such as "1m30s"."""
    text = str(value)
    if not text or _PART.sub("", text):
        raise Unfit(f'{shown(text)} is not a duration such as "30s" or "1h30m"')
    seconds = sum(float(number) * _UNITS_S[unit] for number, unit in _PART.findall(text))
    if seconds <= 0:
        raise Unfit(f"{shown(text)} must be more than nothing")
    return seconds


def one_of(*choices: str) -> Callable[[object], str]:
    """One of a few words."""

    def check(value: object) -> str:
        if value not in choices:
            listed = ", ".join(f'"{c}"' for c in choices)
            raise Unfit(f"{shown(value)} is not one of {listed}")
        return str(value)

    return check


def at_least_one(value: object) -> int:
    """A count."""
    if not isinstance(value, int) or value < 1:
        raise Unfit(f"{shown(value)} must be 1 or more")
    return value


def absolute(value: object) -> str:
    """An absolute path, as a plain spelling of it."""
    path = str(value)
    if not path.startswith("/") or "\0" in path:
        raise Unfit(f"{shown(path)} is not an absolute path")
    return posixpath.normpath(path).replace("//", "/")


def absolutes(value: object) -> tuple[str, ...]:
    """Absolute paths."""
    return tuple(absolute(path) for path in _texts(value))


def search_path(value: object) -> str:
    """A PATH of absolute directories: a relative one would depend on where the agent was started."""
    for directory in str(value).split(":"):
        absolute(directory)
    return str(value)


def executable(value: object) -> str:
    """A name to look up or an absolute path."""
    text = str(value)
    if "/" in text:
        return absolute(text)
    if not text:
        raise Unfit('"" is no name of a program')
    return text


def dns(value: object) -> str:
    """What pot can do about resolv.conf."""
    text = str(value)
    kind, colon, file = text.partition(":")
    if text not in {"inherit", "pot", "off"} and not (kind == "custom" and colon and file):
        raise Unfit(f'{shown(text)} is not one of "inherit", "pot", "off", "custom:FILE"')
    return text


def filled(value: object) -> str:
    """Something, in one line."""
    text = str(value)
    if not text.strip():
        raise Unfit(f"{shown(text)} must not be empty")
    return text


def urls(value: object) -> tuple[str, ...]:
    """URLs from which images may come."""
    return tuple(url(text) for text in _texts(value))


def url(value: object) -> str:
    """A URL of images that needs no interpretation."""
    text = str(value)
    try:
        parsed = parse(text)
    except ValueError as error:
        raise Unfit(f"{shown(without_credentials(text))} is not a URL of images: {error}") from None
    if not parsed.plain or parsed.user or parsed.password:
        words = "must have neither credentials nor .. and // in its path"
        raise Unfit(f"{shown(without_credentials(text))} {words}")
    return text


def size(value: object) -> int:
    """Bytes of a size such as "20GiB"."""
    match = re.fullmatch(r"([0-9]{1,12}) ?(|[KMGT](?:i?B)?|B)", str(value).strip())
    if not match or not int(match[1]):
        raise Unfit(f'{shown(value)} is not a size such as "500MiB" or "20GiB"')
    return int(match[1]) << 10 * " KMGT".index(match[2][:1].replace("B", "") or " ")


def _texts(value: object) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, tuple) else ()
