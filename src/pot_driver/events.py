"""Task events: the lines that `nomad alloc status` shows under "Recent Events".

Everyone who listens gets everything, and nobody can make a task wait: a queue has an end, and who reads
too slowly loses the oldest. Nomad keeps ten events of a task: repetitions are dropped, texts are short.

Not here: what is worth an event, logs.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator
from typing import Protocol

from pot_driver.clock import Clock
from pot_driver.escaped import escaped
from pot_driver.model import TaskEvent

QUEUE_LENGTH = 256  # per listener: more than a busy node emits while its agent is away for a moment
REPLAY_S = 60.0  # a relaunched plugin starts tasks before the agent opens TaskEvents again
REPLAY_LENGTH = 64
REMEMBERED_TASKS = 1024  # of which the last message is known
MESSAGE_LENGTH = 500


class Origin(Protocol):
    """Whose event it is; `TaskConfig` is one."""

    @property
    def id(self) -> str:
        """Nomad's task id."""
        ...

    @property
    def name(self) -> str:
        """The task's name in the job."""
        ...

    @property
    def alloc_id(self) -> str:
        """The allocation's id."""
        ...


class Events:
    """Fan-out of all tasks' events to any number of listeners."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._listeners: set[_Listener] = set()
        self._missed: deque[tuple[float, TaskEvent]] = deque(maxlen=REPLAY_LENGTH)
        self._last: OrderedDict[str, str] = OrderedDict()

    def emit(self, task: Origin, message: str, **annotations: str) -> None:
        """Tell all listeners. What the task said last is not said again."""
        message = _short(message)
        if self._last.get(task.id) == message:
            return
        self._last[task.id] = message
        self._last.move_to_end(task.id)
        if len(self._last) > REMEMBERED_TASKS:
            self._last.popitem(last=False)
        event = TaskEvent(
            task_id=task.id,
            alloc_id=task.alloc_id,
            task_name=task.name,
            timestamp_s=self._clock.now_s(),
            message=message,
            annotations=annotations,
        )
        if not self._listeners:
            self._keep(event)
        for listener in self._listeners:
            listener.put(event)

    async def subscribe(self) -> AsyncGenerator[TaskEvent, None]:
        """All events from now on, after those of the last minute which nobody has heard."""
        listener = _Listener()
        for since, event in self._missed:
            if self._clock.monotonic_s() - since <= REPLAY_S:
                listener.put(event)
        self._missed.clear()
        self._listeners.add(listener)
        try:
            while True:
                yield await listener.get()
        finally:
            self._listeners.discard(listener)
            if not self._listeners:
                for event in listener.queue:
                    self._keep(event)

    def _keep(self, event: TaskEvent) -> None:
        self._missed.append((self._clock.monotonic_s(), event))


class _Listener:
    def __init__(self) -> None:
        self.queue: deque[TaskEvent] = deque(maxlen=QUEUE_LENGTH)
        self._filled = asyncio.Event()

    def put(self, event: TaskEvent) -> None:
        self.queue.append(event)
        self._filled.set()

    async def get(self) -> TaskEvent:
        while not self.queue:
            self._filled.clear()
            await self._filled.wait()
        return self.queue.popleft()


def _short(message: str) -> str:
    line = escaped(" ".join(message.split()))
    return line if len(line) <= MESSAGE_LENGTH else line[: MESSAGE_LENGTH - 1] + "…"
