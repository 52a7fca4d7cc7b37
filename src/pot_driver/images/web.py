"""Asking web servers: one thread's connections, kept alive, with time limits on every byte.

Credentials go to the server that they are for and to no other; a redirection leads to web servers only and never from
https to http.

Not here: files and what is in them (see `transfer`), words for what went wrong (see `trouble`).
"""

from __future__ import annotations

import io
import socket
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from pot_driver import __version__
from pot_driver.config import urls

if TYPE_CHECKING:
    from pot_driver.clock import Clock
    from pot_driver.config.urls import Url
    from pot_driver.images.credentials import Access

MAX_REDIRECTS = 5
REDIRECTIONS = frozenset({301, 302, 303, 307, 308})
UNAUTHORIZED = 401
BUFFER = 1 << 18
DRAINED = 1 << 16  # of a body that nobody wants, to keep the connection


class Astray(Exception):  # noqa: N818 - what a redirection leads
    """A redirection leads nowhere. Its target is not told: it may be signed."""


class Cut(OSError):  # noqa: N818
    """The connection was given up by those who wait for it."""


@dataclass(slots=True)
class Patience:
    """The time limits of one thread's reads: no data for `idle_s`; nothing at all after `until_s`, monotonic."""

    clock: Clock
    idle_s: float
    until_s: float = float("inf")

    def left_s(self) -> float:
        """For the next read; TimeoutError when there is none."""
        left = self.until_s - self.clock.monotonic_s()
        if left <= 0:
            raise TimeoutError
        return min(self.idle_s, left)


class _Reading(io.RawIOBase):
    """A socket whose every read has what patience is left."""

    def __init__(self, sock: socket.socket, patience: Patience) -> None:
        self._socket = sock
        self._raw = sock.makefile("rb", buffering=0)  # keeps the socket open until it is closed itself
        self._patience = patience

    def close(self) -> None:
        self._raw.close()
        super().close()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._socket.settimeout(self._patience.left_s())
        return self._raw.readinto(buffer) or 0


class _Socket:
    """What http.client needs of a socket."""

    def __init__(self, sock: socket.socket, patience: Patience) -> None:
        self._socket = sock
        self._patience = patience

    def makefile(self, _: str) -> io.BufferedReader:
        return io.BufferedReader(_Reading(self._socket, self._patience), BUFFER)

    def sendall(self, data: bytes) -> None:
        self._socket.settimeout(self._patience.left_s())
        self._socket.sendall(data)

    def shutdown(self, how: int) -> None:
        self._socket.shutdown(how)

    def close(self) -> None:
        self._socket.close()


class Client:
    """Connections of one image's way. One thread asks at a time; `cut` may come from any."""

    def __init__(self, access: Access, patience: Patience, header_s: float) -> None:
        self.patience = patience
        self._access = access
        self._header_s = header_s
        self._connections: dict[tuple[str, str, int], HTTPConnection] = {}
        self._cut = False

    def get(self, url: Url, headers: dict[str, str]) -> HTTPResponse:
        """The server's answer, body unread, after redirections. OSError, HTTPException or Astray."""
        authorization, origin = self._access.authorization(url), url
        for _ in range(MAX_REDIRECTS + 1):
            answer = self._ask(url, headers, authorization if url.same_server(origin) else None)
            if answer.status == UNAUTHORIZED and authorization is None and url.same_server(origin):
                authorization = self._access.answer(answer.headers.get("WWW-Authenticate", ""))
                if authorization is None:
                    return answer
                _drain(answer)
            elif answer.status in REDIRECTIONS:
                _drain(answer)
                url = _target(url, answer)
            else:
                return answer
        raise Astray

    def cut(self) -> None:
        """End all that is under way."""
        self._cut = True
        for connection in list(self._connections.values()):
            if connection.sock is not None:
                with suppress(OSError):
                    connection.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of the connections."""
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()

    def _ask(self, url: Url, headers: dict[str, str], authorization: str | None) -> HTTPResponse:
        key = (url.scheme, url.host, url.port)
        kept = key in self._connections and self._connections[key].sock is not None
        try:
            return self._ask_once(key, url, headers, authorization)
        except (ConnectionError, HTTPException) as error:
            self._forget(key)
            # A server may have ended a connection that it kept for a while.
            if not kept or self._cut or isinstance(error, TimeoutError):
                raise
            return self._ask_once(key, url, headers, authorization)
        except OSError:
            self._forget(key)
            raise

    def _ask_once(
        self, key: tuple[str, str, int], url: Url, headers: dict[str, str], authorization: str | None
    ) -> HTTPResponse:
        proxy = self._access.proxy(url)
        connection = self._connections.get(key)
        if connection is None:
            connection = self._connections[key] = self._connection(url, proxy)
        end_s, patience = self.patience.until_s, self.patience
        patience.until_s = min(end_s, patience.clock.monotonic_s() + self._header_s)
        try:
            if not self._is_open(connection):
                connection.timeout = patience.left_s()
                connection.connect()
                # http.client reads and writes what it finds here.
                connection.sock = _Socket(connection.sock, patience)
            if self._cut:
                raise Cut
            through = proxy is not None and url.scheme == "http"
            path = url.target or url.request_path
            target = f"http://{url.authority}{path}" if through else path
            sent = {"User-Agent": f"pot-driver/{__version__}", "Accept": "*/*", **headers}
            if through and proxy is not None and (basic := self._access.proxy_authorization(proxy)):
                sent["Proxy-Authorization"] = basic
            if authorization is not None:
                sent["Authorization"] = authorization
            connection.request("GET", target, headers={"Host": url.authority, **sent})
            return connection.getresponse()
        finally:
            patience.until_s = end_s

    @staticmethod
    def _is_open(connection: HTTPConnection) -> bool:
        return connection.sock is not None

    def _connection(self, url: Url, proxy: Url | None) -> HTTPConnection:
        first = proxy or url
        host = first.host.strip("[]")
        if url.scheme == "http":
            return HTTPConnection(host, first.port)
        connection = HTTPSConnection(host, first.port, context=self._access.tls(url))
        if proxy is not None:
            basic = self._access.proxy_authorization(proxy)
            connection.set_tunnel(url.host.strip("[]"), url.port, {"Proxy-Authorization": basic} if basic else {})
        return connection

    def _forget(self, key: tuple[str, str, int]) -> None:
        connection = self._connections.pop(key, None)
        if connection is not None:
            connection.close()


def _target(url: Url, answer: HTTPResponse) -> Url:
    here = f"{url.scheme}://{url.authority}{url.request_path}"
    location = answer.headers.get("Location", "")
    try:
        target = urls.parse(urljoin(here, location), redirected=True)
    except ValueError:
        raise Astray from None
    if not location or target.scheme == "file" or (url.scheme, target.scheme) == ("https", "http"):
        raise Astray
    return target


def _drain(answer: HTTPResponse) -> None:
    """Read a short rest, so that the connection can be used again; end one with a long rest."""
    with suppress(HTTPException, OSError):
        answer.read(DRAINED)
    answer.close()
