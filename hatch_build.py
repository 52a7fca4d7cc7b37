"""The long description of the distribution: README.md, whose links to files lead nowhere outside of a checkout.

With a `Source` among the project's URLs they lead there, without one they are the names of files in the sdist.

Not here: anything else of the build (see `pyproject.toml`).
"""

from __future__ import annotations

import re
from pathlib import Path

from hatchling.metadata.plugin.interface import MetadataHookInterface

_FILE = re.compile(r"\[([^\]]+)\]\((?!https?:|#)([^)#]+)(#[^)]*)?\)")


class Readme(MetadataHookInterface):  # type: ignore[misc] - hatchling has no types here
    """Called by hatchling."""

    def update(self, metadata: dict[str, object]) -> None:
        """Set `readme`, which pyproject.toml calls dynamic."""
        urls = metadata.get("urls")
        text = Path(self.root, "README.md").read_text()
        source = str(urls.get("Source", "")) if isinstance(urls, dict) else ""
        metadata["readme"] = {"content-type": "text/markdown", "text": described(text, source)}


def described(readme: str, source: str) -> str:
    """The text with links that work where there are no files beside it."""

    def link(match: re.Match[str]) -> str:
        text, path, part = match[1], match[2], match[3] or ""
        if source:
            return f"[{text}]({source.rstrip('/')}/{path}{part})"
        return text if text == path else f"{text} ({path})"

    return _FILE.sub(link, readme)
