"""Where in a file a problem lies, and which word was meant.

Not here: finding problems.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_LINE = re.compile(r"line (\d+): ")
_BLOCK = re.compile(r'\b(group|task|template|port) "([^"]*)"')


def placed(path: Path, text: str, problem: str) -> str:
    """`PATH:LINE: problem`, the line being that of the innermost block or word that is named in the problem."""
    if match := _LINE.match(problem):
        return f"{path}:{match[1]}: {problem[match.end() :]}"
    line = _line(text, problem)
    return f"{path}:{line}: {problem}" if line else f"{path}: {problem}"


def suggestion(word: str, known: Iterable[str]) -> str:
    """The end of a sentence that says which word may have been meant; empty when none is near."""
    near = get_close_matches(word, list(known), n=1)
    return f'; did you mean "{near[0]}"?' if near else ""


def _line(text: str, problem: str) -> int:
    """Down from the block that the problem names first to the words after it, as far as they are found."""
    lines = text.splitlines()
    found = 0
    for kind, name in _BLOCK.findall(problem):
        block = re.compile(rf'^\s*{kind}\s+"{re.escape(name)}"')
        found = next((n for n, line in enumerate(lines[found:], found + 1) if block.match(line)), found)
    for word in re.findall(r"[a-z_]{3,}", _BLOCK.sub("", problem)) if found else ():
        option = re.compile(rf"^\s*{word}\s*[={{]")
        if at := next((n for n, line in enumerate(lines[found:], found + 1) if option.match(line)), 0):
            return at
    return found
