"""The plugin process: builds everything, serves, owns the background tasks and the order of the end.

A launch has no side effects but its own socket's directory: Nomad makes three at every agent start, two of them only
to ask, while the process of an earlier agent may own running tasks.

Not here: what calls mean (see `driver`), go-plugin's line (see `handshake`).
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import quote

import structlog
from grpc import aio

from pot_driver import __version__, handshake, logs
from pot_driver._proto.goplugin.grpc_broker_pb2_grpc import add_GRPCBrokerServicer_to_server
from pot_driver._proto.goplugin.grpc_controller_pb2_grpc import add_GRPCControllerServicer_to_server
from pot_driver._proto.goplugin.grpc_stdio_pb2_grpc import add_GRPCStdioServicer_to_server
from pot_driver._proto.grpc.health.v1.health_pb2_grpc import add_HealthServicer_to_server
from pot_driver._proto.plugins.base.proto.base_pb2_grpc import add_BasePluginServicer_to_server
from pot_driver.clock import Clock, SystemClock
from pot_driver.services.goplugin import BrokerService, ControllerService, HealthService, StdioService
from pot_driver.services.guard import Guard
from pot_driver.services.late import LateService, Registry
from pot_driver.services.nomad_base import BaseService

if TYPE_CHECKING:
    from pot_driver.driver import PotDriver

log = structlog.get_logger()

# A job's environment alone may exceed gRPC's 4 MiB; go-plugin hosts have no limit either.
SERVER_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
)
DRIVER_SERVICE = "hashicorp.nomad.plugins.drivers.proto.Driver"
REPLY_GRACE_S = 0.02  # from the end of the Shutdown call until its answer has surely left the process
SHUTDOWN_LIMIT_S = 0.25  # for the driver's own farewell: the host gives us two seconds, at every agent start twice
LOOK_AROUND_S = 60.0
ORPHAN_AFTER_S = 600.0  # an agent that was killed is back before this, and reattaches


async def serve(environ: Mapping[str, str]) -> NoReturn:
    """Serve until the host or a signal ends us. Never returns."""
    clock = SystemClock()
    leaving = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, leaving.set)
    place = handshake.SocketPlace(environ)
    try:
        async with asyncio.TaskGroup() as tasks:
            driver = LateDriver(clock, tasks)
            guard = Guard(clock)
            server = build_server(driver, guard, leaving)
            server.add_insecure_port(f"unix:{quote(str(place.path))}")
            place.admit()
            await server.start()
            tasks.create_task(_look_around(place, guard, leaving))
            log.debug("listening", version=__version__, socket=str(place.path))
            _shake_hands(place)
            await leaving.wait()
            await _say_farewell(driver.made)
            place.remove()
            _leave(0)
    except BaseException:
        log.exception("the plugin ends for an unexpected error")
        place.remove()
        _leave(1)


class LateDriver:
    """The driver, made when it is first needed: a launch that only asks does without, and without its imports."""

    def __init__(self, clock: Clock, tasks: asyncio.TaskGroup) -> None:
        self.made: PotDriver | None = None
        self._clock = clock
        self._tasks = tasks

    def __call__(self) -> PotDriver:
        """The one driver of this process."""
        if self.made is None:
            from pot_driver.driver import PotDriver  # noqa: PLC0415

            self.made = PotDriver(clock=self._clock, tasks=self._tasks)
        return self.made


def build_server(driver: Callable[[], PotDriver], guard: Guard, leaving: asyncio.Event) -> aio.Server:
    """All services, on one server that is not started yet."""

    def add_driver_service(registry: Registry) -> None:
        from pot_driver._proto.plugins.drivers.proto import driver_pb2_grpc  # noqa: PLC0415
        from pot_driver.services.nomad_driver import DriverService  # noqa: PLC0415

        driver_pb2_grpc.add_DriverServicer_to_server(DriverService(driver()), registry)  # type: ignore[arg-type]

    server = aio.server(interceptors=(guard,), options=SERVER_OPTIONS)
    add_GRPCControllerServicer_to_server(ControllerService(leaving.set), server)
    add_GRPCBrokerServicer_to_server(BrokerService(), server)
    add_GRPCStdioServicer_to_server(StdioService(), server)
    add_HealthServicer_to_server(HealthService(), server)
    add_BasePluginServicer_to_server(BaseService(driver), server)
    server.add_generic_rpc_handlers((LateService(DRIVER_SERVICE, add_driver_service),))
    return server


def _shake_hands(place: handshake.SocketPlace) -> None:
    """Tell the host where we listen, then let go of its pipes: no child and no library can hold or fill them."""
    os.write(1, handshake.line(place.path).encode())
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    os.close(null)


async def _say_farewell(driver: PotDriver | None) -> None:
    """Let the driver put its things in order, as far as there is time. Tasks go on."""
    await asyncio.sleep(REPLY_GRACE_S)
    if driver is None:
        return
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(SHUTDOWN_LIMIT_S):
                await driver.shutdown()
    except Exception:
        log.exception("unexpected error at the end of the plugin")


def _leave(status: int) -> NoReturn:
    """End here and now.

    An orderly end would cancel every open call, and an answer to WaitTask, whatever it is, tells Nomad that the task is
    dead. A connection that breaks tells it that the plugin is, which is true. Nothing is buffered, nothing is on disk.
    """
    logs.flush()
    os._exit(status)


async def _look_around(place: handshake.SocketPlace, guard: Guard, leaving: asyncio.Event) -> None:
    """Keep the socket's path alive; end when the host has gone for good and nobody has taken us over."""
    parent = os.getppid()
    while True:
        await asyncio.sleep(LOOK_AROUND_S)
        place.touch()
        if os.getppid() != parent and guard.idle_s > ORPHAN_AFTER_S:
            log.warning("no agent for a long time: the plugin ends, the tasks go on")
            leaving.set()
