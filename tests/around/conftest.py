"""A host made of small sh scripts: each test writes the `pot`, `rctl`, `ps` that it needs; a mirror of images."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

import pytest

from pot_driver.config import decode_plugin
from pot_driver.pot.cli import Pot
from pot_driver.process import Processes

from .mirror import WEB, Cache, Mirror
from .running import NAME, POT, Holders


@dataclass(frozen=True)
class ScriptedHost:
    """A directory of stand-ins; whatever they are asked is noted in `calls`."""

    root: Path

    @property
    def bin(self) -> Path:
        """The first directory of the host path."""
        return self.root / "bin"

    @property
    def processes(self) -> Processes:
        """Looks commands up here first."""
        return Processes(f"{self.bin}:/usr/bin:/bin")

    @property
    def pot(self) -> Pot:
        """The door to the stand-in of pot."""
        return Pot(self.processes, decode_plugin(b"").timeouts)

    def script(self, name: str, body: str) -> None:
        """Write or replace a stand-in; a running one goes on with its old text."""
        new = self.root / "new"
        note = f'echo "{name} $*" >>{quote(str(self.root))}/calls'
        new.write_text(f"#!/bin/sh\nROOT={quote(str(self.root))}\n{note}\n{body}\n")
        new.chmod(0o755)
        new.replace(self.bin / name)

    def calls(self) -> list[str]:
        """What was run, in order."""
        try:
            return (self.root / "calls").read_text().splitlines()
        except FileNotFoundError:
            return []


@pytest.fixture
def host(tmp_path: Path) -> ScriptedHost:
    """A host without any command of its own."""
    (tmp_path / "bin").mkdir()
    return ScriptedHost(tmp_path)


class HandClock:
    """A clock that a test sets by hand."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def now_s(self) -> float:
        """Read it."""
        return self.now

    def monotonic_s(self) -> float:
        """Read it."""
        return self.now


@pytest.fixture
def clock() -> HandClock:
    """A clock that stands still."""
    return HandClock()


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    """A server with one image."""
    server = Mirror()
    server.answers.update(WEB)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


# As the host's: 256 hexadecimal digits of standard input.
SKEIN = """
h=$(sha256sum | cut -c1-64)
echo $h$h$h$h
"""
SIGNIFY = """
[ "$(tail -n 1 "$3")" = "$(tail -n 1 "$5")" ] || { echo 'signature verification failed' >&2; exit 1; }
"""


@pytest.fixture
async def cache(host: ScriptedHost, clock: Any) -> AsyncIterator[Cache]:
    """An empty one."""
    host.script("skein1024", SKEIN)
    host.script("signify", SIGNIFY)
    async with asyncio.TaskGroup() as tasks:
        yield Cache(host, clock, tasks)


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What a slow server waits for; open at the end of the test."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def pot_host(host: ScriptedHost) -> ScriptedHost:
    """A host on which the pot NAME runs."""
    host.script("pot", POT)
    (host.root / "running").mkdir()
    (host.root / "running" / NAME).touch()
    return host


@pytest.fixture
def holders(tmp_path: Path) -> Iterator[Holders]:
    """Processes whose end a test waits for."""
    holders = Holders(tmp_path)
    yield holders
    holders.close()
