"""A Nomad client in bad times: what it asks of its plugin, and what it holds against it.

Each StartTask is a `Life`, followed as Nomad's task runner follows a task: StartTask, WaitTask, over plugin crashes
RecoverTask and WaitTask again. A promise that is broken is a complaint.

Not here: which calls are made when (see the tests), agents and plugins that die (see `client`).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration

from pot_driver._proto.plugins.drivers.proto import driver_pb2 as pb
from pot_driver.operator.allocation import Allocation
from pot_driver.operator.job import Group, Job, Task

from .client import Client, ends_soon
from .house import House, until
from .life import OBEDIENT, Life, Result, born

LIMIT_S = 100.0  # of any call: generous, but it is one
STARTS = 2  # Nomad sends a StartTask that the plugin's death broke once more
STOPS = 5
PLUGINS = 10  # that may die of one RecoverTask: a limit for the tests' sake
OVER = ("over", "lost", "gone")
BEGUN = ("running", "failed", *OVER)


class Nomad(Client):
    """A client whose allocations lie beside the host's root."""

    def __init__(self, house: House, **plugin_config: object) -> None:
        super().__init__(house, **plugin_config)
        self.lives: list[Life] = []
        self.complaints: list[str] = []

    # its calls

    def start(self, beginning: str, *, after: Life | None = None) -> Life:
        """Begin a life, in an allocation of its own or in that of one which is over."""
        number = len(self.lives)
        task = Task(
            name="t",
            config={
                "image": f"file://{self.house.path}/images",
                "pot": "shell",
                "tag": "1.0",
                "network_mode": "host",
                "command": "/bin/sh",
                "args": [f"/local/app-{number}"],
            },
            env={"LIFE": str(number)},
        )
        allocation = after.allocation if after else self._allocation(task)
        life = born(number, beginning, allocation, task, allocation.task_config(task, self.agent.task_schema))
        self.lives.append(life)
        self.note(f"start of {number}: {beginning}, pot {life.pot}")
        self.calls.create_task(self._live(life))
        return life

    async def stop(self, life: Life, timeout_s: float, signal: str) -> None:
        """StopTask, as often as Nomad asks; when it says OK, the jail is gone and WaitTask answers."""
        life.meddled.add("stop")
        timeout = Duration()
        timeout.FromNanoseconds(int(timeout_s * 1e9))
        request = pb.StopTaskRequest(task_id=life.id, timeout=timeout, signal=signal)
        for _ in range(STOPS):
            plugin = await self.plugin()
            before = life.state
            error = await self._ask(life, "StopTask", plugin.driver.StopTask(request))
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
        alive = life.state in ("starting", "restoring", "running")
        if alive and force:
            life.meddled.add("destroyed by force")
        plugin = await self.plugin()
        request = pb.DestroyTaskRequest(task_id=life.id, force=force)
        error = await self._ask(life, "DestroyTask", plugin.driver.DestroyTask(request))
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
            self._note_result(life, await plugin.driver.WaitTask(pb.WaitTaskRequest(task_id=life.id)))
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND and not await ends_soon(plugin):
                self.complain(life, f"one more WaitTask: {error.details()}")

    async def signal(self, life: Life, signal: str) -> None:
        """SignalTask."""
        life.meddled.add("signal")
        plugin = await self.plugin()
        request = pb.SignalTaskRequest(task_id=life.id, signal=signal)
        await self._ask(life, "SignalTask", plugin.driver.SignalTask(request))

    async def exec(self, life: Life) -> None:
        """A command that ends with 5: no other end can be true while the task runs, and 0 never."""
        plugin = await self.plugin()
        request = pb.ExecTaskRequest(task_id=life.id, command=["/bin/sh", "-c", "exit 5"], timeout=Duration(seconds=30))
        response = await self._answer(life, "ExecTask", plugin.driver.ExecTask(request))
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
        response = await self._answer(life, "InspectTask", plugin.driver.InspectTask(request))
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
        error = await self._ask(life, "RecoverTask", plugin.driver.RecoverTask(life.recovery))
        if error is not None and life.state == "running" and not life.meddled and not await ends_soon(plugin):
            self.complain(life, f"RecoverTask of a known task: {error.details()}")

    def is_no_more(self, life: Life) -> bool:
        """Whether, as far as Nomad knows, nothing of its task runs, so that it may be started again."""
        same_task = [other for other in self.lives if other.allocation is life.allocation]
        return all(other.state in {"failed", "forgotten", "gone"} for other in same_task)

    # what happens to its tasks

    async def reboot(self, state_dir: str) -> None:
        """No task survives it."""
        for life in self.lives:
            life.meddled.add("reboot")
        await super().reboot(state_dir)

    async def kill_keeper(self, life: Life) -> None:
        """Only its record is lost: pot still knows the app's code."""
        self.note(f"{life.number}: kill -9 of the keeper")
        if life.state == "starting":
            life.meddled.add("keeper killed")
        self.house.kill(self.house.keepers(life.pot))

    async def kill_pot_start(self, life: Life, *, keeper_too: bool) -> None:
        """The app runs on, and nobody will know its code."""
        self.note(f"{life.number}: kill -9 of pot start{' and its keeper' if keeper_too else ''}")
        life.meddled.add("pot start killed")
        self.house.kill([*(self.house.keepers(life.pot) if keeper_too else ()), *self.house.starts(life.pot)])

    async def administer(self, verb: str, life: Life, *options: str) -> None:
        """A pot command by hand."""
        life.meddled.add(f"pot {verb}")
        self.note(f"{life.number}: pot {verb} {' '.join(options)}")
        status = await self.house.pot(verb, "-p", life.pot, *options)
        self.note(f"{life.number}: pot {verb} ended with {status}")

    def restore(self) -> None:
        """Take up what the database knows: a task whose start was never answered is not in it."""
        for life in self.lives:
            if life.state in ("restoring", "running"):
                self.calls.create_task(self._take_up(life))
            elif life.state == "starting":
                life.meddled.add("agent killed during StartTask")
                life.becomes("forgotten")

    # how it ends

    async def leave(self) -> None:
        """Stop and destroy all that it knows, and see what is left."""
        self.note("the end")
        for life in self.lives:
            if life.state in ("starting", "restoring"):
                await self.within(life, "StartTask or RecoverTask", life.until(*BEGUN))
            if life.state == "running":
                await self.within(life, "StopTask", self.stop(life, 0, ""))
            if life.state not in ("failed", "forgotten", "gone"):
                await self.within(life, "DestroyTask", self.destroy(life))
        await self.calls.finished()
        self.complaints += [f"in the background: {error!r}" for error in self.calls.errors]
        for life in self.lives:
            self._judge(life)
        left = self.house.leftovers()
        if left and not self.accidents:
            self.complaints.append(f"left behind, and no accident to excuse it: {left}")
        elif left and not self.complaints:
            self.note(f"left for the reconciler: {left}")
            await self._reconcile()

    async def _reconcile(self) -> None:
        """With a short grace: what nobody owns goes, what somebody owns stays."""
        await self.relaunch(reconciler={"period": "1s", "creation_grace": "2s"})
        last = self.start(OBEDIENT)  # from its tasks the plugin learns where this client's allocations lie
        try:
            async with asyncio.timeout(LIMIT_S):
                await last.until(*BEGUN)
                await until(lambda: not self.house.places_but_of(last.pot))
        except TimeoutError:
            self.complaints.append(f"never removed: {self.house.places_but_of(last.pot)}")
        last.tell("exit", "3", 3)
        await self.within(last, "WaitTask", last.until(*OVER))
        await self.destroy(last)
        self._judge(last)
        if left := self.house.leftovers():
            self.complaints.append(f"left at the very end: {left}")

    async def close(self) -> None:
        await super().close()
        for life in self.lives:
            os.close(life.gate)

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

    # a task runner

    async def _live(self, life: Life) -> None:
        request = pb.StartTaskRequest(task=life.config)
        for _ in range(STARTS):
            plugin = await self.plugin()
            response = await self._answer(life, "StartTask", plugin.driver.StartTask(request))
            if not isinstance(response, grpc.aio.AioRpcError):
                life.handle = response.handle
                life.becomes("running")
                self._see_that_it_is_alone(life)
                await self._follow(life)
                return
            if not await ends_soon(plugin):
                life.becomes("failed", response.details() or "")
                return
        life.meddled.add("plugin killed twice")
        life.becomes("failed", "the plugin died twice")

    async def _follow(self, life: Life) -> None:
        while True:
            plugin = await self.plugin()
            try:
                response = await plugin.driver.WaitTask(pb.WaitTaskRequest(task_id=life.id))
            except grpc.aio.AioRpcError as error:
                if not await ends_soon(plugin):
                    if life.state == "running" and "destroyed by force" not in life.meddled:
                        self.complain(life, f"WaitTask: {error.code().name} {error.details()}")
                    life.becomes("gone")
                    return
                if life.state != "running" or not await self._recover(life):
                    return
            else:
                self._note_result(life, response)
                if life.state == "running":
                    life.becomes("over")
                return

    async def _take_up(self, life: Life) -> None:
        if await self._recover(life):
            await self._follow(life)

    async def _recover(self, life: Life) -> bool:
        """Nomad gives a task up that cannot be recovered: it destroys it and starts it afresh."""
        life.becomes("restoring")
        for _ in range(PLUGINS):
            plugin = await self.plugin()
            error = await self._ask(life, "RecoverTask", plugin.driver.RecoverTask(life.recovery))
            if error is None:
                life.becomes("running")
                return True
            if not await ends_soon(plugin):
                break
        else:
            raise AssertionError(f"{PLUGINS} plugins died")
        if self.house.jail_lives(life.pot):
            self.complain(life, f"RecoverTask gave up a living jail: {error.details()}")
        if not life.meddled:
            self.complain(life, f"RecoverTask: {error.details()}")
        life.becomes("lost", error.details() or "")
        await self.destroy(life)
        return False

    # small things

    def _allocation(self, task: Task) -> Allocation:
        group = Group(name="g", tasks=(task,))
        allocation = Allocation.place(Job(id="job", groups=(group,)), group, self.house.allocs)
        allocation.create()
        return allocation

    async def _ask(self, life: Life, name: str, call: Awaitable[Any]) -> grpc.aio.AioRpcError | None:
        response = await self._answer(life, name, call)
        return response if isinstance(response, grpc.aio.AioRpcError) else None

    async def _answer(self, life: Life, name: str, call: Awaitable[Any]) -> Any:
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

    def _note_result(self, life: Life, response: pb.WaitTaskResponse) -> None:
        life.results.append(Result.of(response))
        self.note(f"{life.number}: ended: {life.results[-1]}")

    def _judge(self, life: Life) -> None:
        for lie in life.lies():
            self.complain(life, lie)

    def _see_that_it_is_alone(self, life: Life) -> None:
        for other in self.lives:
            same_task = other is not life and other.allocation is life.allocation
            if same_task and self.house.jail_lives(life.pot) and self.house.jail_lives(other.pot):
                self.complain(life, f"it runs beside its earlier run {other.number}")

    def _see_that_it_is_gone(self, life: Life) -> None:
        left = self.house.places_of(life.pot)
        if life.log_held:
            left.append("a log FIFO held open")
        if left:
            self.complain(life, f"DestroyTask said OK and left: {', '.join(left)}")


@asynccontextmanager
async def a_nomad(house: House, **plugin_config: object) -> AsyncIterator[Nomad]:
    """A client that is up; at the end of the block it leaves and has nothing to complain of."""
    nomad = Nomad(house, **plugin_config)
    await nomad.launch()
    try:
        yield nomad
        await nomad.leave()
    finally:
        await nomad.close()
    assert not nomad.complaints, nomad.report()
