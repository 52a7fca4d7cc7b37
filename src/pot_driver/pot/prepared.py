"""A pot's root as its image made it: what it lacks, and what pot would write outside of it.

Not here: running pot, what a job wants (see `plan`).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from pot_driver.pot.tree import Tree

# What `pot start` writes, by paths of the host and as the host's root.
WRITTEN = ("/etc/hosts", "/etc/resolv.conf", "/tmp/tinirc")  # noqa: S108 - in a pot
# What `pot start` reads, the same way; real ones have some kilobytes.
READ = ("/bin/freebsd-version",)
READ_LIMIT = 1 << 20
ACCOUNTS_LIMIT = 1 << 20
# What an image can lack, and what will not work without it.
_WANTED = {
    "/etc/pwd.db": "FreeBSD starts no jail whose command is to run as a user: pot start will fail",
    "/usr/bin/env": "commands of `nomad alloc exec` and script checks will fail",
    "/root": "commands of `nomad alloc exec` and script checks will fail, where root's home on the host is /root",
}


def lacking(root: Tree, programs: Iterable[str]) -> list[str]:
    """The programs that pot or the job needs and the image does not have."""
    return [f"the image has no {path}, which {_why(path)}" for path in programs if _lacks(root, path)]


def wanting(root: Tree) -> list[str]:
    """What the image lacks without which a task can run, for a warning."""
    return [f"the image has no {path}: {why}" for path, why in _WANTED.items() if root.find(path) is None]


def leaks(top: Path, mounts: Sequence[tuple[str, str]]) -> list[str]:
    """The files that `pot start` would write or read outside of the pot: it follows symbolic links as the host does.

    `mounts`: source and destination of each.
    """
    return [
        f"pot would {_does(path)} the host's {real}: a symlink of the image, or in what is mounted there,"
        " leads out of the pot"
        for path in (*WRITTEN, *READ)
        if (real := _outside(top, mounts, path))
    ]


def _does(path: str) -> str:
    return f"read {path} of the pot from" if path in READ else f"write {path} of the pot to"


def make_writable(root: Tree) -> None:
    """Remove what pot would wait at, or follow, instead of a plain file: it writes it anew, or does without."""
    for path in (*WRITTEN, *READ):
        with suppress(OSError):
            if not root.is_plain(path) or (path in READ and _size(root, path) > READ_LIMIT):
                root.remove(path)


def _size(root: Tree, path: str) -> int:
    found = root.find(path)
    return found[1].st_size if found is not None else 0


def uid_of(root: Tree, user: str) -> int | str:
    """The number of a user, by name or number, as the image's accounts have it; or why there is none."""
    text = (root.read("/etc/passwd", ACCOUNTS_LIMIT) or b"").decode(errors="replace")
    accounts = [line.split(":") for line in text.splitlines() if line and not line.startswith("#")]
    for fields in accounts:
        if user in (*fields[:1], *fields[2:3]) and fields[2].isdecimal():
            return int(fields[2])
    names = ", ".join(fields[0] for fields in accounts[:50]) or "none that can be read"
    return f'user: the pot has no user "{user}"; it has {names}'


def _outside(top: Path, mounts: Sequence[tuple[str, str]], path: str) -> str:
    """Where the path leads on the host, "" when that is inside the pot or what is mounted in it."""
    inside_top = os.path.realpath(top)
    real = os.path.realpath(f"{inside_top}{path}")
    if not real.startswith(f"{inside_top}/"):
        return real
    inside = real.removeprefix(inside_top)
    over = [mount for mount in mounts if inside.startswith(f"{mount[1]}/")]
    if not over:
        return ""
    source, destination = max(over, key=lambda mount: len(mount[1]))
    below = os.path.realpath(source)
    real = os.path.realpath(below + inside.removeprefix(destination))
    return "" if real.startswith(f"{below}/") else real


def _why(program: str) -> str:
    return "runs every command in a pot" if program == "/bin/sh" else "runs a task as another user than root"


def _lacks(root: Tree, path: str) -> bool:
    """Whether a program is surely not there: a directory that is empty or missing may be one that is mounted later."""
    found = root.find(path)
    if found is not None:
        return not (stat.S_ISREG(found[1].st_mode) and found[1].st_mode & 0o111)
    directory = root.find(str(Path(path).parent))
    return directory is not None and stat.S_ISDIR(directory[1].st_mode) and bool(root.names(directory[0]))
