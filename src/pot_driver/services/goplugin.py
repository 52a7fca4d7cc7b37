"""What go-plugin wants beside the driver: the controller, the two streams that nobody uses, health.

Not here: Nomad's services.
"""

# ruff: noqa: N802, ARG002 - gRPC's names and signatures

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import TypeVar

import grpc
from google.protobuf.empty_pb2 import Empty as NoRequest

from pot_driver._proto.goplugin.grpc_broker_pb2 import ConnInfo
from pot_driver._proto.goplugin.grpc_broker_pb2_grpc import GRPCBrokerServicer
from pot_driver._proto.goplugin.grpc_controller_pb2 import Empty
from pot_driver._proto.goplugin.grpc_controller_pb2_grpc import GRPCControllerServicer
from pot_driver._proto.goplugin.grpc_stdio_pb2 import StdioData
from pot_driver._proto.goplugin.grpc_stdio_pb2_grpc import GRPCStdioServicer
from pot_driver._proto.grpc.health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from pot_driver._proto.grpc.health.v1.health_pb2_grpc import HealthServicer
from pot_driver.services.guard import Context

Message = TypeVar("Message")

_HEALTHY_SERVICES = frozenset({"", "plugin"})  # "plugin" is the name that go-plugin's Ping asks for


class ControllerService(GRPCControllerServicer):
    """The host ends us."""

    def __init__(self, leave: Callable[[], None]) -> None:
        self._leave = leave

    async def Shutdown(self, request: Empty, context: Context) -> Empty:
        """Answer, then leave: the host waits for the answer without a limit and two seconds for our end."""
        context.add_done_callback(lambda _: self._leave())  # type: ignore[arg-type]  # the stubs forgot that it is a protocol
        return Empty()


class BrokerService(GRPCBrokerServicer):
    """Side channels. The host opens the stream when it connects, and Nomad never offers one on it."""

    def StartStream(self, request_iterator: AsyncIterator[ConnInfo], context: Context) -> AsyncIterator[ConnInfo]:
        """Stay open until the host goes; say nothing."""
        return _silence(ConnInfo())


class StdioService(GRPCStdioServicer):
    """Our output after the handshake. There is none: the log goes to standard error."""

    def StreamStdio(self, request: NoRequest, context: Context) -> AsyncIterator[StdioData]:
        """Stay open until the host goes; say nothing."""
        return _silence(StdioData())


class HealthService(HealthServicer):
    """While we answer, we serve."""

    async def Check(self, request: HealthCheckRequest, context: Context) -> HealthCheckResponse:
        """Nomad does not ask; other hosts of go-plugin do."""
        if request.service not in _HEALTHY_SERVICES:
            await context.abort(grpc.StatusCode.NOT_FOUND, f'cannot check "{request.service}": no such service')
        return HealthCheckResponse(status=HealthCheckResponse.SERVING)

    async def Watch(self, request: HealthCheckRequest, context: Context) -> AsyncGenerator[HealthCheckResponse, None]:
        """The same once, and never a change."""
        known = request.service in _HEALTHY_SERVICES
        status = HealthCheckResponse.SERVING if known else HealthCheckResponse.SERVICE_UNKNOWN
        yield HealthCheckResponse(status=status)
        await asyncio.Event().wait()


async def _silence(never: Message) -> AsyncGenerator[Message, None]:
    await asyncio.Event().wait()
    yield never
