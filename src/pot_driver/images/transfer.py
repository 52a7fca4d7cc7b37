"""One file of an image, in a thread: small ones into memory, the image into a part file that can be gone on with.

What breaks off is asked for again where it broke, a few times with growing pauses; with another version of the file
it begins afresh.

Not here: which files an image has, who waits for them, asyncio.
"""

from __future__ import annotations

import json
import os
import random
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pot_driver.errors import PotFailed, TryAgain
from pot_driver.images import local, trouble
from pot_driver.images.web import Astray

if TYPE_CHECKING:
    from pot_driver.clock import Clock
    from pot_driver.config.urls import Url
    from pot_driver.images.web import Client

MIB = 1 << 20
CHUNK = MIB
OK, PARTIAL, UNSATISFIABLE = 200, 206, 416
STATE_LIMIT = 1 << 12

Value = TypeVar("Value")


@dataclass(slots=True)
class Progress:
    """How far the image is. Written by the transfer's thread, read by those who wait."""

    url: str
    done_bytes: int = 0
    total_bytes: int | None = None
    moved_s: float = 0.0

    def text(self) -> str:
        """For people: URL and how much of it is here."""
        of = f" of {self.total_bytes / MIB:.1f}" if self.total_bytes else ""
        return f"{self.url}: {self.done_bytes / MIB:.1f}{of} MiB"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How often what may pass by itself is tried again at once: pauses grow from `first_s`, with jitter."""

    times: int = 4
    first_s: float = 0.5
    longest_s: float = 15.0

    def pause_s(self, attempt: int) -> float:
        """Before the attempt of this number, from 1."""
        longest: float = min(self.longest_s, self.first_s * 2.0 ** (attempt - 1))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """The way from one URL of images. `stop` ends it silently at the next piece."""

    client: Client
    directory: Url
    progress: Progress
    clock: Clock
    stop: threading.Event
    retries: Retries
    max_bytes: int

    def small(self, name: str, limit: int) -> bytes:
        """A small file whole; Absent when there is none."""
        return self._repeated(lambda _: self._small(name, limit), name)

    def large(self, name: str, part: Path, identity: str) -> None:
        """The file into `part`, which may have its beginning. `identity`: of the content that is expected."""
        self._repeated(lambda again: self._large(name, part, identity, again=again), name)

    def _repeated(self, once: Callable[[bool], Value], name: str) -> Value:
        attempt = 0
        while True:
            before = self.progress.done_bytes
            try:
                with self._told(name):
                    return once(attempt > 0)
            except TryAgain:
                attempt = 1 if self.progress.done_bytes > before + MIB else attempt + 1
                pause_s = self.retries.pause_s(attempt)
                out_of_time = self.clock.monotonic_s() + pause_s > self.client.patience.until_s
                if attempt > self.retries.times or out_of_time or self.stop.wait(pause_s):
                    raise

    @contextmanager
    def _told(self, name: str) -> Iterator[None]:
        try:
            yield
        except (OSError, HTTPException, ValueError, Astray) as error:
            shown = self.directory.file(name).shown
            raise trouble.of_transfer(shown, self.client.patience.idle_s, error) from error

    def _small(self, name: str, limit: int) -> bytes:
        if self.directory.scheme == "file":
            with local.open_file(self._local(), name) as file:
                data = file.read(limit + 1)
        else:
            with self._asked(name, {}) as answer:
                data = answer.read(limit + 1)
                length = answer.headers.get("Content-Length")
                if length and length.isdecimal() and len(data) < min(int(length), limit):
                    raise HTTPException
        if len(data) > limit:
            shown = self.directory.file(name).shown
            raise PotFailed(f"{shown} has more than {limit} bytes: it is not what belongs beside an image")
        return data

    def _large(self, name: str, part: Path, identity: str, *, again: bool) -> None:
        if self.directory.scheme == "file":
            with local.open_file(self._local(), name) as file:
                self.progress.total_bytes = os.fstat(file.fileno()).st_size
                self._bounded(name, self.progress.total_bytes)
                self._write(name, part, 0, lambda: file.read(CHUNK))
            return
        state = _State.read(part, identity)
        offset = _size(part) if state else 0
        if again and state is not None and offset == state.total:
            return
        asked = {"Range": f"bytes={offset}-", "If-Range": state.validator} if state and offset else {}
        with self._asked(name, asked) as answer:
            if answer.status == UNSATISFIABLE:
                part.unlink(missing_ok=True)
                raise TryAgain(f"cannot download {self.progress.url}: the server has it no longer in this length")
            offset, total = _where(answer, offset)
            self.progress.total_bytes = total
            self._bounded(name, total or 0)
            _State.of(answer, identity, total).write(part)
            self._write(name, part, offset, lambda: answer.read1(CHUNK))
        if not self.stop.is_set() and total is not None and self.progress.done_bytes < total:
            raise TryAgain(
                f"cannot download {self.progress.url}: the connection ended after {self.progress.done_bytes}"
                f" of {total} bytes"
            )

    def _asked(self, name: str, headers: dict[str, str]) -> HTTPResponse:
        """The answer with the file; anything else is raised. Closed, it keeps the connection if it was read whole."""
        answer = self.client.get(self.directory.file(name), {"Accept-Encoding": "identity", **headers})
        if answer.status in {OK, PARTIAL} or (answer.status == UNSATISFIABLE and headers.get("Range")):
            return answer
        with answer:
            raise trouble.of_status(self.directory.file(name).shown, answer.status, answer.reason)

    def _write(self, name: str, part: Path, offset: int, read: Callable[[], bytes]) -> None:
        self.progress.done_bytes = offset
        with _disk(part.parent.parent), open(part, "r+b" if offset else "wb", opener=_private) as file:
            file.truncate(offset)
            file.seek(offset)
            while not self.stop.is_set():
                self.progress.moved_s = self.clock.monotonic_s()
                with self._told(name):
                    data = read()
                if not data:
                    break
                self._bounded(name, self.progress.done_bytes + len(data))
                if self.stop.is_set():
                    break
                file.write(data)
                self.progress.done_bytes += len(data)

    def _bounded(self, name: str, size: int) -> None:
        if size > self.max_bytes:
            raise PotFailed(
                f"{self.directory.file(name).shown} has more than {self.max_bytes / MIB:.0f} MiB,"
                " this node's download.max_size"
            )

    def _local(self) -> Path:
        return Path("/", *self.directory.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """What a part file is the beginning of."""

    identity: str
    validator: str
    total: int | None

    @classmethod
    def of(cls, answer: HTTPResponse, identity: str, total: int | None) -> _State:
        etag = answer.headers.get("ETag", "")
        strong = etag if etag.startswith('"') else ""
        return cls(identity=identity, validator=strong or answer.headers.get("Last-Modified", ""), total=total)

    @classmethod
    def read(cls, part: Path, identity: str) -> _State | None:
        """None where the part cannot be gone on with: it is of something else, or the server could not say."""
        with suppress(OSError, ValueError, TypeError):
            with _beside(part).open("rb") as file:
                state = cls(**json.loads(file.read(STATE_LIMIT)))
            if state.identity == identity and state.validator and re.fullmatch(r"[ -~]+", state.validator):
                return state
        return None

    def write(self, part: Path) -> None:
        text = json.dumps({"identity": self.identity, "validator": self.validator, "total": self.total})
        with _disk(part.parent.parent), open(_beside(part), "w", opener=_private, encoding="ascii") as file:
            file.write(text)


def _where(answer: HTTPResponse, asked: int) -> tuple[int, int | None]:
    """Where in the file the body begins, and the file's size."""
    length = answer.headers.get("Content-Length")
    size = int(length) if length and length.isdecimal() else None
    if answer.status == OK:
        return 0, size
    match = re.fullmatch(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18}|\*)", answer.headers.get("Content-Range", ""))
    if not match or int(match[1]) != asked:
        raise HTTPException
    return asked, int(match[2]) if match[2] != "*" else None


def _size(part: Path) -> int:
    try:
        return part.stat().st_size
    except FileNotFoundError:
        return 0


def _beside(part: Path) -> Path:
    return part.with_name(f"{part.name}.state")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


@contextmanager
def _disk(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise trouble.of_disk(directory, error) from error
