"""One URL to one file, whole or not at all, in a thread: http, https and file.

What goes wrong is told with the URL as the job has it, less its credentials, and with what the server said.
Proxies are taken from the environment of the agent, as pot's own fetch would.

Not here: which files an image has, who waits for them, asyncio.
"""

from __future__ import annotations

import base64
import os
import secrets
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage, InvalidURL
from pathlib import Path
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import (
    FileHandler,
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    UnknownHandler,
)

from pot_driver import __version__
from pot_driver.errors import DriverError, PotFailed, TryAgain

SCHEMES = frozenset({"http", "https", "file"})
PART = ".part"
MIB = 1 << 20
CHUNK = MIB // 4
PASSING = frozenset({408, 425, 429})  # beside all of 5xx
HINTS = {
    401: "; are the credentials in the image URL right?",
    403: "; are the credentials in the image URL right?",
    404: "; is there an image of this name and tag at this URL?",
}


class Absent(PotFailed):
    """The server is there and has no such file."""


@dataclass(slots=True)
class Progress:
    """How far a download is. Written by its thread, read by those who wait."""

    url: str = ""
    done_bytes: int = 0
    total_bytes: int | None = None

    def text(self) -> str:
        """For people: URL and how much of it is here."""
        of = f" of {self.total_bytes / MIB:.1f}" if self.total_bytes else ""
        return f"{self.url}: {self.done_bytes / MIB:.1f}{of} MiB"


def fetch(url: str, target: Path, *, idle_s: float, progress: Progress, stop: threading.Event) -> None:
    """Bring `url` to `target`. Gives up without data for `idle_s`, and silently when told to stop."""
    if stop.is_set():
        return
    shown = without_credentials(url)
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}{PART}")
    try:
        with _told(lambda error: _transfer_failed(shown, idle_s, error)):
            response = _opener().open(_request(url), timeout=idle_s)
        with (
            response,
            _told(lambda error: _disk_failed(target.parent, error)),
            open(part, "xb", opener=_private) as file,
        ):
            length = response.headers.get("Content-Length")
            progress.url, progress.done_bytes = shown, 0
            progress.total_bytes = int(length) if length and length.isdecimal() else None
            while not stop.is_set():
                with _told(lambda error: _transfer_failed(shown, idle_s, error)):
                    data = response.read1(CHUNK)
                if not data:
                    break
                file.write(data)
                progress.done_bytes += len(data)
        if stop.is_set():
            return
        if progress.total_bytes not in {None, progress.done_bytes}:
            raise TryAgain(
                f"cannot download {shown}: the connection ended after {progress.done_bytes}"
                f" of {progress.total_bytes} bytes"
            )
        with _told(lambda error: _disk_failed(target.parent, error)):
            part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def without_credentials(url: str) -> str:
    """The URL as people may see it."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _request(url: str) -> Request:
    request = Request(  # noqa: S310 - the opener has handlers for SCHEMES only
        without_credentials(url), headers={"User-Agent": f"pot-driver/{__version__}"}
    )
    credentials, at, _ = urlsplit(url).netloc.rpartition("@")
    if at:
        basic = base64.b64encode(unquote(credentials).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {basic}")
    return request


class _Redirects(HTTPRedirectHandler):
    """Credentials go along to the same host and to no other."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        if super().redirect_request(req, fp, code, msg, headers, newurl) is None:
            return None
        new = _request(newurl)
        if new.type not in {"http", "https"}:
            raise HTTPError(req.full_url, code, msg, headers, fp)
        basic = req.unredirected_hdrs.get("Authorization")
        if basic and (new.type, new.host) == (req.type, req.host):
            new.add_unredirected_header("Authorization", basic)
        return new


def _opener() -> OpenerDirector:
    opener = OpenerDirector()
    for handler in (
        ProxyHandler,
        HTTPHandler,
        HTTPSHandler,
        FileHandler,
        UnknownHandler,
        HTTPDefaultErrorHandler,
        HTTPErrorProcessor,
        _Redirects,
    ):
        opener.add_handler(handler())
    return opener


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


@contextmanager
def _told(explain: Callable[[Exception], DriverError]) -> Iterator[None]:
    try:
        yield
    except (OSError, HTTPException, ValueError) as error:
        raise explain(error) from error


def _transfer_failed(url: str, idle_s: float, error: Exception) -> DriverError:
    if isinstance(error, HTTPError):
        kind, words = _refusal(error)
    else:
        kind, words = _cause(error.reason if isinstance(error, URLError) else error, idle_s)
    return kind(f"cannot download {url}: {words}")


def _refusal(error: HTTPError) -> tuple[type[DriverError], str]:
    with error:
        code, reason = error.code, str(error.reason)
    if code // 100 == 3:  # noqa: PLR2004 - the reason quotes the target, which may be signed
        return PotFailed, f"HTTP {code}, and the redirection leads nowhere"
    words = f"HTTP {code} {reason[:100]}".strip()
    if code // 100 == 5 or code in PASSING:  # noqa: PLR2004
        return TryAgain, words
    return Absent if code in {404, 410} else PotFailed, words + HINTS.get(code, "")


def _cause(  # noqa: PLR0911 - one line a cause
    reason: BaseException | str, idle_s: float
) -> tuple[type[DriverError], str]:
    match reason:
        case TimeoutError():
            return TryAgain, f"no data for {idle_s:g} s"
        case FileNotFoundError():
            return Absent, "there is no such file"
        case ssl.SSLCertVerificationError():
            return PotFailed, f"{reason.verify_message}; is the server's certificate right?"
        case IsADirectoryError() | NotADirectoryError() | PermissionError():
            return PotFailed, str(reason.strerror)
        case OSError():  # name lookup, refused, reset, unreachable
            return TryAgain, reason.strerror or str(reason)
        case InvalidURL() | ValueError():  # whose own words may quote credentials
            return PotFailed, "this is not a usable URL"
        case HTTPException():
            return TryAgain, f"the answer broke off or is not HTTP ({type(reason).__name__})"
        case _:
            return PotFailed, str(reason)


def _disk_failed(directory: Path, error: Exception) -> DriverError:
    words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return TryAgain(f"cannot write the image to {directory}: {words}; is there space in this directory?")
