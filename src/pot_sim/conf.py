"""`pot.conf` and `fscomp.conf` of one pot, read and edited as pot's greps, cuts and seds do.

No escaping, no lock: a value is what stands between the first and the second `=`, and an edit is delete, then append,
so two edits at the same time can lose a line, as with pot.

Not here: what the keys mean (`commands/`, `start`).
"""

from __future__ import annotations

import os

from pot_sim.shell import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pot_sim.root import Root


def path(root: Root, name: str) -> str:
    return root.conf(name) + "/pot.conf"


def lines(file: str) -> list[str]:
    """The lines of a file; none if it cannot be read."""
    try:
        with open(file, encoding="utf-8", errors="surrogateescape", newline="\n") as opened:
            text = opened.read()
    except OSError:
        return []
    return text.removesuffix("\n").split("\n") if text else []


def complete_lines(file: str) -> list[str]:
    """As the shell's `while read` sees them: a last line without its newline is none."""
    try:
        with open(file, encoding="utf-8", errors="surrogateescape", newline="\n") as opened:
            return opened.read().split("\n")[:-1]
    except OSError:
        return []


def matches(line: str, pattern: str) -> bool:
    """Does the line begin with what grep takes such a pattern for: a dot of it stands for any character."""
    return len(line) >= len(pattern) and all(mark in (".", own) for mark, own in zip(pattern, line, strict=False))


def get(root: Root, name: str, key: str) -> str:
    """The value as most of pot reads it: without blanks, tabs and double quotes, up to a second `=`."""
    wanted = key + "="
    values = (
        line.replace(" ", "").replace("\t", "").replace('"', "").split("=")[1]
        for line in lines(path(root, name))
        if matches(line, wanted)
    )
    return "\n".join(values).rstrip("\n")


def get_string(root: Root, name: str, key: str) -> str:
    """The value with its blanks and quotes, still only up to a second `=` (exec_stop)."""
    wanted = key + "="
    found = (line.split("=")[1] for line in lines(path(root, name)) if matches(line, wanted))
    return "\n".join(found).rstrip("\n")


def get_lines(root: Root, name: str, key: str) -> list[str]:
    """Everything behind `key=`, for each line that has it (pot.cmd, pot.env, pot.hosts, ip)."""
    wanted = key + "="
    return [line[len(wanted) :] for line in lines(path(root, name)) if matches(line, wanted)]


def ip(root: Root, name: str) -> str:
    return "\n".join(get_lines(root, name, "ip"))


def export_ports(root: Root, name: str) -> list[str]:
    """Of every line that names them anywhere, a comment or another key included, if it has one `=`."""
    found = [
        line.split("=")
        for line in lines(path(root, name))
        if any(matches(line[start:], "pot.export.ports") for start in range(len(line)))
    ]
    return " ".join(parts[1] for parts in found if len(parts) == 2).split()


def pot_type(root: Root, name: str) -> str:
    return get(root, name, "pot.type") or "multi"


def network_type(root: Root, name: str) -> str:
    return get(root, name, "network_type")


def fscomp(root: Root, name: str) -> list[tuple[str, str, str]]:
    """(source, mount point, option) of each line, all empty for an empty one."""
    found = []
    for line in complete_lines(fscomp_path(root, name)):
        source, target, option, *_ = *line.split(), "", "", ""
        found.append((source, target, option))
    return found


def update_fscomp(root: Root, name: str) -> None:
    """Mount points by their full path, as datasets are stored, become those that the pot sees."""
    place = root.m(name)
    found = complete_lines(fscomp_path(root, name))
    if not any(line.split()[1:2] and line.split()[1].startswith(place) for line in found):
        return
    rewritten = []
    for source, target, option in fscomp(root, name):
        rewritten.append(f"{source} {target.removeprefix(place) or '/'} {option}")
    write(fscomp_path(root, name), rewritten)


def fscomp_path(root: Root, name: str) -> str:
    return root.conf(name) + "/fscomp.conf"


def replace(root: Root, name: str, key: str, values: Iterable[str]) -> None:
    """Delete every line of `key`, then append one for each value."""
    file = path(root, name)
    wanted = key + "="
    edit(file, lambda line: None if matches(line, wanted) else line)
    append(file, [wanted + value for value in values])


def edit(file: str, change: Callable[[str], str | None]) -> None:
    """`sed -i`: each line is changed or, with None, dropped; the new file takes the old one's place."""
    kept = [new for line in lines(file) if (new := change(line)) is not None]
    temporary = f"{file}.{os.getpid()}"
    _write(temporary, kept, os.O_TRUNC)
    os.rename(temporary, file)


def append(file: str, new: Iterable[str]) -> None:
    _write(file, new, os.O_APPEND)


def write(file: str, new: Iterable[str]) -> None:
    _write(file, new, os.O_TRUNC)


def _write(file: str, new: Iterable[str], how: int) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | how, 0o644)
    try:
        os.write(descriptor, b"".join(encode(line + "\n") for line in new))
    finally:
        os.close(descriptor)
