"""Nomad's side of the plugin protocol: launch the plugin, dial it, end it, take up one that runs already.

`pot-driver run`, the demo and the tests all go through here, so that they see what Nomad sees.

Not here: a task's directories and configuration (see `allocation`, `hclspec`), what to do with a task (see `agent`).
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, cast
from urllib.parse import quote

import grpc.aio
from google.protobuf import empty_pb2

from pot_driver._proto.goplugin import (
    grpc_broker_pb2_grpc,
    grpc_controller_pb2,
    grpc_controller_pb2_grpc,
    grpc_stdio_pb2_grpc,
)
from pot_driver._proto.plugins.base.proto import base_pb2_grpc
from pot_driver._proto.plugins.drivers.proto import driver_pb2_grpc
from pot_driver.errors import DriverError
from pot_driver.operator.hclog import Lines, LogLine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

PLUGIN_ENV = {
    "NOMAD_PLUGIN_MAGIC_COOKIE": "e4327c2e01eabfd75a8a67adb114fb34a757d57eee7728d857a8cec6e91a7255",
    "PLUGIN_MIN_PORT": "10000",
    "PLUGIN_MAX_PORT": "25000",
    "PLUGIN_PROTOCOL_VERSIONS": "2",
}
HANDSHAKE_LIMIT_S = 60.0  # go-plugin's StartTimeout
GRACE_S = 2.0  # between Controller.Shutdown and SIGKILL
_STDOUT, _STDERR = 1, 2
_POLL_S = 0.05  # how often a plugin that is not our child is looked at

_CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.default_authority", "unused"),
    ("grpc.use_local_subchannel_pool", 1),  # a connection of its own, as each Nomad agent has
)


class HandshakeFailed(DriverError):  # noqa: N818 - named by what happened, as its siblings
    """The process is no plugin that this host can talk to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake:
    """The line that a plugin prints when it listens."""

    network: str
    address: str

    @classmethod
    def parse(cls, line: str) -> Self:
        """Read it as go-plugin does: core 1, protocol 2, gRPC; a certificate, if any, is empty."""
        match line.strip().split("|"):
            case ["1", "2", "unix" | "tcp" as network, address, "grpc"] | [
                "1",
                "2",
                "unix" | "tcp" as network,
                address,
                "grpc",
                "",
            ]:
                return cls(network=network, address=address)
        raise HandshakeFailed(f"unrecognised first line of the plugin: {line.strip()[:200]!r}")

    @property
    def target(self) -> str:
        """What gRPC dials."""
        return f"unix:{quote(self.address)}" if self.network == "unix" else self.address


@dataclass(frozen=True, slots=True, kw_only=True)
class Reattach:
    """What a host remembers to take up a plugin that outlives it."""

    pid: int
    handshake: Handshake


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a kill went. `graceful`: the process went away by itself in time."""

    graceful: bool
    seconds: float


class _Pipes(asyncio.SubprocessProtocol):
    """The plugin's stdout (first line: handshake; the rest is drained) and stderr (the log)."""

    def __init__(self, log: Callable[[LogLine], None]) -> None:
        loop = asyncio.get_running_loop()
        self.first_line: asyncio.Future[str] = loop.create_future()
        self.exited = asyncio.Event()  # end of both pipes, then of the process: go-plugin's order
        self.stderr = Lines(log)
        self._stdout = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.SubprocessTransport", transport)

    def close(self) -> None:
        for fd in (_STDOUT, _STDERR):
            if pipe := self._transport.get_pipe_transport(fd):
                pipe.close()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == _STDERR:
            self.stderr.feed(data)
        elif not self.first_line.done():
            self._stdout += data
            line, newline, _ = self._stdout.partition(b"\n")
            if newline:
                self.first_line.set_result(line.decode(errors="replace"))

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._transport.close()
        self.stderr.end()
        self.exited.set()
        if not self.first_line.done():
            tail = self.stderr.tail()
            self.first_line.set_exception(HandshakeFailed(f"the plugin ended before its handshake: {tail}"))
            self.first_line.exception()  # a launch that was cancelled does not ask


