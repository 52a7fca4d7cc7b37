"""Work that is done to its end, also when its caller leaves.

An agent that dies breaks all its calls at once. A stop that is cut in the middle leaves pot in a state in which it
refuses to stop, and a start that is cut leaves half a pot; so the work goes on, and only the waiting ends.

Not here: what the work is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import structlog

from pot_driver.errors import DriverError

log = structlog.get_logger()

Value = TypeVar("Value")


class Works:
    """`tasks` owns the work, for as long as the process serves."""

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self._tasks = tasks

    async def whole(
        self, task_id: str, work: Coroutine[Any, Any, Value], *, left: Callable[[], None] = lambda: None
    ) -> Value:
        """The work's value or error. `left` is called if the caller leaves before there is one."""
        outcome: asyncio.Future[Value] = asyncio.get_running_loop().create_future()
        with structlog.contextvars.bound_contextvars(task_id=task_id):  # in every line that the work logs
            self._tasks.create_task(_carry_out(work, outcome))
        try:
            return await asyncio.shield(outcome)
        except asyncio.CancelledError:
            left()
            raise

    def spawn(self, work: Coroutine[Any, Any, object]) -> None:
        """Work for which nobody waits."""
        self._tasks.create_task(_carry_out(work, None))


async def _carry_out(work: Coroutine[Any, Any, Value], outcome: asyncio.Future[Value] | None) -> None:
    """Never raises: an error here would end the process."""
    try:
        value = await work
    except asyncio.CancelledError:
        if outcome is not None:
            outcome.cancel()
        raise
    except DriverError as error:
        log.info("work ended with an error", error=str(error))
        if outcome is not None:
            outcome.set_exception(error)
    except Exception as error:
        if outcome is None:
            log.exception("unexpected error")
        else:
            outcome.set_exception(error)
    else:
        if outcome is not None:
            outcome.set_result(value)
