"""URLs of images: taken apart once, compared by scheme, host, port and path segments.

A URL is compared as it will be asked for: what a server might read in another way (`..`, an escaped slash) is below
nothing.

Not here: which URLs a job may name (see `spec`), asking for them (see `images`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from urllib.parse import quote, unquote

SCHEMES = frozenset({"http", "https", "file"})
DEFAULT_PORTS = {"http": 80, "https": 443, "file": 0}
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9.])?|\[[0-9A-Fa-f:.]+\]")
_ODD = re.compile(r"[/\\\x00-\x1f\x7f]")
_PORT_LIMIT = 1 << 16
_SECRETS = "in a user or password write / as %2F, @ as %40 and # as %23"


@dataclass(frozen=True, slots=True, kw_only=True)
class Url:
    """`host` is in lower case, "[::1]" in brackets; `path` is decoded; `user` and `password` are secrets.

    `target`: path and query as a redirection wrote them, often signed; part of no text.
    """

    scheme: str
    host: str
    port: int
    path: tuple[str, ...]
    user: str = ""
    password: str = ""
    target: str = field(default="", repr=False, compare=False)

    @property
    def authority(self) -> str:
        """Host and, where it is not the usual one, port."""
        return self.host if self.port == DEFAULT_PORTS[self.scheme] else f"{self.host}:{self.port}"

    @property
    def request_path(self) -> str:
        """The path as a request writes it."""
        return "/" + "/".join(
            quote(segment, safe="-._~!$&'()*+,;=:@", errors="surrogateescape") for segment in self.path
        )

    def file(self, name: str) -> Url:
        """A file in it."""
        return replace(self, path=(*self.path, name))

    @property
    def shown(self) -> str:
        """The URL without credentials, the same for all spellings of it."""
        return f"{self.scheme}://{self.authority}{self.request_path}"

    @property
    def plain(self) -> bool:
        """Whether every reader takes its path for the same."""
        return not any(segment in {"", ".", ".."} or _ODD.search(segment) for segment in self.path)

    def same_server(self, other: Url) -> bool:
        """Whether credentials for the one may go to the other."""
        return (self.scheme, self.host, self.port) == (other.scheme, other.host, other.port)

    def below(self, base: Url) -> bool:
        """Whether it is `base` or lies below it, without any doubt."""
        return self.same_server(base) and self.plain and self.path[: len(base.path)] == base.path


def parse(text: str, *, redirected: bool = False) -> Url:
    """Take a URL apart; ValueError says what is wrong with it, without its credentials.

    `redirected`: a server says it, so it may have a query, and its credentials are for nobody.
    """
    scheme, separator, rest = text.partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in SCHEMES:
        raise ValueError("it does not begin with http://, https:// or file://")
    printable(rest)
    if redirected:
        rest = rest.partition("#")[0]
    query = rest[len(re.split(r"[?#]", rest)[0]) :]
    rest = rest.removesuffix(query)
    if query and not redirected:
        raise ValueError("no file name can be added behind a ? or #")
    authority, _, path = rest.partition("/")
    credentials, _, server = authority.rpartition("@")
    host, port = ("", 0) if scheme == "file" else _server(scheme, server)
    if scheme == "file" and authority not in {"", "localhost"}:
        raise ValueError("a file:// URL names no host: file:///DIRECTORY")
    if "@" in credentials:
        raise ValueError(_SECRETS)
    user, _, password = credentials.partition(":")
    return Url(
        scheme=scheme,
        host=host,
        port=port,
        path=tuple(unquote(segment, errors="surrogateescape") for segment in path.rstrip("/").split("/"))
        if path.strip("/")
        else (),
        user="" if redirected else unquote(user),
        password="" if redirected else unquote(password),
        target=f"/{path}{query}" if redirected else "",
    )


def printable(text: str) -> str:
    """A part of a URL that can be sent as it is; ValueError when it cannot."""
    if re.search(r"[^!-~]|\\", text):
        raise ValueError("it has blanks or other characters that a URL must write as %20 and so on")
    return text


def _server(scheme: str, server: str) -> tuple[str, int]:
    match = re.fullmatch(r"(.*?)(?::([0-9]*))?", server)
    host, port = (match[1], match[2]) if match else ("", None)
    if not _HOST.fullmatch(host):
        raise ValueError(f"it names no host; {_SECRETS}")
    number = int(port[:6]) if port else DEFAULT_PORTS[scheme]
    if not 0 < number < _PORT_LIMIT:
        raise ValueError("its port is out of range")
    return host.lower(), number


def without_credentials(text: str) -> str:
    """The URL as people may see it, whatever it is."""
    scheme, separator, rest = text.partition("://")
    # All before the last "@": a password may have a slash that nobody wrote as %2F.
    return f"{scheme}{separator}{rest.rpartition('@')[2]}" if separator else scheme.rpartition("@")[2]
