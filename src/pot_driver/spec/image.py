"""Which image a job asks for, and whether it may.

Not here: fetching it (see `images`).
"""

from __future__ import annotations

import posixpath
import re
from urllib.parse import quote, unquote

from pot_driver.config import urls
from pot_driver.config.checks import shown
from pot_driver.config.urls import without_credentials
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
    if url and not _allowed(draft, url):
        asked = shown(without_credentials(options.image))
        allowed = ", ".join(draft.plugin.allowed_image_urls)
        draft.wrong("image", f"{asked} is not below one of the allowed_image_urls {allowed}")
    plugin = draft.plugin
    return ImageRef(
        url=url,
        pot=options.pot,
        tag=options.tag,
        signature_pubkey=_signature_pubkey(draft),
        force=plugin.force_pull if options.force_pull is None else options.force_pull,
        strict=bool(plugin.allowed_image_urls) or plugin.require_signature,
    )


def _url(draft: Draft) -> str:
    """The URL, "" when it is none: that is told."""
    text = draft.options.image.strip()
    scheme, _, path = text.partition("://")
    try:
        if scheme == "file":
            return f"file://{quote(_directory(draft, unquote(urls.printable(path))).rstrip('/'))}"
        urls.parse(text)
    except ValueError as error:
        draft.wrong("image", f"{shown(without_credentials(text))} is not a URL of images: {error}")
        return ""
    return text.rstrip("/")


def _directory(draft: Draft, path: str) -> str:
    """`file://./images` is in the task's directory, as it was for the Go driver."""
    if draft.plugin.allowed_image_urls and path.startswith("/"):
        return posixpath.normpath(path).replace("//", "/")
    return resolve(draft, "image", path, directory=True, may_be_missing=True).path


def _allowed(draft: Draft, url: str) -> bool:
    allowed = draft.plugin.allowed_image_urls
    return not allowed or any(urls.parse(url).below(urls.parse(base)) for base in allowed)


def _signature_pubkey(draft: Draft) -> str | None:
    plugin, key = draft.plugin, draft.options.signature_pubkey
    if key in {None, plugin.signature_pubkey}:
        if plugin.require_signature and plugin.signature_pubkey is None:
            draft.wrong("signature_pubkey", "must be given: this node starts only signed images and has no key itself")
        return plugin.signature_pubkey
    if plugin.require_signature and plugin.signature_pubkey is not None:
        draft.wrong("signature_pubkey", f"{shown(key)}: this node takes only images signed with its own key")
    return resolve(draft, "signature_pubkey", str(key), directory=False).path
