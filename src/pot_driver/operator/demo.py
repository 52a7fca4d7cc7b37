"""`pot-driver demo`: the whole life of a task on pot-sim, a step at a time, through what `pot-driver run` uses.

Everything lies in one directory of its own, which is swept before and removed after; a demo that was killed
leaves nothing that the next one would stumble over.

Not here: running jobs (see `run`), the simulator (see `installation`).
"""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from pot_driver import __version__
from pot_driver.errors import DriverError
from pot_driver.operator import installation, jobfile
from pot_driver.operator.allocation import Allocation
from pot_driver.operator.demohouse import House, free_port
from pot_driver.operator.interrupts import Interrupts
from pot_driver.operator.session import Session, TaskRun

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from pot_driver.operator.console import Console
    from pot_driver.operator.job import Task

IMAGE, TAG = "web", "1.0"
GREETING = "Hello from inside a pot"
BETWEEN_TRIES_S = 0.05
PATIENCE_S = 30.0  # for what should come at once


class Disappointed(DriverError):  # noqa: N818 - what happened
    """A step did not show what it promises."""


async def show(path: Path, console: Console) -> int:
    """Run the demo; the status to exit with. Whoever ends it has it tidied up, as by Ctrl-C."""
    installation.require_simulator()
    with Interrupts() as interrupts:
        console.on_lost = interrupts.interrupt
        async with House() as house:
            await _all(path, console, house)
    console.title("That was all of it, and nothing is left.")
    return 0


async def _all(path: Path, console: Console, house: House) -> None:
    console.title(f"pot-driver {__version__}: the life of {path.name}")
    with console.step("pot-sim", "making a simulated pot installation") as step:
        pot = installation.simulated(house.sim)
        step.result = "a simulated pot, made afresh"
    source = path.parent / "web-image"
    with console.step("image", f"making an image of {source}") as step:
        create = ("image", "create", IMAGE, TAG, "--from", str(source))
        await installation.pot_sim_while_listening(house.sim, *create)
        url = house.serve(house.sim / "images")
        step.result = f"{IMAGE}_{TAG} with a web server inside"
        step.more = [f"served at {url}"]
    job = jobfile.read(path, {"images": url, "port": str(free_port())})
    allocation = Allocation.place(job, job.groups[0], house.allocs)
    async with Session.open(pot, console, on_launch=house.remember) as session:
        allocation.create()
        await _Show(house, session, allocation, job.groups[0].tasks[0]).all()


