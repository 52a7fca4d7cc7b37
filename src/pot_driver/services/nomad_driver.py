"""Nomad's Driver service: each call decoded, done by one call on the driver, and encoded.

Not here: what a call means for a task (see `driver`), errors (see `guard`).
"""

# ruff: noqa: N802, ARG002 - gRPC's names and signatures

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from functools import partial
from typing import TypeVar

from pot_driver import schema, wire
from pot_driver._proto.plugins.drivers.proto import driver_pb2 as pb
from pot_driver._proto.plugins.drivers.proto.driver_pb2_grpc import DriverServicer
from pot_driver.config.tables import TASK_OPTIONS
from pot_driver.driver import PotDriver
from pot_driver.errors import Unsupported
from pot_driver.model import ExecInput
from pot_driver.services.guard import Context

Value = TypeVar("Value")
Message = TypeVar("Message")


class DriverService(DriverServicer):
    """All eighteen calls."""

    def __init__(self, driver: PotDriver) -> None:
        self._driver = driver

    async def Init(self, request: pb.InitRequest, context: Context) -> pb.InitResponse:
        """Nomad ≥ 2.0.4, again after each reattach."""
        await self._driver.init()
        return pb.InitResponse()

    async def TaskConfigSchema(
        self, request: pb.TaskConfigSchemaRequest, context: Context
    ) -> pb.TaskConfigSchemaResponse:
        """What a job's config block may hold."""
        return pb.TaskConfigSchemaResponse(spec=schema.spec(TASK_OPTIONS))

    async def Capabilities(self, request: pb.CapabilitiesRequest, context: Context) -> pb.CapabilitiesResponse:
        """What the driver can do."""
        return pb.CapabilitiesResponse(capabilities=schema.CAPABILITIES)

    def Fingerprint(self, request: pb.FingerprintRequest, context: Context) -> AsyncIterator[pb.FingerprintResponse]:
        """The host's health, until the agent hangs up."""
        return _encoded(self._driver.fingerprints(), wire.fingerprint_response)

    async def RecoverTask(self, request: pb.RecoverTaskRequest, context: Context) -> pb.RecoverTaskResponse:
        """Take over a task that an earlier process started. Nomad leaves `task_id` empty."""
        await self._driver.recover_task(wire.task_handle(request.handle))
        return pb.RecoverTaskResponse()

    async def StartTask(self, request: pb.StartTaskRequest, context: Context) -> pb.StartTaskResponse:
        """Start a task."""
        started = await self._driver.start_task(wire.task_config(request.task))
        return wire.start_response(request.task, started)

    async def WaitTask(self, request: pb.WaitTaskRequest, context: Context) -> pb.WaitTaskResponse:
        """Answered when the task has ended, and never otherwise."""
        return wire.wait_response(await self._driver.wait_task(request.task_id))

    async def StopTask(self, request: pb.StopTaskRequest, context: Context) -> pb.StopTaskResponse:
        """End a task."""
        await self._driver.stop_task(request.task_id, wire.seconds(request.timeout), request.signal)
        return pb.StopTaskResponse()

    async def DestroyTask(self, request: pb.DestroyTaskRequest, context: Context) -> pb.DestroyTaskResponse:
        """Leave nothing of it."""
        await self._driver.destroy_task(request.task_id, force=request.force)
        return pb.DestroyTaskResponse()

    async def InspectTask(self, request: pb.InspectTaskRequest, context: Context) -> pb.InspectTaskResponse:
        """Where a task stands."""
        return wire.inspect_response(self._driver.inspect_task(request.task_id))

    def TaskStats(self, request: pb.TaskStatsRequest, context: Context) -> AsyncIterator[pb.TaskStatsResponse]:
        """What a task uses, until it ends or the agent hangs up."""
        interval_s = wire.seconds(request.collection_interval)
        samples = self._driver.task_stats(request.task_id, interval_s)
        return _encoded(samples, partial(wire.stats_response, request.task_id))

    def TaskEvents(self, request: pb.TaskEventsRequest, context: Context) -> AsyncIterator[pb.DriverTaskEvent]:
        """What happens to all tasks, until the agent hangs up."""
        return _encoded(self._driver.task_events(), wire.task_event)

    async def Shutdown(self, request: pb.ShutdownRequest, context: Context) -> pb.ShutdownResponse:
        """The agent stops; the tasks do not."""
        await self._driver.shutdown()
        return pb.ShutdownResponse()

    async def SignalTask(self, request: pb.SignalTaskRequest, context: Context) -> pb.SignalTaskResponse:
        """Signal a task's main process."""
        await self._driver.signal_task(request.task_id, request.signal)
        return pb.SignalTaskResponse()

    async def ExecTask(self, request: pb.ExecTaskRequest, context: Context) -> pb.ExecTaskResponse:
        """Run a command in a task: script checks, change scripts."""
        timeout_s = wire.seconds(request.timeout)
        result = await self._driver.exec_task(request.task_id, tuple(request.command), timeout_s)
        return wire.exec_response(result)

    async def ExecTaskStreaming(
        self, request_iterator: AsyncIterator[pb.ExecTaskStreamingRequest], context: Context
    ) -> AsyncGenerator[pb.ExecTaskStreamingResponse, None]:
        """Run a command in a task with someone at its other end. The host never says that it has said all."""
        requests = aiter(request_iterator)
        setup = wire.exec_setup(await anext(requests, pb.ExecTaskStreamingRequest()))
        outputs = self._driver.exec_task_streaming(setup, _inputs(requests))
        async with aclosing(_encoded(outputs, wire.exec_output)) as responses:
            async for response in responses:
                yield response

    async def CreateNetwork(self, request: pb.CreateNetworkRequest, context: Context) -> pb.CreateNetworkResponse:
        """Only for drivers that must create a group's network."""
        raise Unsupported("cannot create a network for a group: a pot has its own (see network_mode)")

    async def DestroyNetwork(self, request: pb.DestroyNetworkRequest, context: Context) -> pb.DestroyNetworkResponse:
        """As CreateNetwork."""
        raise Unsupported("cannot destroy a group's network: this driver creates none")


async def _inputs(
    requests: AsyncIterator[pb.ExecTaskStreamingRequest],
) -> AsyncGenerator[ExecInput, None]:
    async for request in requests:
        yield wire.exec_input(request)


async def _encoded(values: AsyncIterator[Value], encode: Callable[[Value], Message]) -> AsyncGenerator[Message, None]:
    """Each value as a message; the values' source is closed with us."""
    try:
        async for value in values:
            yield encode(value)
    finally:
        if isinstance(values, AsyncGenerator):
            await values.aclose()
