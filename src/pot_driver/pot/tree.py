"""The files below one directory that somebody else may have filled, such as a pot's root.

Every step is taken from a descriptor of the directory before it. Symbolic links are followed as a process that is
confined to the tree would follow them: never out of it. Names that are replaced meanwhile lead nowhere else.

Not here: what is read and written (see `driver`).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

LINKS = 32  # followed for one path, as kernels limit it
CHUNK = 1 << 20
MODE = 0o755  # of directories that are made
DEPTH = 256  # directories below each other, more than any path has
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a path leads: a name in an open directory."""

    directory: int
    name: str  # "." for the top itself
    inside: str  # the path in the tree, without links
    found: os.stat_result | None  # None: nothing is there


class Tree:
    """A directory as the root of all paths; a context manager. Raises OSError where a path cannot be walked."""

    def __init__(self, top: Path) -> None:
        self._top = os.open(top, _DIRECTORY)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        os.close(self._top)

    def find(self, path: str) -> tuple[str, os.stat_result] | None:
        """The path without links and what is there; None when there is nothing."""
        try:
            with self._walk(path) as place:
                return None if place.found is None else (place.inside, place.found)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def is_plain(self, path: str) -> bool:
        """Whether a plain file is there, and no link to one."""
        with self._walk(path, follow_last=False) as place:
            return place.found is not None and stat.S_ISREG(place.found.st_mode)

    def read(self, path: str, limit: int) -> bytes | None:
        """The beginning of a plain file, None where there is none."""
        with suppress(OSError), self._walk(path) as place:
            descriptor = os.open(place.name, _FILE, dir_fd=place.directory)
            try:
                return os.read(descriptor, limit) if stat.S_ISREG(os.fstat(descriptor).st_mode) else None
            finally:
                os.close(descriptor)
        return None

    def names(self, path: str) -> list[str]:
        """What is in a directory."""
        with self._opened(path) as directory:
            return sorted(os.listdir(directory))  # noqa: PTH208 - by descriptor

    def make_directory(self, path: str) -> str:
        """Make what is missing of it; the path without links."""
        with self._walk(path, create=True) as place:
            if place.found is None:
                os.mkdir(place.name, MODE, dir_fd=place.directory)
                os.chmod(place.name, MODE, dir_fd=place.directory)  # whatever the umask
            elif not stat.S_ISDIR(place.found.st_mode):
                raise NotADirectoryError(f"{place.inside} is no directory")
            return place.inside

    def write(self, path: str, content: bytes, *, mode: int = 0o644, owner: int = 0) -> None:
        """Put a file there, whole or not at all, instead of whatever there is but a directory. `owner`: a uid."""
        with self._walk(path, follow_last=False, create=True) as place:
            new = f".{place.name}.new"
            with suppress(FileNotFoundError):
                os.unlink(new, dir_fd=place.directory)
            with os.fdopen(os.open(new, _NEW, 0o600, dir_fd=place.directory), "wb") as file:
                file.write(content)
                if owner != os.geteuid():
                    os.fchown(file.fileno(), owner, -1)
                os.fchmod(file.fileno(), mode)
            os.rename(new, place.name, src_dir_fd=place.directory, dst_dir_fd=place.directory)

    def remove(self, path: str) -> None:
        """Remove a file or link."""
        with self._walk(path, follow_last=False) as place:
            os.unlink(place.name, dir_fd=place.directory)

    def copy(self, source: int, path: str, *, name: str, limit: int) -> None:
        """Copy what `source` is open on, a file or a directory with all in it, to `path`.

        A file goes into a directory that is there, as `name`; a directory's files are added to those of one that is
        there. Owners, modes and times are kept, links stay links. `limit` bytes at most, else OSError.
        """
        found = os.fstat(source)
        left = _Allowance(limit)
        if stat.S_ISDIR(found.st_mode):
            with self._opened(self.make_directory(path)) as target:
                _copy_directory(source, target, left, DEPTH)
            return
        there = self.find(path)
        if there is not None and stat.S_ISDIR(there[1].st_mode):
            path = f"{path}/{name}"
        with self._walk(path, follow_last=False, create=True) as place:
            _copy_file(source, place.directory, place.name, left)

    @contextmanager
    def _opened(self, path: str) -> Iterator[int]:
        with self._walk(path) as place:
            if place.found is None:
                raise FileNotFoundError(f"{path} is not there")
            descriptor = os.open(place.name, _DIRECTORY, dir_fd=place.directory)
            try:
                yield descriptor
            finally:
                os.close(descriptor)

    @contextmanager
    def _walk(self, path: str, *, follow_last: bool = True, create: bool = False) -> Iterator[_Place]:
        """`create`: make the directories that are missing before the last name."""
        way = _Way(self._top)
        try:
            yield way.to(path, follow_last=follow_last, create=create)
        finally:
            way.close()


