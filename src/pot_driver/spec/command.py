"""What runs in the pot: the line that the pot's shell reads, and as whom.

Not here: the script around it (see `plan.scripts`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pot_driver.config.checks import shown
from pot_driver.spec import line
from pot_driver.spec.draft import Draft

_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}")


def quoted(text: str) -> str:
    """One word for any POSIX shell, whatever bytes are in it."""
    return "'" + text.replace("'", "'\\''") + "'"


def command(draft: Draft) -> str | None:
    """The command line, None for the image's own command."""
    options = draft.options
    for option, text in (("command", options.command or ""), *(("args", arg) for arg in options.args)):
        if "\0" in text:
            draft.wrong(option, f"{shown(text)} contains a NUL byte")
    if not (options.command or "").strip():
        if any(arg.strip() for arg in options.args):
            draft.wrong("command", "command can not be empty if arguments are provided")
        return None
    program = options.command or ""
    if options.args_mode == "exec":
        return " ".join(quoted(word) for word in (program, *options.args))
    return _shell_line(draft, (program, *options.args))


def _shell_line(draft: Draft, words: Sequence[str]) -> str:
    """The words as the one line that the pot's shell reads after `exec`.

    Problems tell places instead of values: arguments are a usual place for passwords.
    """
    joined = " ".join(words)
    blanks = len(joined) - len(joined.lstrip())
    text = joined.strip()
    if text.endswith("\\"):
        text = joined[blanks : blanks + len(text) + 1]  # the blank may be an escaped one
    found = line.fault(text)
    if found is not None:
        option, place = _place(words, found.at + blanks, found.what)
        draft.wrong(
            option,
            f"{place}, so the pot's shell would not read the line as one command and become it: "
            'quote it, or use args_mode = "exec"',
        )
    elif (at := line.comment(text)) is not None:
        option, place = _place(words, at + blanks, '"#" before a word')
        draft.warn(option, f"{place}, which begins a comment: the pot's shell reads nothing from there on; quote it")
    return text


def _place(words: Sequence[str], at: int, what: str) -> tuple[str, str]:
    """The option that has something at this character of the joined words, and where."""
    number = 0
    while at > len(words[number]):
        at -= len(words[number]) + 1
        number += 1
    whose = f"argument {number}" if number else "it"
    return ("args" if number else "command"), f"{whose} has {what} (character {at + 1})"


def exec_stop(draft: Draft) -> str | None:
    """The stop command, which a script in the pot runs."""
    text = draft.options.exec_stop
    if text is None:
        return None
    if not text.strip() or "\0" in text:
        draft.wrong("exec_stop", f"{shown(text)} is not a command")
    elif (found := line.unclosed(text)) is not None:
        draft.wrong("exec_stop", f"it has {found.what} (character {found.at + 1}): no shell could read it")
    return text


def user(draft: Draft) -> str | None:
    """The user as whom the command runs, None for the pot's root."""
    name = draft.task.user
    if name in {"", "root", "0"}:
        return None
    if not _USER.fullmatch(name):
        draft.wrong("user", f"{shown(name)} is not the name or number of a user in the pot")
    return name
