"""A host on one side, a scripted driver on the other, the real services and a real socket between them."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from pot_driver import app, handshake
from pot_driver.clock import SystemClock
from pot_driver.driver import PotDriver
from pot_driver.operator.host import Handshake, Plugin
from pot_driver.services.guard import Guard

_PLAIN = {"set_config", "inspect_task"}
_STREAMS = {"fingerprints", "task_events", "task_stats", "exec_task_streaming"}


class ScriptedDriver:
    """Answers what a test has scripted, and nothing else; remembers what was asked.

    An answer is a value, an error to raise, or a function of the call's arguments; for a stream a list of values
    after which it stays open, or a function that returns an async generator.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.closed: list[str] = []  # the streams that were closed
        self.closing = asyncio.Event()
        self._answers: dict[str, Any] = {}

    def script(self, name: str, answer: Any) -> None:
        """Answer calls of `name`."""
        assert hasattr(PotDriver, name), name
        self._answers[name] = answer

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if not hasattr(PotDriver, name):
            raise AttributeError(name)

        def call(*args: Any, **kwargs: Any) -> Any:
            self.calls.append((name, *args, *kwargs.values()))
            if name not in self._answers:
                raise AssertionError(f"{name} was called and is not scripted")
            answer = self._answers[name]
            if callable(answer):
                return answer(*args, **kwargs)
            if name in _STREAMS:
                return self._stream(name, answer)
            return _now(answer) if name in _PLAIN else _later(answer)

        return call

    async def _stream(self, name: str, answers: list[Any]) -> AsyncGenerator[Any, None]:
        try:
            for answer in answers:
                yield _now(answer)
            await asyncio.Event().wait()
        finally:
            self.closed.append(name)
            self.closing.set()


def _now(answer: Any) -> Any:
    if isinstance(answer, BaseException):
        raise answer
    return answer


async def _later(answer: Any) -> Any:
    return _now(answer)


@pytest.fixture
async def driver() -> ScriptedDriver:
    """The driver behind the services."""
    return ScriptedDriver()


@pytest.fixture
def leaving() -> asyncio.Event:
    """Set when the host has ended the plugin."""
    return asyncio.Event()


@pytest.fixture
def socket() -> Iterator[handshake.SocketPlace]:
    """Where a server may listen."""
    place = handshake.SocketPlace({})
    yield place
    place.remove()


@pytest.fixture
async def host(driver: ScriptedDriver, leaving: asyncio.Event, socket: handshake.SocketPlace) -> AsyncIterator[Plugin]:
    """Nomad's side of a connection to the services."""
    server = app.build_server(lambda: cast("PotDriver", driver), Guard(SystemClock()), leaving)
    server.add_insecure_port(f"unix:{socket.path}")
    await server.start()
    plugin = Plugin(os.getpid(), Handshake.parse(handshake.line(socket.path)))
    yield plugin
    await plugin.disconnect()
    await server.stop(None)


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A temporary directory in which a socket's path is never too long."""
    with tempfile.TemporaryDirectory(prefix="pd-", dir="/tmp") as path:
        yield Path(path)


@pytest.fixture
def plugin_argv() -> list[str]:
    """How Nomad launches the real plugin."""
    return [str(Path(sys.executable).with_name("nomad-pot-driver"))]


@pytest.fixture
def patient_argv() -> list[str]:
    """A real plugin process whose driver waits, logs, shouts and forks on request."""
    return [sys.executable, str(Path(__file__).with_name("patient_plugin.py"))]
