"""`pot-driver run`: the pot tasks of one job, without Nomad, over the same plugin and the same protocol.

Not here: what the plugin's host does (see `agent`), how things look (see `console`).
"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from pot_driver import __version__
from pot_driver.errors import ConfigError, DriverError
from pot_driver.operator import agentfile, installation, leftovers
from pot_driver.operator.allocation import Allocation
from pot_driver.operator.interrupts import Interrupts
from pot_driver.operator.scratch import Scratch
from pot_driver.operator.session import Session, TaskRun

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pot_driver.operator.console import Console
    from pot_driver.operator.job import Job
    from pot_driver.operator.leftovers import Leftovers

INTERRUPTED = 130  # the shell's status for a Ctrl-C, here before any task was started


async def run(job: Job, config: Path | None, console: Console, *, clean: bool = False) -> int:
    """Run the job to its end; the status to exit with. `clean`: first remove what killed runs have left."""
    if job.needs_nomad:
        raise ConfigError([f"{what} needs Nomad: it cannot be run without" for what in job.needs_nomad])
    with Interrupts() as interrupts:
        console.on_lost = interrupts.interrupt
        pot = installation.find(agentfile.plugin_config(config))
        console.title(f"pot-driver {__version__} runs {job.id} on {pot.label}")
        for left in job.left_to_nomad:
            console.note(f"left to Nomad: {left}")
        found = leftovers.find(pot.state_dir)
        wanted = bool(found) and (clean or _offered(found, console))
        scratch = Scratch.make(leftovers.PREFIX)
        try:
            if wanted:
                await found.end_plugins()
            async with Session.open(pot, console, on_launch=scratch.remember) as session:
                if wanted:
                    await found.remove(session)
                return await _run(job, session, scratch.path, interrupts)
        finally:
            scratch.remove()
            if not wanted:
                found.release()


async def _run(job: Job, session: Session, root: Path, interrupts: Interrupts) -> int:
    allocations = [Allocation.place(job, group, root) for group in job.groups]
    runs = _runs(session, allocations)
    try:
        for allocation in allocations:
            allocation.create()
        supervisor = _Supervisor(session, runs)
        with interrupts.acting(supervisor.interrupted):
            return await supervisor.run()
    finally:
        for allocation in allocations:
            allocation.remove()


def _offered(found: Leftovers, console: Console) -> bool:
    """Whether the person wants them removed; where there is none to ask, how it is done is told."""
    console.problem("A run that was killed has left something:")
    for text in [*(f"pot {task.pot_name}" for task in found.tasks), *(str(run.path) for run in found.runs)]:
        console.problem(f"  {text}")
    if not sys.stdin.isatty() or console.plain:
        console.problem("pot-driver run --clean JOB removes it.")
        return False
    return input("Remove it? [Y/n] ").strip().lower() in {"", "y", "yes"}


class _Supervisor:
    """Starts the tasks, listens to Ctrl-C, and sees all of them to their end."""

    def __init__(self, session: Session, runs: list[TaskRun]) -> None:
        self._session = session
        self._runs = runs
        self._starting: TaskRun | None = None
        self._started: list[TaskRun] = []
        self._interrupts = 0

    async def run(self) -> int:
        try:
            for run in self._runs:
                await self._start(run)
            statuses = [await self._finish(run) for run in list(self._started)]
        except BaseException:
            await self._abandon()
            raise
        ended = list(zip(self._started, statuses, strict=True))
        deciding = [status for run, status in ended if run.task.leader] or statuses
        return next((status for status in deciding if status), 0 if self._started else INTERRUPTED)

    async def _start(self, run: TaskRun) -> None:
        if self._interrupts:
            return
        with self._session.console.step("start", f"starting task {run.task.name}") as step:
            self._starting = run
            await run.start()
            self._starting = None
            step.result = f"task {run.task.name} runs in pot {run.pot_name}"
        for place in run.places():
            self._session.console.note(place)
        self._started.append(run)
        self._stop_interrupted()
        if run.task.leader:
            run.waiting.add_done_callback(lambda _: self._stop_followers())
        self._stop_followers()

    async def _finish(self, run: TaskRun) -> int:
        answer = await run.waiting
        await run.clean_up()
        result = answer.result
        status = result.exit_code or (1 if answer.err or result.signal else 0)
        words = [f"task {run.task.name} has ended with exit code {result.exit_code}"]
        words += [f"signal {result.signal}"] if result.signal else []
        words += ["out of memory"] if result.oom_killed else []
        words += [answer.err] if answer.err else []
        self._session.console.title(", ".join(words))
        return status

    def interrupted(self) -> None:
        """First as the job says, then at once."""
        self._interrupts += 1
        again = self._interrupts > 1
        self._session.console.note("stopping at once" if again else "stopping; Ctrl-C again: at once")
        if again and self._starting:
            self._starting.allocation.remove()  # the driver gives up a start whose directories are gone
        self._stop_interrupted()

    def _stop_interrupted(self) -> None:
        if self._interrupts:
            self._stop_all(at_once=self._interrupts > 1)

    def _stop_followers(self) -> None:
        if any(run.task.leader and run.waiting.done() for run in self._started):
            self._stop_all()

    def _stop_all(self, *, at_once: bool = False) -> None:
        for run in self._started:
            if not run.waiting.done():
                self._session.group.create_task(self._stop(run, at_once=at_once))

    async def _stop(self, run: TaskRun, *, at_once: bool) -> None:
        try:
            await (run.kill() if at_once else run.stop())
        except DriverError as error:
            self._session.console.problem(f"task {run.task.name}: not stopped: {error}")

    async def _abandon(self) -> None:
        """Something failed: nothing that was started stays."""
        for run in self._started:
            run.waiting.cancel()
            with suppress(DriverError):
                await run.clean_up()


def _runs(session: Session, allocations: Iterable[Allocation]) -> list[TaskRun]:
    """All tasks, configured: every problem in any of them before anything is started."""
    runs, problems = [], []
    for allocation in allocations:
        for task in allocation.group.tasks:
            try:
                runs.append(TaskRun(session, allocation, task))
            except ConfigError as error:
                problems += [f'task "{task.name}": {problem}' for problem in error.problems]
    if problems:
        raise ConfigError(problems)
    return runs
