"""What a server of images is shown and what it must show: credentials, proxies, certificates.

They come from the job's URL, the node's `registry` blocks and, as for fetch(1), from the agent's environment:
HTTP_AUTH, ~/.netrc or NETRC, HTTP_PROXY, HTTPS_PROXY, HTTP_PROXY_AUTH, NO_PROXY, SSL_CA_CERT_FILE, SSL_CA_CERT_PATH,
SSL_CERT_FILE, SSL_CLIENT_CERT_FILE, SSL_CLIENT_KEY_FILE. Files are read at each use, so that they can be changed.

Not here: asking servers. No value of these is ever told.
"""

from __future__ import annotations

import base64
import netrc
import os
import pwd
import re
import ssl
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pot_driver.config import urls
from pot_driver.errors import PotFailed

if TYPE_CHECKING:
    from pot_driver.config import Registry
    from pot_driver.config.urls import Url

SECRET_LIMIT = 1 << 16  # bytes of a file with a secret in its first line
PORTS_CERTIFICATES = "/usr/local/etc/ssl/cert.pem"  # of ca_root_nss, where fetch(1) looks first
FETCH_AUTH_PARTS = 4  # scheme:realm:user:password


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How this node asks. `environ` is the agent's."""

    registries: Sequence[Registry] = ()
    environ: Mapping[str, str] = field(default_factory=dict)

    def authorization(self, url: Url) -> str | None:
        """The header for this server, without being asked for it: the job's, the node's, then ~/.netrc's."""
        if url.user or url.password:
            return _basic(url.user, url.password)
        registry = self._registry(url)
        if registry and registry.token_file:
            return f"Bearer {_first_line(registry, registry.token_file)}"
        if registry and registry.username is not None:
            password = _first_line(registry, registry.password_file) if registry.password_file else ""
            return _basic(registry.username, password)
        return self._of_netrc(url.host)

    def answer(self, challenge: str) -> str | None:
        """HTTP_AUTH, which names no server: only for one that asks, in the realm that it names."""
        auth = self.environ.get("HTTP_AUTH", "")
        parts = auth.split(":", FETCH_AUTH_PARTS - 1)
        if len(parts) < FETCH_AUTH_PARTS or parts[0].lower() != "basic" or not re.match(r"(?i)basic\b", challenge):
            return None
        realm = re.search(r'realm="([^"]*)"', challenge)
        return _basic(parts[2], parts[3]) if parts[1] in {"*", realm[1] if realm else ""} else None

    def proxy(self, url: Url) -> Url | None:
        """Through which HTTP proxy, as fetch(1) chooses."""
        names = (["HTTPS_PROXY", "https_proxy"] if url.scheme == "https" else []) + ["HTTP_PROXY", "http_proxy"]
        text = next((self.environ[name] for name in names if self.environ.get(name)), "")
        if not text or self._unproxied(url.host):
            return None
        try:
            proxy = urls.parse(text if "://" in text else f"http://{text}")
        except ValueError as error:
            raise PotFailed(f"the proxy in the agent's environment is no URL: {error}") from None
        return proxy if proxy.scheme == "http" else None

    def proxy_authorization(self, proxy: Url) -> str | None:
        """The header for the proxy alone."""
        if proxy.user or proxy.password:
            return _basic(proxy.user, proxy.password)
        parts = self.environ.get("HTTP_PROXY_AUTH", "").split(":", FETCH_AUTH_PARTS - 1)
        known = len(parts) == FETCH_AUTH_PARTS and parts[0].lower() == "basic"
        return _basic(parts[2], parts[3]) if known else None

    def tls(self, url: Url) -> ssl.SSLContext:
        """Whose certificates are believed; PotFailed when a file with them cannot be read."""
        registry = self._registry(url)
        file = (registry and registry.ca_file) or self.environ.get("SSL_CA_CERT_FILE")
        path = None if file else self.environ.get("SSL_CA_CERT_PATH")
        try:
            context = ssl.create_default_context(cafile=file or None, capath=path or None)
            if not file and not path and Path(PORTS_CERTIFICATES).exists():
                context.load_verify_locations(PORTS_CERTIFICATES)
            if certificate := self.environ.get("SSL_CLIENT_CERT_FILE"):
                context.load_cert_chain(certificate, self.environ.get("SSL_CLIENT_KEY_FILE"))
        except (OSError, ssl.SSLError) as error:
            raise PotFailed(
                f"cannot use the certificates in {file or path or 'the agent environment'}: {error}"
            ) from error
        return context

    def _registry(self, url: Url) -> Registry | None:
        fitting = [registry for registry in self.registries if url.below(urls.parse(registry.url))]
        return max(fitting, key=lambda registry: len(urls.parse(registry.url).path), default=None)

    def _of_netrc(self, host: str) -> str | None:
        home = self.environ.get("HOME") or pwd.getpwuid(os.geteuid()).pw_dir
        file = self.environ.get("NETRC") or f"{home}/.netrc"
        with suppress(OSError, netrc.NetrcParseError, ValueError):
            found = netrc.netrc(file).authenticators(host)
            if found:
                return _basic(found[0], found[2] or "")
        return None

    def _unproxied(self, host: str) -> bool:
        names = re.split(r"[\s,]+", self.environ.get("NO_PROXY") or self.environ.get("no_proxy") or "")
        return any(name == "*" or (name and host.endswith(name.lower())) for name in names)


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _first_line(registry: Registry, path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            line = file.read(SECRET_LIMIT).split(b"\n")[0].decode("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        words = error.strerror if isinstance(error, OSError) else "its first line is not plain text"
        raise PotFailed(f'cannot read {path} of registry "{registry.url}": {words}') from None
    return line
