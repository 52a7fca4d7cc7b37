"""What runs in the pot: the line that the pot's shell reads, and as whom.

Not here: the script around it (see `plan.scripts`).
"""

from __future__ import annotations

import re

from pot_driver.config.checks import shown
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
    line = " ".join((program, *options.args)).strip()
    if _breaks_off(line):
        draft.wrong(
            "args" if options.args else "command",
            f"{shown(line)} has a line break outside quotes, where the pot's shell would end the command: "
            'quote it, or use args_mode = "exec"',
        )
    return line


def exec_stop(draft: Draft) -> str | None:
    """The stop command, which a script in the pot runs."""
    text = draft.options.exec_stop
    if text is not None and (not text.strip() or "\0" in text):
        draft.wrong("exec_stop", f"{shown(text)} is not a command")
    return text


def user(draft: Draft) -> str | None:
    """The user as whom the command runs, None for the pot's root."""
    name = draft.task.user
    if name in {"", "root", "0"}:
        return None
    if not _USER.fullmatch(name):
        draft.wrong("user", f"{shown(name)} is not the name or number of a user in the pot")
    return name


def _breaks_off(line: str) -> bool:
    """Whether a line break stands outside quotes. Shell syntax as far as that needs."""
    quote = ""
    characters = iter(line)
    for char in characters:
        if quote:
            if char == "\\" and quote == '"':
                next(characters, None)
            elif char == quote:
                quote = ""
        elif char == "\\":
            next(characters, None)
        elif char in "'\"":
            quote = char
        elif char == "\n":
            return True
    return False