class Plugin:
    """A running plugin and one connection to it. Use as `async with await Plugin.launch(…) as plugin`."""

    def __init__(self, pid: int, handshake: Handshake) -> None:
        self.pid = pid
        self.handshake = handshake
        self.launch_s = 0.0  # from exec to handshake line
        self._pipes: _Pipes | None = None
        self.channel = grpc.aio.insecure_channel(handshake.target, options=_CHANNEL_OPTIONS)
        self.base = base_pb2_grpc.BasePluginStub(self.channel)
        self.driver = driver_pb2_grpc.DriverStub(self.channel)
        self.controller = grpc_controller_pb2_grpc.GRPCControllerStub(self.channel)
        # Opened on connect and kept open, as go-plugin does; nothing is ever said on them.
        self._broker = grpc_broker_pb2_grpc.GRPCBrokerStub(self.channel).StartStream()
        self._stdio = grpc_stdio_pb2_grpc.GRPCStdioStub(self.channel).StreamStdio(empty_pb2.Empty())

    @classmethod
    async def launch(
        cls,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        log: Callable[[LogLine], None] = lambda _: None,
    ) -> Self:
        """Start the plugin as Nomad does: our whole environment (and `env`) plus the cookie, own pipes."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        transport, pipes = await loop.subprocess_exec(
            lambda: _Pipes(log),
            *argv,
            env={**os.environ, **(env or {}), **PLUGIN_ENV},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(HANDSHAKE_LIMIT_S):
                handshake = Handshake.parse(await pipes.first_line)
        except TimeoutError as late:
            transport.close()  # kills it, too
            raise HandshakeFailed("timeout while waiting for the plugin to start") from late
        except BaseException:
            transport.close()
            raise
        plugin = cls(transport.get_pid(), handshake)
        plugin.launch_s = loop.time() - began
        plugin._pipes = pipes
        return plugin

    @classmethod
    async def reattach(cls, config: Reattach) -> Self:
        """Dial a plugin that another host has launched."""
        plugin = cls(config.pid, config.handshake)
        async with asyncio.timeout(GRACE_S):
            await plugin.channel.channel_ready()
        return plugin

    @property
    def reattach_config(self) -> Reattach:
        """What another host needs to take this plugin over."""
        return Reattach(pid=self.pid, handshake=self.handshake)

    @property
    def exited(self) -> bool:
        """Whether the end has been noticed."""
        return self._pipes.exited.is_set() if self._pipes else not _alive(self.pid)

    async def wait_exited(self) -> None:
        """Return when the plugin has ended: end of file on both pipes and the process reaped."""
        if self._pipes:
            await self._pipes.exited.wait()
            return
        while _alive(self.pid):  # noqa: ASYNC110 - the process is no child of ours
            await asyncio.sleep(_POLL_S)

    async def kill(self) -> Ending:
        """Controller.Shutdown, two seconds, SIGKILL."""
        began = asyncio.get_running_loop().time()
        with suppress(grpc.aio.AioRpcError, grpc.aio.UsageError):  # the connection may be lost, or closed by us
            await self.controller.Shutdown(grpc_controller_pb2.Empty())
        await self.disconnect()
        graceful = True
        try:
            async with asyncio.timeout(GRACE_S):
                await self.wait_exited()
        except TimeoutError:
            graceful = False
            await self.crash()
        return Ending(graceful=graceful, seconds=asyncio.get_running_loop().time() - began)

    async def crash(self) -> None:
        """Kill -9, as the kernel or an operator may do."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        await self.wait_exited()

    def stop_listening(self) -> None:
        """Close our ends of the plugin's pipes, as an agent's death does."""
        if self._pipes:
            self._pipes.close()

    async def disconnect(self, grace_s: float = 0) -> None:
        """Close the connection and leave the plugin as it is; calls that end within the grace end as they do."""
        self._broker.cancel()
        self._stdio.cancel()
        await self.channel.close(grace_s)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if not self.exited:
            await self.kill()
        await self.disconnect()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
