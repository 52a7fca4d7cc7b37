"""What goes wrong on an image's way, in words for people: what was asked, what happened, what to do.

A failure that may pass by itself is a TryAgain; the others are PotFailed. No text has credentials or a signed URL.

Not here: pot's and ZFS's own words (see `pot.trouble`).
"""

from __future__ import annotations

import ssl
from http.client import HTTPException, InvalidURL
from typing import TYPE_CHECKING

from pot_driver.errors import DriverError, PotFailed, TryAgain
from pot_driver.images.web import Astray

if TYPE_CHECKING:
    from pathlib import Path

PASSING = frozenset({408, 425, 429})  # beside all of 5xx
ASTRAY = "the redirection leads nowhere: in a circle, to what is no web server, or from https to http"
_WHO = "; are the credentials for it right (registry block, ~/.netrc, HTTP_AUTH, the image's URL)?"
HINTS = {401: _WHO, 403: _WHO, 407: "; are the credentials for the proxy right?"}


class Absent(PotFailed):
    """The server is there and has no such file."""


class Damaged(TryAgain):
    """What came is not what it should be."""


def of_status(url: str, status: int, reason: str) -> DriverError:
    """A server's refusal."""
    words = f"HTTP {status} {_line(reason)}".strip()
    if status in {404, 410}:
        return Absent(f"no such file at {url} ({words})")
    if status // 100 == 5 or status in PASSING:  # noqa: PLR2004
        return TryAgain(f"cannot download {url}: {words}")
    return PotFailed(f"cannot download {url}: {words}{HINTS.get(status, '')}")


def of_transfer(url: str, idle_s: float, error: Exception) -> DriverError:
    """A connection, a server or a file that does not do."""
    kind, words = _cause(error, idle_s)
    return kind(f"no such file at {url}" if kind is Absent else f"cannot download {url}: {words}")


def _cause(  # noqa: PLR0911 - one line a cause
    error: Exception, idle_s: float
) -> tuple[type[DriverError], str]:
    match error:
        case TimeoutError():
            return TryAgain, f"no data for {idle_s:g} s, or no end of the answer's beginning"
        case FileNotFoundError():
            return Absent, "there is no such file"
        case ssl.SSLCertVerificationError():
            return PotFailed, f"{error.verify_message}; is the server's certificate right, and its ca_file?"
        case IsADirectoryError() | NotADirectoryError() | PermissionError():
            return PotFailed, str(error.strerror)
        case Astray():
            return PotFailed, ASTRAY
        case OSError():  # name lookup, refused, reset, unreachable
            return TryAgain, error.strerror or str(error)
        case InvalidURL() | ValueError():  # whose own words may quote credentials
            return PotFailed, "this is not a usable URL"
        case HTTPException():
            return TryAgain, f"the answer broke off or is not HTTP ({type(error).__name__})"
        case _:
            return PotFailed, str(error)


def of_disk(directory: Path, error: OSError) -> DriverError:
    """Pot's cache cannot be written."""
    return TryAgain(
        f"cannot write the image to {directory}: {error.strerror or error}; is there space in this directory?"
    )


def _line(text: str) -> str:
    return "".join(char for char in text if char.isprintable())[:100]
