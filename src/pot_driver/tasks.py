"""A task's life as a state machine, and the table of all tasks.

Rule 1: every move is in `MOVES`; what is not there is refused.
Rule 2: a task ends once; state, result and time become visible together.
Rule 3: waiting never disturbs: any number of callers, early or late, each free to give up.

Not here: pot, processes, clocks. The table is told; it does not ask.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from enum import Enum

from pot_driver.errors import TaskExists, TaskNotFound, WrongState
from pot_driver.model import ExitResult, TaskRecord, TaskState


class Phase(Enum):
    """Where a task stands."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    EXITED = "exited"
    GONE = "gone"


class Event(Enum):
    """What can happen to it."""

    STARTED = "started"  # the app's script runs, or a running task was recovered
    STOP_ASKED = "stop asked"
    ENDED = "ended"
    DESTROYED = "destroyed"  # or its start failed


MOVES: dict[tuple[Phase, Event], Phase] = {
    (Phase.STARTING, Event.STARTED): Phase.RUNNING,
    (Phase.STARTING, Event.DESTROYED): Phase.GONE,
    (Phase.RUNNING, Event.STOP_ASKED): Phase.STOPPING,
    (Phase.RUNNING, Event.ENDED): Phase.EXITED,
    (Phase.STOPPING, Event.STOP_ASKED): Phase.STOPPING,
    (Phase.STOPPING, Event.ENDED): Phase.EXITED,
    (Phase.EXITED, Event.DESTROYED): Phase.GONE,
}


class Task:
    """One task, from its first step to its destruction."""

    def __init__(self, record: TaskRecord) -> None:
        self.record = record
        self.phase = Phase.STARTING
        self.result: ExitResult | None = None
        self.completed_at_s = 0.0
        self.waiters = 0  # callers of WaitTask at this moment
        self.unwanted = False  # its start, if that is still going on
        self.stop_wanted = False  # whether its end is ours
        self.changing = asyncio.Lock()  # start, stop and destroy, one at a time
        self._over = asyncio.Event()

    @property
    def id(self) -> str:
        """Nomad's id."""
        return self.record.id

    @property
    def name(self) -> str:
        """The name in the job."""
        return self.record.name

    @property
    def alloc_id(self) -> str:
        """The allocation's id."""
        return self.record.alloc_id

    @property
    def pot_name(self) -> str:
        """The pot's name."""
        return self.record.pot_name

    @property
    def state(self) -> TaskState:
        """As Nomad counts."""
        return TaskState.EXITED if self.result is not None else TaskState.RUNNING

    @property
    def alive(self) -> bool:
        """Whether the app may run."""
        return self.phase in (Phase.RUNNING, Phase.STOPPING)

    def abandon(self) -> None:
        """Nobody wants it to come up any more; it is the start's business to look."""
        self.unwanted = True

    def started(self, record: TaskRecord) -> None:
        """The app's script runs."""
        self._move(Event.STARTED)
        self.record = record

    def stop_asked(self) -> None:
        """Its end is wanted."""
        self._move(Event.STOP_ASKED)
        self.stop_wanted = True

    def ended(self, result: ExitResult, at_s: float) -> None:
        """It is over, with this result."""
        self._move(Event.ENDED)
        self.result, self.completed_at_s = result, at_s
        self._over.set()

    def destroyed(self) -> None:
        """Nothing is left of it."""
        self._move(Event.DESTROYED)
        self._over.set()

    async def over(self) -> ExitResult:
        """Wait for the end; TaskNotFound if the task went without having run."""
        self.waiters += 1
        try:
            await self._over.wait()
        finally:
            self.waiters -= 1
        if self.result is None:
            raise TaskNotFound(self.id)
        return self.result

    def _move(self, event: Event) -> None:
        target = MOVES.get((self.phase, event))
        if target is None:
            raise WrongState(f"task {self.id} is {self.phase.value}: it cannot be {event.value}")
        self.phase = target


class TaskTable:
    """All tasks of this plugin process by Nomad's id."""

    def __init__(self) -> None:
        self._tasks: dict[str, Task] = {}

    def add(self, task: Task) -> None:
        """Begin a task; TaskExists if its id is taken."""
        if task.id in self._tasks:
            raise TaskExists(task.id)
        self._tasks[task.id] = task

    def find(self, task_id: str) -> Task | None:
        """The task, or None."""
        return self._tasks.get(task_id)

    def get(self, task_id: str) -> Task:
        """The task; TaskNotFound."""
        task = self._tasks.get(task_id)
        if task is None:
            raise TaskNotFound(task_id)
        return task

    def remove(self, task: Task) -> None:
        """Forget a task that is gone."""
        if self._tasks.get(task.id) is task:
            del self._tasks[task.id]

    def __iter__(self) -> Iterator[Task]:
        """All of them, the oldest first."""
        return iter(list(self._tasks.values()))
