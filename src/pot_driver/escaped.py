"""Text that others may have written, as people can be shown it.

Not here: quoting (see `config.checks`).
"""

from __future__ import annotations


def escaped(text: str) -> str:
    """The text with control characters as escapes; line breaks stay."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)