class _Way:
    """The open directories from the top to where we are."""

    def __init__(self, top: int) -> None:
        self._top = top
        self._steps: list[tuple[str, int]] = []

    def to(self, path: str, *, follow_last: bool, create: bool) -> _Place:
        left = _parts(path)
        links = 0
        while left:
            name = left.pop()
            if name == "..":
                self._back()
                continue
            found = self._look(name)
            if found is not None and stat.S_ISLNK(found.st_mode) and (left or follow_last):
                links += 1
                if links > LINKS:
                    raise OSError(f"{path}: too many symbolic links")
                target = os.readlink(name, dir_fd=self._here)
                if target.startswith("/"):
                    self.close()
                left += _parts(target)
                continue
            if not left:
                return _Place(self._here, name, self._inside(name), found)
            self._enter(name, found, create=create)
        return _Place(self._here, ".", self._inside("") or "/", os.fstat(self._here))

    def close(self) -> None:
        while self._steps:
            self._back()

    @property
    def _here(self) -> int:
        return self._steps[-1][1] if self._steps else self._top

    def _inside(self, name: str) -> str:
        return "".join(f"/{step}" for step, _ in self._steps) + (f"/{name}" if name else "")

    def _look(self, name: str) -> os.stat_result | None:
        try:
            return os.stat(name, dir_fd=self._here, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def _enter(self, name: str, found: os.stat_result | None, *, create: bool) -> None:
        if len(self._steps) > DEPTH:
            raise OSError(f"{self._inside(name)}: too deep")
        if found is None and create:
            os.mkdir(name, MODE, dir_fd=self._here)
            os.chmod(name, MODE, dir_fd=self._here)
        self._steps.append((name, os.open(name, _DIRECTORY, dir_fd=self._here)))

    def _back(self) -> None:
        if self._steps:
            os.close(self._steps.pop()[1])


def _parts(path: str) -> list[str]:
    return [part for part in reversed(path.split("/")) if part not in {"", "."}]


class _Allowance:
    """How many bytes may still be copied."""

    def __init__(self, limit: int) -> None:
        self._limit = self._left = limit

    def take(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise OSError(f"it has more than {self._limit} bytes, the limit")


def _copy_directory(source: int, target: int, left: _Allowance, depth: int) -> None:
    if not depth:
        raise OSError("its directories are too deep")
    for name in sorted(os.listdir(source)):
        found = os.stat(name, dir_fd=source, follow_symlinks=False)
        if stat.S_ISLNK(found.st_mode):
            _copy_link(source, target, name, found)
        elif stat.S_ISDIR(found.st_mode):
            _copy_below(source, target, name, left, depth)
        elif stat.S_ISREG(found.st_mode):
            descriptor = os.open(name, _FILE, dir_fd=source)
            try:
                _copy_file(descriptor, target, name, left)
            finally:
                os.close(descriptor)
        else:
            raise OSError(f"{name} is neither a file nor a directory nor a link")
    _keep(target, os.fstat(source))


def _copy_below(source: int, target: int, name: str, left: _Allowance, depth: int) -> None:
    with suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=target)
    below = os.open(name, _DIRECTORY, dir_fd=source)
    try:
        into = os.open(name, _DIRECTORY, dir_fd=target)
        try:
            _copy_directory(below, into, left, depth - 1)
        finally:
            os.close(into)
    finally:
        os.close(below)


def _copy_link(source: int, target: int, name: str, found: os.stat_result) -> None:
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=target)
    os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
    os.chown(name, found.st_uid, found.st_gid, dir_fd=target, follow_symlinks=False)


def _copy_file(source: int, target: int, name: str, left: _Allowance) -> None:
    found = os.fstat(source)
    if not stat.S_ISREG(found.st_mode):
        raise OSError(f"{name} is not a plain file")
    left.take(found.st_size)
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=target)
    with os.fdopen(os.open(name, _NEW, 0o600, dir_fd=target), "wb") as new:
        at = 0  # no more than there was when it was looked at: the file may grow meanwhile
        while at < found.st_size and (data := os.pread(source, min(CHUNK, found.st_size - at), at)):
            new.write(data)
            at += len(data)
        _keep(new.fileno(), found)


def _keep(descriptor: int, found: os.stat_result) -> None:
    os.fchown(descriptor, found.st_uid, found.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(found.st_mode))
    os.utime(descriptor, ns=(found.st_atime_ns, found.st_mtime_ns))


def open_without_links(path: str) -> int:
    """A descriptor of a host's file or directory by a path that has no link in it, else OSError.

    A FIFO is not waited for; the caller sees by fstat what it got.
    """
    at = os.open("/", _DIRECTORY)
    *parents, last = _parts(path)[::-1] or ["."]
    try:
        for name in parents:
            below = os.open(name, _DIRECTORY, dir_fd=at)
            os.close(at)
            at = below
        return os.open(last, _FILE, dir_fd=at)
    finally:
        os.close(at)
