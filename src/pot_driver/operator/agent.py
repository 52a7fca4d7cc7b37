"""What a Nomad client does with a driver plugin: configure it, watch it, start and end tasks, recover them.

When the plugin dies it is launched anew and each task is given back to it with RecoverTask, as Nomad does.

Not here: the wire's handshake and kill (see `host`), directories (see `allocation`), what people see.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import grpc
from google.protobuf.duration_pb2 import Duration

from pot_driver._proto.plugins.base.proto import base_pb2
from pot_driver._proto.plugins.drivers.proto import driver_pb2
from pot_driver.errors import DriverError
from pot_driver.fingerprint import NOT_YET
from pot_driver.operator.hclspec import encode
from pot_driver.operator.host import Plugin

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping, Sequence

    from pot_driver._proto.plugins.shared.hclspec.hcl_spec_pb2 import Spec
    from pot_driver.operator.hclog import LogLine

Response = TypeVar("Response")

API_VERSION = "v0.1.0"
_PLUGIN_GONE_S = 3.0  # how long Nomad waits to see a plugin's end after a lost connection
_MIN_PORT, _MAX_PORT = 14000, 14512  # the client's defaults


class CallFailed(DriverError):  # noqa: N818 - what happened
    """The plugin refused; its own words."""


class Watcher(Protocol):
    """Who wants to know."""

    def plugin_log(self, line: LogLine) -> None:
        """The plugin logged something."""

    def task_event(self, event: driver_pb2.DriverTaskEvent) -> None:
        """The driver says something about a task."""

    def plugin_launched(self, plugin: Plugin) -> None:
        """There is a plugin."""

    def plugin_lost(self) -> None:
        """The plugin has died."""

    def task_recovered(self, task_id: str) -> None:
        """A new one has taken a task over."""


def plugin_argv() -> tuple[str, ...]:
    """The plugin beside this interpreter, else the one on PATH, else this package run as a module."""
    beside = Path(sys.executable).parent / "nomad-pot-driver"
    if os.access(beside, os.X_OK):
        return (str(beside),)
    found = shutil.which("nomad-pot-driver")
    return (found,) if found else (sys.executable, "-m", "pot_driver")


class Agent:
    """One plugin and its tasks. `group` owns the readers of the plugin's two lasting streams."""

    plugin: Plugin
    task_schema: Spec

    def __init__(
        self,
        argv: Sequence[str],
        plugin_config: Mapping[str, object],
        *,
        group: asyncio.TaskGroup,
        watcher: Watcher,
    ) -> None:
        self._argv = argv
        self._plugin_config = plugin_config
        self._group = group
        self._watcher = watcher
        self._relaunching = asyncio.Lock()
        self._first: asyncio.Future[driver_pb2.FingerprintResponse] | None = None
        self._looked: asyncio.Future[driver_pb2.FingerprintResponse] | None = None

    async def launch(self) -> base_pb2.PluginInfoResponse:
        """Handshake, and what the plugin says it is."""
        self.plugin = await Plugin.launch(self._argv, log=self._watcher.plugin_log)
        self._watcher.plugin_launched(self.plugin)
        return await self.plugin.base.PluginInfo(base_pb2.PluginInfoRequest())

    async def configure(self) -> None:
        """Plugin block, Init, the schema of tasks; open the fingerprint and event streams."""
        base, driver = self.plugin.base, self.plugin.driver
        schema = await base.ConfigSchema(base_pb2.ConfigSchemaRequest())
        ports = base_pb2.NomadDriverConfig(ClientMinPort=_MIN_PORT, ClientMaxPort=_MAX_PORT)
        await _answer(
            base.SetConfig(
                base_pb2.SetConfigRequest(
                    msgpack_config=encode(schema.spec, self._plugin_config),
                    nomad_config=base_pb2.NomadConfig(driver=ports),
                    plugin_api_version=API_VERSION,
                )
            )
        )
        await _answer(driver.Init(driver_pb2.InitRequest()))
        answer = await driver.TaskConfigSchema(driver_pb2.TaskConfigSchemaRequest())
        self.task_schema = answer.spec
        await driver.Capabilities(driver_pb2.CapabilitiesRequest())
        loop = asyncio.get_running_loop()
        self._first, self._looked = loop.create_future(), loop.create_future()
        self._group.create_task(self._watch_health(self.plugin, self._first, self._looked))
        self._group.create_task(self._watch_events(self.plugin))

    async def fingerprint(self) -> driver_pb2.FingerprintResponse:
        """The plugin's first answer, which may come before pot has answered it."""
        return await _when_there(self._first)

    async def health(self) -> driver_pb2.FingerprintResponse:
        """What the plugin finds once pot has answered, or has not within the plugin's own limit for a command."""
        return await _when_there(self._looked)

    async def start_task(self, config: driver_pb2.TaskConfig) -> driver_pb2.StartTaskResponse:
        """StartTask."""
        return await _answer(self.plugin.driver.StartTask(driver_pb2.StartTaskRequest(task=config)))

    async def wait_task(self, handle: driver_pb2.TaskHandle) -> driver_pb2.WaitTaskResponse:
        """WaitTask, over as many plugins as it takes."""
        request = driver_pb2.WaitTaskRequest(task_id=handle.config.id)
        while True:
            plugin = self.plugin
            try:
                return await plugin.driver.WaitTask(request)
            except grpc.aio.AioRpcError as error:
                if not await _ends_soon(plugin):
                    raise CallFailed(error.details() or str(error.code())) from error
            await self._relaunch(plugin)
            await self.recover_task(handle)
            self._watcher.task_recovered(handle.config.id)

    async def recover_task(self, handle: driver_pb2.TaskHandle) -> None:
        """RecoverTask, as after an agent restart: the driver's configuration is not kept in the handle."""
        kept = driver_pb2.TaskHandle()
        kept.CopyFrom(handle)
        kept.config.ClearField("msgpack_driver_config")
        request = driver_pb2.RecoverTaskRequest(handle=kept)
        await _answer(self.plugin.driver.RecoverTask(request))

    async def stop_task(self, task_id: str, timeout_s: float, signal: str) -> None:
        """StopTask."""
        timeout = Duration()
        timeout.FromNanoseconds(int(timeout_s * 1e9))
        request = driver_pb2.StopTaskRequest(task_id=task_id, timeout=timeout, signal=signal)
        await _answer(self.plugin.driver.StopTask(request))

    async def signal_task(self, task_id: str, signal: str) -> None:
        """SignalTask, as `nomad alloc signal` has it sent."""
        request = driver_pb2.SignalTaskRequest(task_id=task_id, signal=signal)
        await _answer(self.plugin.driver.SignalTask(request))

    async def inspect_task(self, task_id: str) -> driver_pb2.InspectTaskResponse:
        """InspectTask; Nomad itself has no use for it."""
        request = driver_pb2.InspectTaskRequest(task_id=task_id)
        return await _answer(self.plugin.driver.InspectTask(request))

    async def destroy_task(self, task_id: str, *, force: bool = True) -> None:
        """DestroyTask; Nomad always forces."""
        request = driver_pb2.DestroyTaskRequest(task_id=task_id, force=force)
        await _answer(self.plugin.driver.DestroyTask(request))

    async def exec_task(self, task_id: str, command: Sequence[str], timeout_s: int) -> driver_pb2.ExecTaskResponse:
        """ExecTask: a command in the pot, as a script check runs it."""
        request = driver_pb2.ExecTaskRequest(task_id=task_id, command=command, timeout=Duration(seconds=timeout_s))
        return await _answer(self.plugin.driver.ExecTask(request))

    async def first_stats(self, task_id: str, interval_s: int = 1) -> driver_pb2.TaskStats:
        """One sample of TaskStats."""
        call = self.plugin.driver.TaskStats(
            driver_pb2.TaskStatsRequest(task_id=task_id, collection_interval=Duration(seconds=interval_s))
        )
        async for response in call:
            call.cancel()
            return response.stats
        raise CallFailed("the stats stream ended without a sample")

    async def close(self) -> None:
        """As an agent's graceful end: Shutdown, then the kill sequence. Tasks run on."""
        async with self.plugin as plugin:
            if not plugin.exited:
                with suppress(grpc.aio.AioRpcError):
                    await plugin.driver.Shutdown(driver_pb2.ShutdownRequest())

    async def _relaunch(self, lost: Plugin) -> None:
        async with self._relaunching:
            if self.plugin is not lost:
                return  # another task's wait was first
            self._watcher.plugin_lost()
            await lost.disconnect(_PLUGIN_GONE_S)  # all calls learn of it, not only ours
            await self.launch()
            await self.configure()

    async def _watch_health(
        self,
        plugin: Plugin,
        first: asyncio.Future[driver_pb2.FingerprintResponse],
        looked: asyncio.Future[driver_pb2.FingerprintResponse],
    ) -> None:
        try:
            async for answer in plugin.driver.Fingerprint(driver_pb2.FingerprintRequest()):
                for future in [first] if answer.health_description == NOT_YET else [first, looked]:
                    if not future.done():
                        future.set_result(answer)
        except grpc.aio.AioRpcError as error:
            for future in (first, looked):
                if not future.done():
                    future.set_exception(CallFailed(f"no fingerprint: {error.details()}"))
                    future.exception()  # nobody need ask

    async def _watch_events(self, plugin: Plugin) -> None:
        with suppress(grpc.aio.AioRpcError):
            async for event in plugin.driver.TaskEvents(driver_pb2.TaskEventsRequest()):
                self._watcher.task_event(event)


async def _when_there(future: asyncio.Future[Response] | None) -> Response:
    if future is None:
        raise RuntimeError("configure first")
    return await asyncio.shield(future)


async def _ends_soon(plugin: Plugin) -> bool:
    try:
        async with asyncio.timeout(_PLUGIN_GONE_S):
            await plugin.wait_exited()
    except TimeoutError:
        return False
    return True


async def _answer(call: Awaitable[Response]) -> Response:
    """The answer, or the plugin's words."""
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        raise CallFailed(error.details() or str(error.code())) from error
