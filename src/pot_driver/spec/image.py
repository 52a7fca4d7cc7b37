"""Which image a job asks for, and whether it may.

Not here: fetching it (see `images`).
"""

from __future__ import annotations

import posixpath
import re
from urllib.parse import quote, unquote, urlsplit

from pot_driver.config.checks import shown
from pot_driver.spec.draft import Draft
from pot_driver.spec.paths import resolve
from pot_driver.spec.values import ImageRef

_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def image(draft: Draft) -> ImageRef:
    """The image, its URL absolute and without a slash at the end."""
    options = draft.options
    for option, value in (("pot", options.pot), ("tag", options.tag)):
        if not _PART.fullmatch(value):
            draft.wrong(option, f"{shown(value)} may have only letters, digits, and . _ - after the first")
    url = _url(draft)
    allowed = draft.plugin.allowed_image_urls
    if allowed and not any(_below(url, base) for base in allowed):
        asked = shown(without_password(options.image))
        draft.wrong("image", f"{asked} is not below one of the allowed_image_urls {', '.join(allowed)}")
    return ImageRef(url=url, pot=options.pot, tag=options.tag, signature_pubkey=_signature_pubkey(draft))


def without_password(url: str) -> str:
    """The URL as it may be shown: arguments, logs and messages are read by others than the job's author."""
    scheme, separator, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}"


def _url(draft: Draft) -> str:
    text = draft.options.image.strip()
    asked = shown(without_password(text))
    scheme, separator, rest = text.partition("://")
    if not separator or scheme not in {"http", "https", "file"}:
        draft.wrong("image", f"{asked} is not a URL that begins with http://, https:// or file://")
        return text
    if re.search(r"[^!-~]", text):
        draft.wrong("image", f"{asked} has blanks or other characters that a URL must write as %20 and so on")
        return text
    if scheme == "file":
        return f"file://{quote(_directory(draft, unquote(rest)).rstrip('/'))}"
    try:
        parsed = urlsplit(text)
        host, _ = parsed.hostname, parsed.port
    except ValueError as err:
        draft.wrong("image", f"{asked} is not a URL: {err}")
        return text
    if not host or parsed.query or parsed.fragment:
        draft.wrong("image", f"{asked} is not a URL to which /<pot>_<tag>.xz can be added")
    return text.rstrip("/")


def _directory(draft: Draft, path: str) -> str:
    """`file://./images` is in the task's directory, as it was for the Go driver."""
    if draft.plugin.allowed_image_urls and path.startswith("/"):
        return posixpath.normpath(path).replace("//", "/")
    return resolve(draft, "image", path, directory=True, may_be_missing=True).path


def _below(url: str, base: str) -> bool:
    scheme, _, plain = _plain(url)
    root_scheme, _, root = _plain(base)
    return scheme == root_scheme and (plain == root or plain.startswith(root.rstrip("/") + "/"))


def _plain(url: str) -> tuple[str, str, str]:
    """Without spellings that lead elsewhere than they look: `..`, `%2e%2e`, doubled slashes."""
    scheme, separator, rest = url.partition("://")
    return scheme, separator, posixpath.normpath(unquote(rest)).replace("//", "/")


def _signature_pubkey(draft: Draft) -> str | None:
    plugin, key = draft.plugin, draft.options.signature_pubkey
    if key in {None, plugin.signature_pubkey}:
        if plugin.require_signature and plugin.signature_pubkey is None:
            draft.wrong("signature_pubkey", "must be given: this node starts only signed images and has no key itself")
        return plugin.signature_pubkey
    if plugin.require_signature and plugin.signature_pubkey is not None:
        draft.wrong("signature_pubkey", f"{shown(key)}: this node takes only images signed with its own key")
    return resolve(draft, "signature_pubkey", str(key), directory=False).path