@dataclass
class _Show:
    house: House
    session: Session
    allocation: Allocation
    task: Task
    said: bytes = b""
    wrote: asyncio.Event = field(default_factory=asyncio.Event)

    async def all(self) -> None:
        run = TaskRun(self.session, self.allocation, self.task, output=self._output)
        await self._start(run)
        who = await self._http(run)
        await self._log()
        await self._exec(run)
        await self._stats(run)
        await self._recover(run, who)
        await self._stop(run)
        await self._destroy(run)

    async def _start(self, run: TaskRun) -> None:
        console = self.session.console
        starting = self.session.group.create_task(_outcome(run.start()))
        with console.step("download", "the driver fetches the image itself, outside pot's lock") as step:
            arrived = self.session.group.create_task(self.session.saw("Preparing"))
            await asyncio.wait({starting, arrived}, return_when=asyncio.FIRST_COMPLETED)
            arrived.cancel()
            if starting.done():
                (await starting)()
            size = (self.house.sim / "images" / f"{IMAGE}_{TAG}.xz").stat().st_size
            step.result = f"{IMAGE}_{TAG}.xz, {size / 1024:.0f} KiB over HTTP"
            step.more = ["other tasks of this host go on starting meanwhile"]
        with console.step("start", "pot import, clone, start") as step:
            (await starting)()
            step.result = f"pot {run.pot_name}"
            step.more = [*run.places(), "Nomad's log pipes go straight to the app: no process of ours between"]

    async def _http(self, run: TaskRun) -> Mapping[str, object]:
        with self.session.console.step("http", "asking through the mapped port") as step:
            async with asyncio.timeout(PATIENCE_S):
                while (page := await self._page(run)) is None:  # noqa: ASYNC110 - the app's port is no event
                    await asyncio.sleep(BETWEEN_TRIES_S)
            if GREETING not in page:
                raise Disappointed(f"/ does not say {GREETING!r} but {page[:200]!r}")
            who = await self._who(run)
            if who["allocation"] != self.allocation.id or not who["configuration"]:
                raise Disappointed(f"not our app: {who}")
            step.result = f'"{GREETING}", says {who["hostname"]}'
            step.more = ["the page comes from a template that is mounted, its configuration was copied in"]
        return who

    async def _page(self, run: TaskRun) -> str | None:
        """The app's page, or None while it does not listen yet: StartTask returns when the app runs."""
        try:
            return await _get(run, "/")
        except ConnectionRefusedError:
            return None

    async def _log(self) -> None:
        with self.session.console.step("log", "reading what the app writes") as step:
            line = await self._line(b"GET / ")
            step.result = f"stdout: {line}"

    async def _exec(self, run: TaskRun) -> None:
        script = 'echo "task $NOMAD_TASK_NAME sees $(ls -d /alloc /local /secrets | xargs)"'
        with self.session.console.step("exec", "running a command inside") as step:
            done = await self.session.agent.exec_task(run.config.id, ("/bin/sh", "-c", script), int(PATIENCE_S))
            words = done.stdout.decode(errors="replace").strip()
            if done.result.exit_code or words != f"task {run.task.name} sees /alloc /local /secrets":
                raise Disappointed(f"exit code {done.result.exit_code}: {words}")
            step.result = words

    async def _stats(self, run: TaskRun) -> None:
        with self.session.console.step("stats", "asking for a sample") as step:
            async with asyncio.timeout(PATIENCE_S):
                usage = (await self.session.agent.first_stats(run.config.id)).agg_resource_usage
            if not usage.memory.rss:
                raise Disappointed("no memory in use")
            step.result = f"{usage.memory.rss / 2**20:.1f} MiB in memory, {usage.cpu.percent:.1f} % CPU"

    async def _recover(self, run: TaskRun, before: Mapping[str, object]) -> None:
        agent = self.session.agent
        with self.session.console.step("recover", "kill -9 of the plugin") as step:
            old = agent.plugin.pid
            await agent.plugin.crash()
            async with asyncio.timeout(PATIENCE_S):
                await self.session.recovered.wait()
            after = await self._who(run)
            if (after["pid"], after["started"]) != (before["pid"], before["started"]):
                raise Disappointed(f"the app was touched: before {before}, after {after}")
            step.result = f"plugin {old} killed, {agent.plugin.pid} took over; app untouched, pid {after['pid']}"
            step.more = ["all that matters lies in Nomad's handle and the task's own state directory"]

    async def _stop(self, run: TaskRun) -> None:
        with self.session.console.step("stop", "SIGTERM, and time to end") as step:
            await run.stop()
            async with asyncio.timeout(PATIENCE_S):
                answer = await run.waiting
            if answer.err:
                raise Disappointed(answer.err)
            step.result = f"exit code {answer.result.exit_code}"

    async def _destroy(self, run: TaskRun) -> None:
        with self.session.console.step("destroy", "undoing all that the task made") as step:
            await run.clean_up()
            self.allocation.remove()
            left = self.house.leftovers(run.pot_name)
            if left:
                raise Disappointed(f"left behind: {', '.join(left)}")
            step.result = "nothing left: no pot, no jail, no process, no mount, no file"

    def _output(self, task: str, stream: str, data: bytes) -> None:
        self.said += data
        self.wrote.set()
        self.session.console.output(task, stream, data)

    async def _line(self, word: bytes) -> str:
        """The app's line with this word, as soon as it has written it."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                self.wrote.clear()
                lines = self.said.split(b"\n")[:-1]
                if found := next((line for line in lines if word in line), None):
                    return found.decode(errors="replace")
                await self.wrote.wait()

    async def _who(self, run: TaskRun) -> Mapping[str, object]:
        who: Mapping[str, object] = json.loads(await _get(run, "/whoami"))
        return who


async def _outcome(work: Awaitable[None]) -> Callable[[], None]:
    """What came of it, to be raised where it is asked for and not in the task group."""
    try:
        await work
    except DriverError as error:
        return partial(_raise, error)
    return lambda: None


def _raise(error: Exception) -> None:
    raise error


async def _get(run: TaskRun, path: str) -> str:
    port = run.config.resources.ports[0]
    url = f"http://{port.host_ip}:{port.value}{path}"

    def fetch() -> str:
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
            return str(answer.read().decode())

    try:
        return await asyncio.to_thread(fetch)
    except urllib.error.URLError as error:
        if isinstance(error.reason, ConnectionRefusedError):
            raise error.reason from None
        raise Disappointed(f"{url}: {error.reason}") from error
