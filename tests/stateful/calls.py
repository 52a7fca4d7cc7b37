"""Nomad's calls for a task, and what it holds against the plugin: a promise that is broken is a complaint.

Not here: starting, following and restoring tasks (see `nomad`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration

from pot_driver._proto.plugins.drivers.proto import driver_pb2 as pb

from .client import Client, ends_soon
from .house import House
from .life import Life, Result

LIMIT_S = 100.0  # of any call: generous, but it is one
STOPS = 5  # that Nomad tries
OVER = ("over", "lost", "gone")


class Calls(Client):
    """Each is one that Nomad makes, however the plugin fares meanwhile."""

    def __init__(self, house: House, **plugin_config: object) -> None:
        super().__init__(house, **plugin_config)
        self.lives: list[Life] = []
        self.complaints: list[str] = []

    async def stop(self, life: Life, timeout_s: float, signal: str) -> None:
        """StopTask, as often as Nomad asks; when it says OK, the jail is gone and WaitTask answers."""
        life.meddled.add("stop")
        timeout = Duration()
        timeout.FromNanoseconds(int(timeout_s * 1e9))
        request = pb.StopTaskRequest(task_id=life.id, timeout=timeout, signal=signal)
        for _ in range(STOPS):
            plugin = await self.plugin()
            before = life.state
            error = await self.ask(life, "StopTask", plugin.driver.StopTask(request))
            if error is None:
                if self.house.jail_lives(life.pot):
                    self.complain(life, "StopTask said OK and the jail lives")
                if life.state in ("restoring", "running"):
                    await self.within(life, "WaitTask after StopTask", life.until(*OVER))
                return
            if before == "running" == life.state and not await ends_soon(plugin):
                self.complain(life, f"StopTask: {error.details()}")
            if life.state not in ("starting", "restoring", "running") or error.code() is grpc.StatusCode.NOT_FOUND:
                return
        self.complain(life, "StopTask never succeeded")

    async def destroy(self, life: Life, *, force: bool = True) -> None:
        """DestroyTask; Nomad takes no notice of an error. When it says OK, nothing is left."""
        before = life.state
        alive = before in ("starting", "restoring", "running")
        if alive and force:
            life.meddled.add("destroyed by force")
        plugin = await self.plugin()
        request = pb.DestroyTaskRequest(task_id=life.id, force=force)
        error = await self.ask(life, "DestroyTask", plugin.driver.DestroyTask(request))
        if before == "starting":
            return  # it may have come before StartTask
        if error is None:
            if alive and not force and life.told is None and not life.meddled:
                self.complain(life, "DestroyTask without force destroyed a running task")
            self._see_that_it_is_gone(life)
        elif await ends_soon(plugin):
            self.accidents.add("DestroyTask broken off")
        elif force:
            self.complain(life, f"DestroyTask: {error.details()}")
        if not (error and alive):
            life.becomes("gone")

    async def wait(self, life: Life) -> None:
        """One more WaitTask."""
        plugin = await self.plugin()
        try:
            self.note_result(life, await plugin.driver.WaitTask(pb.WaitTaskRequest(task_id=life.id)))
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND and not await ends_soon(plugin):
                self.complain(life, f"one more WaitTask: {error.details()}")

    async def signal(self, life: Life, signal: str) -> None:
        """SignalTask."""
        life.meddled.add("signal")
        plugin = await self.plugin()
        request = pb.SignalTaskRequest(task_id=life.id, signal=signal)
        await self.ask(life, "SignalTask", plugin.driver.SignalTask(request))

    async def exec(self, life: Life) -> None:
        """A command that ends with 5: no other end can be true while the task runs, and 0 never."""
        plugin = await self.plugin()
        request = pb.ExecTaskRequest(task_id=life.id, command=["/bin/sh", "-c", "exit 5"], timeout=Duration(seconds=30))
        response = await self.answer(life, "ExecTask", plugin.driver.ExecTask(request))
        if isinstance(response, grpc.aio.AioRpcError):
            return
        code = response.result.exit_code
        if code == 0 or (code != 5 and life.told is None and not life.meddled):
            self.complain(life, f"ExecTask ended with {code}: {response.stdout!r}")

    async def inspect(self, life: Life) -> None:
        """InspectTask: it and WaitTask say the same."""
        plugin = await self.plugin()
        request = pb.InspectTaskRequest(task_id=life.id)
        before = list(life.results)
        response = await self.answer(life, "InspectTask", plugin.driver.InspectTask(request))
        if isinstance(response, grpc.aio.AioRpcError) or not before:
            return
        said = response.task.result
        if response.task.state != pb.EXITED or (said.exit_code, said.signal) != (
            before[-1].exit_code,
            before[-1].signal,
        ):
            self.complain(life, f"WaitTask said {before[-1]}, InspectTask {response.task}")

    async def recover(self, life: Life) -> None:
        """RecoverTask of a task that the plugin may know already: nothing happens."""
        if life.handle is None or life.state != "running":
            return
        plugin = await self.plugin()
        error = await self.ask(life, "RecoverTask", plugin.driver.RecoverTask(life.recovery))
        if error is not None and life.state == "running" and not life.meddled and not await ends_soon(plugin):
            self.complain(life, f"RecoverTask of a known task: {error.details()}")

    def report(self) -> str:
        """For people."""
        return "\n".join([*self.complaints, "", *self.trace])

    def complain(self, life: Life, text: str) -> None:
        self.note(f"COMPLAINT: {life.number}: {text}")
        self.complaints.append(f"life {life.number} ({life.state}; {', '.join(sorted(life.meddled))}): {text}")

    async def within(self, life: Life, what: str, work: Awaitable[None]) -> None:
        """Nothing hangs."""
        try:
            async with asyncio.timeout(LIMIT_S):
                await work
        except TimeoutError:
            self.complain(life, f"{what} took longer than {LIMIT_S:g} s")

    async def ask(self, life: Life, name: str, call: Awaitable[Any]) -> grpc.aio.AioRpcError | None:
        response = await self.answer(life, name, call)
        return response if isinstance(response, grpc.aio.AioRpcError) else None

    async def answer(self, life: Life, name: str, call: Awaitable[Any]) -> Any:
        """The response or the error; a call that does not come back is a complaint."""
        began_s = asyncio.get_running_loop().time()
        answer: Any
        try:
            async with asyncio.timeout(LIMIT_S):
                answer = await call
            said = "OK"
        except TimeoutError:
            self.complain(life, f"{name} hangs")
            raise
        except grpc.aio.AioRpcError as error:
            answer, said = error, f"{error.code().name} {error.details()}"
        self.note(f"{life.number}: {name}: {said} after {asyncio.get_running_loop().time() - began_s:.2f} s")
        return answer

    def note_result(self, life: Life, response: pb.WaitTaskResponse) -> None:
        life.results.append(Result.of(response))
        self.note(f"{life.number}: ended: {life.results[-1]}")

    def _see_that_it_is_gone(self, life: Life) -> None:
        left = self.house.places_of(life.pot)
        if life.log_held:
            left.append("a log FIFO held open")
        if left:
            self.complain(life, f"DestroyTask said OK and left: {', '.join(left)}")
