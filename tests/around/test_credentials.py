"""Credentials, proxies and URLs: what a server of images is shown, and that no other is."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from pot_driver.config import Registry, urls
from pot_driver.errors import PotFailed
from pot_driver.images.credentials import Access

from .mirror import Cache, Handler, Mirror


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


async def test_a_registry_block_is_for_what_lies_below_its_url(mirror: Mirror, cache: Cache, tmp_path: Path) -> None:
    """The password comes from a file, and appears in no event."""
    (tmp_path / "password").write_text("s3cret\nnot this\n")
    block = {"username": "node", "password_file": str(tmp_path / "password")}
    cache.block = {"registry": {f"{mirror.url}/team": block}}
    mirror.answers |= {f"/team{path}": answer for path, answer in mirror.answers.items()}

    await cache.ensure(f"{mirror.url}/team")
    below = list(mirror.authorizations)
    with pytest.raises(PotFailed):
        await cache.ensure(f"{mirror.url}/teammates", "x", "1")

    assert set(below) == {basic("node:s3cret")}
    assert mirror.authorizations[-1] is None
    assert "s3cret" not in "".join(cache.told)


async def test_http_auth_goes_to_a_server_that_asks_in_its_realm(mirror: Mirror, cache: Cache) -> None:
    """As fetch(1) does it; others get nothing."""
    files = dict(mirror.answers)

    def protected(handler: Handler) -> None:
        if handler.headers.get("Authorization") == basic("us:pw"):
            handler.answer(files[handler.path])
            return
        handler.send_response(401)
        handler.send_header("WWW-Authenticate", 'Basic realm="images"')
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    mirror.answers.update(dict.fromkeys(files, protected))
    cache.environ["HTTP_AUTH"] = "basic:other:us:pw"
    with pytest.raises(PotFailed, match=r"HTTP 401 .*are the credentials for it right"):
        await cache.ensure(mirror.url)
    assert set(mirror.authorizations) == {None}
    cache.environ["HTTP_AUTH"] = "basic:images:us:pw"

    await cache.ensure(mirror.url)

    assert basic("us:pw") in mirror.authorizations


async def test_a_proxy_of_the_environment_is_asked(mirror: Mirror, cache: Cache) -> None:
    """With its own credentials, unless NO_PROXY names the host."""
    mirror.answers |= {f"http://images.example{path}": answer for path, answer in mirror.answers.items()}
    cache.environ["HTTP_PROXY"] = mirror.url

    await cache.ensure("http://images.example")

    assert "http://images.example/web_1.0.xz" in mirror.requests


def test_netrc_is_for_its_host(tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("machine a.example login us password pw\n")
    access = Access(environ={"HOME": str(tmp_path)})

    assert access.authorization(urls.parse("https://a.example/x")) == basic("us:pw")
    assert access.authorization(urls.parse("https://b.example/x")) is None


def test_the_longest_registry_url_counts(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t0ken\n")
    registries = (
        Registry(url="https://a.example", username="any"),
        Registry(url="https://a.example/team", token_file=str(tmp_path / "token")),
    )
    access = Access(registries=registries, environ={"HOME": str(tmp_path)})

    assert access.authorization(urls.parse("https://A.example:443/team/x")) == "Bearer t0ken"
    assert access.authorization(urls.parse("https://a.example/teammates")) == basic("any:")
    assert access.authorization(urls.parse("http://a.example/team")) is None


@pytest.mark.parametrize("names", ["images.example", "*", "x.y, .example"])
def test_hosts_without_a_proxy(names: str) -> None:
    environ = {"http_proxy": "http://p:3128", "no_proxy": names}

    assert Access(environ=environ).proxy(urls.parse("http://images.example/x")) is None
    assert (Access(environ={**environ, "no_proxy": "o.net"}).proxy(urls.parse("http://images.example"))) is not None


@pytest.mark.parametrize(
    ("url", "inside"),
    [
        ("https://good/images", True),
        ("HTTPS://Good:443/images/team", True),
        ("https://good/i%6dages", True),
        ("https://us:pw@good/images", True),
        ("https://good/imagesx", False),
        ("https://good/images/../x", False),
        ("https://good/images/%2e%2e/x", False),
        ("https://good/images/a%2Fb", False),
        ("https://good//images", False),
        ("http://good/images", False),
        ("https://good:8443/images", False),
        ("https://good%2Fimages@evil/", False),
        ("https://good@evil/images", False),
        ("https://evil/images", False),
    ],
)
def test_urls_are_compared_by_scheme_host_port_and_segments(url: str, inside: bool) -> None:
    assert urls.parse(url).below(urls.parse("https://good/images")) is inside


@pytest.mark.parametrize(
    "text", ["https://", "https://a b/", "https://u:s3cret@h/x?y", "https://h:0/", "https://h:99999/", "ftp://h/"]
)
def test_what_is_no_url_of_images_is_told_without_its_credentials(text: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        urls.parse(text)

    assert "s3cret" not in str(caught.value)
