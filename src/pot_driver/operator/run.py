"""`pot-driver run`: the pot tasks of one job, without Nomad, over the same plugin and the same protocol.

Not here: what the plugin's host does (see `agent`), how things look (see `console`).
"""

from __future__ import annotations

import asyncio
import signal
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pot_driver import __version__
from pot_driver.errors import ConfigError, DriverError
from pot_driver.operator import agentfile, installation, jobfile
from pot_driver.operator.allocation import Allocation
from pot_driver.operator.session import Session, TaskRun

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pot_driver.operator.console import Console


async def run(path: Path, variables: Mapping[str, str], config: Path | None, console: Console) -> int:
    """Run the job to its end; the status to exit with."""
    job = jobfile.read(path, variables)
    if job.needs_nomad:
        raise ConfigError([f"{what} needs Nomad: it cannot be run without" for what in job.needs_nomad])
    pot = installation.find(agentfile.plugin_config(config))
    console.title(f"pot-driver {__version__} runs {job.id} on {pot.label}")
    for left in job.left_to_nomad:
        console.note(f"left to Nomad: {left}")
    with _scratch() as root:
        allocations = [Allocation.place(job, group, root) for group in job.groups]
        async with Session.open(pot, console) as session:
            runs = _runs(session, allocations)
            for allocation in allocations:
                allocation.create()
            try:
                return await _Supervisor(session, runs).run()
            finally:
                for allocation in allocations:
                    allocation.remove()


class _Supervisor:
    """Starts the tasks, listens to Ctrl-C, and sees all of them to their end."""

    def __init__(self, session: Session, runs: list[TaskRun]) -> None:
        self._session = session
        self._runs = runs
        self._starting: TaskRun | None = None
        self._started: list[TaskRun] = []
        self._interrupts = 0

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._interrupted)
        try:
            for run in self._runs:
                await self._start(run)
            statuses = [await self._finish(run) for run in list(self._started)]
        except BaseException:
            await self._abandon()
            raise
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)
        ended = list(zip(self._started, statuses, strict=True))
        deciding = [status for run, status in ended if run.task.leader] or statuses
        return next((status for status in deciding if status), 0)

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

    def _interrupted(self) -> None:
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


class _scratch:  # noqa: N801 - used as a function
    """A directory that is gone afterwards, unless something is still mounted in it."""

    def __enter__(self) -> Path:
        self._path = Path(tempfile.mkdtemp(prefix="pot-driver-run."))
        return self._path

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._path.rmdir()
