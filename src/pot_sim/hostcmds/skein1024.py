"""skein1024(1), one of md5(1)'s names: digests of files, of -s strings, or of standard input.

Not here: the function, which is a stand-in (`skein`); -t and -x, which measure and test it.
"""

from __future__ import annotations

import os
import sys

from pot_sim import faults, skein
from pot_sim import root as roots
from pot_sim.shell import Exit, Options, complain, encode, end, write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

USAGE = "usage: skein1024 [-pqrtx] [-c string] [-s string] [files ...]"
_DIFFERS = 2


def main() -> NoReturn:
    try:
        root = roots.of_executable(sys.argv[0])
        faults.delay(root, "skein1024")
        end(_run(sys.argv[1:]))
    except Exit as ended:
        end(ended.status)


def _run(args: list[str]) -> int:
    options = Options("skein1024", args, "c:pqrs:")
    found = list(options)
    letters = {letter for letter, _ in found}
    if "?" in letters:
        complain(USAGE)
        return 1
    expected = dict(found).get("c")
    strings = [value for letter, value in found if letter == "s"]
    same = [_show(skein.hexdigest([encode(text)]), f'"{text}"', letters, expected) for text in strings]
    if options.rest:
        shown = [_file(name, letters, expected) for name in options.rest]
        if None in shown:
            return 1
        same += [bool(each) for each in shown]
    elif not strings and (not found or letters & {"p", "q", "r"}):
        _standard_input(copied="p" in letters)
    return 0 if all(same) else _DIFFERS


def _file(name: str, letters: set[str], expected: str | None) -> bool | None:
    """Whether it is as expected; None for a file that cannot be read."""
    try:
        with open(name, "rb") as file:
            return _show(skein.hexdigest(skein.blocks(file)), name, letters, expected)
    except OSError as error:
        complain(f"skein1024: {name}: {error.strerror}")
        return None


def _show(digest: str, name: str, letters: set[str], expected: str | None) -> bool:
    same = expected is None or expected.lower() == digest
    if "q" in letters:
        line = digest
    else:
        line = f"{digest} {name}" if "r" in letters else f"Skein1024 ({name}) = {digest}"
        line += "" if same else " [ Failed ]"
    write(1, line + "\n")
    return same


def _standard_input(*, copied: bool) -> None:
    """With -p what is read is written, too, and the digest follows it."""
    with open(0, "rb", closefd=False) as file:
        if copied:
            data = file.read()
            os.write(1, data)
            write(1, skein.hexdigest([data]) + "\n")
        else:
            write(1, skein.hexdigest(skein.blocks(file)) + "\n")
