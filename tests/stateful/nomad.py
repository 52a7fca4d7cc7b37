"""A Nomad client in bad times.

Each StartTask is a `Life`, followed as Nomad's task runner follows a task: StartTask, WaitTask, over plugin crashes
RecoverTask and WaitTask again.

Not here: which calls are made when (see the tests), agents and plugins that die (see `client`).
"""

from __future__ import annotations

import asyncio
import os
import signal as signals
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc

from pot_driver._proto.plugins.drivers.proto import driver_pb2 as pb
from pot_driver.operator.allocation import Allocation
from pot_driver.operator.job import Group, Job, Task

from .calls import LIMIT_S, OVER, Calls
from .client import ends_soon
from .house import House, until
from .life import OBEDIENT, Life, born

STARTS = 2  # Nomad sends a StartTask that the plugin's death broke once more
PLUGINS = 10  # that may die of one RecoverTask: a limit for the tests' sake
BEGUN = ("running", "failed", *OVER)


class Nomad(Calls):
    """A client whose allocations lie beside the host's root."""

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

    async def kill_keeper(self, life: Life, signum: signals.Signals) -> None:
        """KILL: only its record is lost, pot still knows the app's code. TERM and HUP: nothing happens."""
        self.note(f"{life.number}: {signum.name} to the keeper")
        if life.state == "starting" and signum is signals.SIGKILL:
            life.meddled.add("keeper killed")
        self.house.kill(self.house.keepers(life.pot), signum)

    async def kill_pot_commands(self, life: Life, which: slice) -> None:
        """Some of the processes of whatever pot is asked for this task just now: there was no memory."""
        pids = self.house.commands(life.pot)[which]
        self.note(f"{life.number}: kill -9 of {len(pids)} processes of pot commands")
        life.meddled.add("pot command killed")
        self.house.kill(pids)

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

    # a task runner

    async def _live(self, life: Life) -> None:
        request = pb.StartTaskRequest(task=life.config)
        for _ in range(STARTS):
            plugin = await self.plugin()
            response = await self.answer(life, "StartTask", plugin.driver.StartTask(request))
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
                self.note_result(life, response)
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
            error = await self.ask(life, "RecoverTask", plugin.driver.RecoverTask(life.recovery))
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

    def _judge(self, life: Life) -> None:
        for lie in life.lies():
            self.complain(life, lie)

    def _see_that_it_is_alone(self, life: Life) -> None:
        for other in self.lives:
            same_task = other is not life and other.allocation is life.allocation
            if same_task and self.house.jail_lives(life.pot) and self.house.jail_lives(other.pot):
                self.complain(life, f"it runs beside its earlier run {other.number}")


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
