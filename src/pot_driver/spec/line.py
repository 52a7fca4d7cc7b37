"""How a POSIX shell reads a line: whether it is one simple command, so that `exec` before it becomes that command.

As FreeBSD's sh reads it, which knows $'...'. Not here: what to do about a line that is not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_ENDS = {"\n": "a line break", **{char: f'"{char}"' for char in "&;|()"}}
_BREAKS = frozenset(" \t\n;&|<>")  # what a word ends at
_OPEN = {
    "'": "a single quote",
    '"': "a double quote",
    "$'": "a $' quote",
    "$(": "$(",
    "(": "(",
    "${": "${",
    '"${': "${",
}
_CLOSES = {'"': '"', "$(": ")", "(": ")", "${": "}", '"${': "}"}
_NESTING = frozenset({"$(", "("})  # where parentheses are counted
_DESCRIPTOR = re.compile(r"[ \t]*(\d+|-|[$`\"'\\])")
_BACKQUOTED = re.compile(r"`((?:[^`\\]|\\.)*)`", re.DOTALL)
_NO_FILE = "a redirection that names no file"


@dataclass(frozen=True, slots=True)
class Fault:
    """The first place where a line is something else than one command.

    `at`: the index of the character; `what`: follows "the line has".
    """

    at: int
    what: str


class _Found(Exception):  # noqa: N818 - ends the reading
    """A fault."""

    def __init__(self, at: int, what: str) -> None:
        super().__init__(what)
        self.fault = Fault(at, what)


def fault(line: str) -> Fault | None:
    """Why `exec LINE` would not become one command, None when it would."""
    return _Reader(line).read()


def unclosed(script: str) -> Fault | None:
    """The quote or substitution of a script that nothing closes."""
    return None if "<<" in script else _Reader(script, script=True).read()


def comment(line: str) -> int | None:
    """Where a comment begins in a line that is one command."""
    reader = _Reader(line)
    reader.read()
    return reader.comment


@dataclass(slots=True)
class _Reader:
    """A shell's view of a text, character by character."""

    text: str
    script: bool = False  # more than one command is fine
    at: int = 0
    nested: list[tuple[str, int]] = field(default_factory=list)  # what is open, and where it began
    operator: str = ""  # the redirection just before
    to_file: int | None = None  # a redirection that has no file yet
    in_word: bool = False
    words: int = 0
    comment: int | None = None

    @property
    def inside(self) -> str:
        return self.nested[-1][0] if self.nested else ""

    def read(self) -> Fault | None:
        try:
            while self.at < len(self.text):
                self._step(self.text[self.at])
            self._end()
        except _Found as found:
            return found.fault
        return None

    def _end(self) -> None:
        if self.nested:
            kind, began = self.nested[-1]
            raise _Found(began, f"{_OPEN[kind]} that nothing closes")
        if self.script:
            return
        if self.to_file is not None:
            raise _Found(self.to_file, _NO_FILE)
        if not self.words:
            raise _Found(0, "no command")

    def _step(self, char: str) -> None:
        if self.inside in {"'", "$'"}:
            self._quoted(char)
        elif char == "\\":
            self._escape()
        elif char == "$":
            self._dollar()
        elif char == "`":
            self._backquote()
        elif char == _CLOSES.get(self.inside):
            self._close()
        elif self._opens(char):
            self._push(char, 1)
        elif char == "#" and not self.in_word and self.inside in {"", *_NESTING}:
            self._skip_comment()
        elif self.nested:
            self.in_word = self.inside not in _NESTING or char not in _BREAKS
            self.at += 1
        else:
            self._outside(char)

    def _quoted(self, char: str) -> None:
        if char == "\\" and self.inside == "$'":
            self._escape()
        elif char == "'":
            self._close()
        else:
            self.at += 1

    def _opens(self, char: str) -> bool:
        if char == "'":
            return self.inside not in {'"', '"${'}
        return char == '"' or (char == "(" and self.inside in _NESTING)

    def _outside(self, char: str) -> None:
        """A character outside quotes and substitutions."""
        before, self.operator = self.operator, ""
        if char in "<>":
            self._redirection(before + char)
        elif char in _ENDS and not self.script:
            self._end_of_command(before + char)
        elif char in _BREAKS or char in _ENDS:
            self.in_word = False
        else:
            self._take(1)
            return
        self.at += 1

    def _end_of_command(self, operator: str) -> None:
        """What ends a command, but for the operators of redirection that are written with the same characters."""
        if operator in {">&", "<&"}:
            if not _DESCRIPTOR.match(self.text, self.at + 1):
                raise _Found(self.at, 'a "&" before something that is no descriptor')
        elif operator != ">|":
            raise _Found(self.at, f"{_ENDS[operator[-1]]} outside quotes")

    def _redirection(self, operator: str) -> None:
        self.in_word = False
        if self.script:
            return
        if operator == "<<":
            raise _Found(self.at, "<< outside quotes")
        if self.to_file is not None and operator not in {">>", "<>"}:
            raise _Found(self.to_file, _NO_FILE)
        self.operator, self.to_file = operator, self.at

    def _take(self, count: int) -> None:
        """Go on within a word."""
        if not self.nested and not self.in_word:
            self.words += self.to_file is None
            self.to_file, self.in_word = None, True
        self.operator = ""
        self.at += count

    def _push(self, kind: str, count: int) -> None:
        began = self.at
        self._take(count)
        self.nested.append((kind, began))
        self.in_word = kind not in _NESTING

    def _close(self) -> None:
        self.nested.pop()
        self.in_word = True
        self.at += 1

    def _escape(self) -> None:
        if self.at + 1 == len(self.text):
            raise _Found(self.at, "a \\ at its end")
        if self.text[self.at + 1] == "\n" and self.inside != "$'":
            self.at += 2  # as if neither were there
        else:
            self._take(2)

    def _dollar(self) -> None:
        following = self.text[self.at + 1 : self.at + 2]
        quoted = self.inside in {'"', '"${'}
        if following == "(":
            self._push("$(", 2)
        elif following == "{":
            self._push('"${' if quoted else "${", 2)
        elif following == "'" and not quoted:
            self._push("$'", 2)
        else:
            self._take(2 if following == "#" else 1)

    def _backquote(self) -> None:
        """What is between backquotes is read after it was cut out."""
        began = self.at
        found = _BACKQUOTED.match(self.text, began)
        if found is None:
            raise _Found(began, "a backquote that nothing closes")
        self._take(found.end() - began)
        inner = _Reader(re.sub(r"\\([$`\\])", r"\1", found[1]), script=True).read()
        if inner is not None:
            raise _Found(began, f"a command in backquotes with {inner.what}")

    def _skip_comment(self) -> None:
        if not self.nested and self.comment is None:
            self.comment = self.at
        end = self.text.find("\n", self.at)
        self.at = len(self.text) if end < 0 else end
