"""The agent and its plugin: how they come, die and come again.

Not here: tasks (see `nomad`).
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from pot_driver._proto.plugins.drivers.proto import driver_pb2 as pb
from pot_driver.operator.agent import Agent
from pot_driver.operator.hclog import LogLine
from pot_driver.operator.host import Plugin

from .house import House

PLUGIN = (str(Path(sys.executable).parent / "nomad-pot-driver"),)
PLUGIN_GONE_S = 3.0  # for so long go-plugin waits to see a plugin's end after a lost connection


class Background:
    """Work that goes on while other things happen, until it is cut off."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self.errors: list[BaseException] = []

    def create_task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def cancel(self) -> None:
        while tasks := list(self._tasks):
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def finished(self) -> None:
        while self._tasks:
            await asyncio.wait(list(self._tasks))

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self.errors.append(error)


class Client:
    """One agent after the other on one host, each with a plugin."""

    agent: Agent

    def __init__(self, house: House, **plugin_config: object) -> None:
        self.house = house
        self.plugin_config = {**house.plugin_config, **plugin_config}
        self.trace: list[str] = []  # what was done and said, for people
        self.accidents: set[str] = set()  # after which something may be left for the reconciler
        self.calls = Background()  # of the agent that lives now
        self._streams = Background()
        self._left: list[Plugin] = []  # by agents that have died, and the connections of dead ones
        self._launching = asyncio.Lock()

    async def launch(self) -> None:
        """An agent comes up with a plugin of its own."""
        self.agent = Agent(PLUGIN, self.plugin_config, group=self._streams, watcher=self)  # type: ignore[arg-type]
        await self._launch()

    async def plugin(self) -> Plugin:
        """The one that is there, or a new one, as whoever asks first finds out."""
        async with self._launching:
            if self.agent.plugin.exited:
                self._left.append(self.agent.plugin)
                await self._launch()
            return self.agent.plugin

    async def crash_plugin(self) -> None:
        self.note("kill -9 of the plugin")
        self.accidents.add("plugin killed")
        async with self._launching:
            await _end(self.agent.plugin)

    async def crash_agent(self, *, reattach: bool) -> None:
        """A new one finds the plugin again, or leaves it to itself and has another."""
        self.note(f"kill -9 of the agent; the next one {'reattaches' if reattach else 'has a second plugin'}")
        self.accidents.add("agent killed")
        old = self.agent.plugin
        await self._cut_off()
        _break_pipes(old)
        await old.disconnect()
        self._left.append(old)
        if reattach and not old.exited:
            self.agent = Agent(PLUGIN, self.plugin_config, group=self._streams, watcher=self)  # type: ignore[arg-type]
            self.agent.plugin = await Plugin.reattach(old.reattach_config)
            self.agent.plugin._pipes = old._pipes  # a parent knows its child's end; a pid may be another's by now
            await self.agent.configure()
        else:
            await self.launch()
        self.restore()

    async def restart_agent(self) -> None:
        """It ends gracefully, and its plugin with it, and comes again."""
        self.note("graceful restart of the agent")
        self.accidents.add("agent restarted")
        await self._cut_off()
        await self.agent.close()
        await self.launch()
        self.restore()

    async def reboot(self, state_dir: str) -> None:
        """Everything dies at once."""
        self.note(f"reboot, state directory {state_dir}")
        self.accidents.add("reboot")
        await self._cut_off()
        await self._end_plugins()
        await self.house.reboot(state_dir)
        await self.launch()
        self.restore()

    async def relaunch(self, **plugin_config: object) -> None:
        """With another configuration, and all tasks forgotten."""
        await self._cut_off()
        await self._end_plugins()
        self.plugin_config |= plugin_config
        await self.launch()

    async def close(self) -> None:
        await self._cut_off()
        await self._end_plugins()

    def restore(self) -> None:
        """What a new agent does with what its database says."""
        raise NotImplementedError

    async def _launch(self) -> None:
        await self.agent.launch()
        await self.agent.configure()

    async def _cut_off(self) -> None:
        await self.calls.cancel()
        await self._streams.cancel()

    async def _end_plugins(self) -> None:
        for plugin in (*self._left, self.agent.plugin):
            await _end(plugin)
            await plugin.disconnect()
        self._left.clear()

    def note(self, text: str) -> None:
        self.trace.append(f"{time.monotonic():.2f} {text}")

    # what an agent's watcher hears

    def plugin_log(self, line: LogLine) -> None:
        fields = " ".join(f"{key}={value}" for key, value in line.fields.items())
        self.note(f"    {line.level} {line.message} {fields}")

    def task_event(self, event: pb.DriverTaskEvent) -> None:
        self.note(f"    event of {event.task_id}: {event.message}")

    def plugin_launched(self, plugin: Plugin) -> None:
        self.note(f"plugin {plugin.pid} is up")

    def plugin_lost(self) -> None:
        """We see to that ourselves."""

    def task_recovered(self, task_id: str) -> None:
        """As well."""


async def ends_soon(plugin: Plugin) -> bool:
    """What go-plugin does to tell a plugin's death from a refusal."""
    try:
        async with asyncio.timeout(PLUGIN_GONE_S):
            await plugin.wait_exited()
    except TimeoutError:
        return False
    return True


async def _end(plugin: Plugin) -> None:
    if not plugin.exited:
        await plugin.crash()


def _break_pipes(plugin: Plugin) -> None:
    """Nobody reads any more what it says."""
    if plugin._pipes is not None:
        for fd in (1, 2):
            if (pipe := plugin._pipes._transport.get_pipe_transport(fd)) is not None:
                pipe.close()
