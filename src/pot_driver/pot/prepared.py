"""A prepared pot's files, seen from the host: what its image lacks, and two settings that pot has no command for.

Symlinks in a pot's root are followed as the pot would, never into the host.

Not here: running pot, what a job wants (see `plan`).
"""

from __future__ import annotations

import os
import re
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path

from pot_driver import files
from pot_driver.pot.parse import FscompEntry

_WRITTEN = ("/etc/hosts", "/etc/resolv.conf", "/tmp/tinirc")  # noqa: S108 - in a pot
_SYMLINKS = 32  # followed for one path, as kernels limit it


def problems(root: Path, *, programs: Iterable[str], new_directories: Iterable[str]) -> list[str]:
    """What stands against going on: programs that pot or the job needs, directories that would not be copied right."""
    found = [f"the image has no {path}, which {why(path)}" for path in programs if _lacks(root, path)]
    for path in new_directories:
        inside = lookup(root, path)
        if inside is not None and inside.is_dir():
            found.append(
                f"copy: the image has a directory {path} already, and pot would copy into a directory with a random"
                " name below it: copy its files one by one, to another place, or mount it"
            )
    return found


def leaks(root: Path, mounts: Iterable[FscompEntry]) -> list[str]:
    """The files that `pot start` would write outside of the pot.

    It writes them as the host's root, by their path from the host: a symlink of the image, or in a directory that is
    mounted there, would let it write anywhere.
    """
    return [
        f"pot would write {path} of the pot to the host's {real}: a symlink of the image, or in what is mounted there,"
        " leads out of the pot"
        for path in _WRITTEN
        if (real := _outside(root, list(mounts), path))
    ]


def _outside(root: Path, mounts: list[FscompEntry], path: str) -> str:
    """Where the path leads on the host, "" when that is inside the pot or what is mounted in it."""
    top = os.path.realpath(root)
    real = os.path.realpath(f"{top}{path}")
    if not real.startswith(f"{top}/"):
        return real
    inside = real.removeprefix(top)
    over = [entry for entry in mounts if entry.source.startswith("/") and inside.startswith(f"{entry.destination}/")]
    if not over:
        return ""
    last = max(over, key=lambda entry: len(entry.destination))
    top = os.path.realpath(last.source)
    real = os.path.realpath(top + inside.removeprefix(last.destination))
    return "" if real.startswith(f"{top}/") else real


def unknown_user(root: Path, mounts: Iterable[FscompEntry], user: str) -> list[str]:
    """That nobody in the pot has this name or number; nothing is said where its accounts cannot be seen from here."""
    file = lookup(root, "/etc/passwd")
    if file is None or any("/etc/passwd".startswith(f"{entry.destination}/") for entry in mounts):
        return []
    accounts = [line.split(":") for line in files.text(file).splitlines() if not line.startswith("#")]
    if not accounts or any(user in (*fields[:1], *fields[2:3]) for fields in accounts):
        return []
    return [f'user: the pot has no user "{user}"; it has {", ".join(fields[0] for fields in accounts)}']


def is_empty(root: Path) -> bool:
    """Whether there is nothing in a pot's root, or no root."""
    return not root.is_dir() or not any(root.iterdir())


def was_copied(root: Path, source: Path, destination: str) -> bool:
    """Whether something is where `pot copy-in` should have put it."""
    inside = lookup(root, destination)
    if inside is None or source.is_dir():
        return inside is not None and inside.is_dir()
    return os.path.lexists(inside / source.name) if inside.is_dir() else True


def why(program: str) -> str:
    """What a program is needed for."""
    reasons = {
        "/bin/sh": "runs every command in a pot",
        "/bin/realpath": "pot needs to mount anything",
        "/bin/cp": "pot needs to copy files",
        "/bin/ls": "is needed to see that the right directories were mounted",
    }
    return reasons.get(program, "is needed to run the task as another user than root")


def lookup(root: Path, path: str) -> Path | None:
    """The file that `path` is inside the pot, None when there is none."""
    left = [part for part in reversed(path.split("/")) if part]
    at: list[str] = []
    for _ in range(len(left) + _SYMLINKS * 16):
        if not left:
            return root.joinpath(*at)
        part = left.pop()
        if part == "..":
            del at[-1:]
        elif part != ".":
            here = root.joinpath(*at, part)
            if here.is_symlink():
                target = str(here.readlink())
                at = [] if target.startswith("/") else at
                left += [step for step in reversed(target.split("/")) if step]
            elif here.exists():
                at.append(part)
            else:
                return None
    return None


def set_hostname(conf: Path, hostname: str) -> None:
    """Write the host name into pot.conf, where `pot start` takes it from."""
    text = conf.read_text(errors="surrogateescape")
    lines = [line for line in text.splitlines() if not re.match(r"host\.hostname=", line)]
    lines.append(f'host.hostname="{hostname}"')
    descriptor, changed = tempfile.mkstemp(dir=conf.parent, prefix=".pot.conf.")
    with os.fdopen(descriptor, "w", errors="surrogateescape") as file:
        file.writelines(f"{line}\n" for line in lines)
        os.fchmod(descriptor, stat.S_IMODE(conf.stat().st_mode))
    Path(changed).replace(conf)


def set_resolv_conf(conf_dir: Path, source: Path) -> None:
    """Let the pot have this resolv.conf: where the image has one of its own, pot clone puts that in its place."""
    wanted, own = files.content(source), conf_dir / "resolv.conf"
    if wanted is not None and files.content(own) != wanted:
        own.write_bytes(wanted)


def _lacks(root: Path, path: str) -> bool:
    """Whether a program is surely not there: a directory that is empty or missing may be one that is mounted later."""
    file = lookup(root, path)
    if file is not None:
        return not (file.is_file() and file.stat().st_mode & 0o111)
    directory = lookup(root, str(Path(path).parent))
    return directory is not None and directory.is_dir() and any(directory.iterdir())
