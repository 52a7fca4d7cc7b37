"""The few things of a shell that pot's behaviour is made of: getopts, word splitting, echo, the end of a process.

Nothing here imports anything but `os`: `pot info -qp` must cost little more than starting Python.

Not here: what any option means (`commands/`), and the real sh that runs in a pot (`tinirc`).
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import NoReturn


class Exit(Exception):  # noqa: N818 (pot's `exit`: it ends the whole process, however deeply nested the command)
    """`exit N`, as opposed to a command's `return N`, which its caller sees."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class ToolFailed(Exception):  # noqa: N818 (nothing of pot's own fails here)
    """A tool that pot calls has failed, with words for stderr, where pot has no answer of its own to that."""


class Options:
    """getopts: iterate for `(letter, value)`; `?` stands for a bad option, after the shell has complained.

    `rest` holds the operands once the iteration has ended.
    """

    def __init__(self, program: str, args: Sequence[str], spec: str) -> None:
        self.rest: list[str] = []
        self._program = program
        self._args = args
        self._with_value = {spec[index - 1] for index, mark in enumerate(spec) if mark == ":"}
        self._letters = set(spec) - {":"}

    def __iter__(self) -> Iterator[tuple[str, str]]:
        args = list(self._args)
        while args and args[0].startswith("-") and args[0] != "-":
            word = args.pop(0)
            if word == "--":
                break
            letters = word[1:]
            while letters:
                letter, letters = letters[0], letters[1:]
                self.rest = args
                if letter not in self._letters:
                    complain(f"{self._program}: illegal option -- {letter}")
                    yield "?", letter
                elif letter not in self._with_value:
                    yield letter, ""
                elif letters:
                    value, letters = letters, ""
                    yield letter, value
                elif args:
                    yield letter, args.pop(0)
                else:
                    complain(f"{self._program}: option requires an argument -- {letter}")
                    yield "?", letter
        self.rest = args


def encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def write(descriptor: int, text: str) -> None:
    """All of `text`, at once and unbuffered: what a pot writes itself must fall in between."""
    data = encode(text)
    while data:
        data = data[os.write(descriptor, data) :]


def complain(text: str) -> None:
    """What a tool that pot calls says on stderr."""
    write(2, text + "\n")


def unquoted(word: str) -> str:
    """`eval echo $word`: blanks collapse, patterns become the files of the working directory."""
    words = word.split()
    if any(mark in word for mark in "*?["):
        import glob  # noqa: PLC0415 (only for names with patterns)

        words = [match for each in words for match in (sorted(glob.glob(each)) or [each])]
    return " ".join(words)


def guarded(run: Callable[[], int]) -> int:
    """The exit status of a pot, however it ends."""
    try:
        return run()
    except Exit as ended:
        return ended.status
    except ToolFailed as failure:
        complain(str(failure))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 141
    except OSError as error:
        complain(f"{error.filename or 'pot'}: {error.strerror}")
    return 1


def natural(text: str) -> bool:
    """Digits only, as pot's own test wants them."""
    return bool(text) and all(mark in "0123456789" for mark in text)


def end(status: int) -> NoReturn:
    """Leave without Python's own goodbye: nothing is buffered, and pot ends at once."""
    os._exit(status)
