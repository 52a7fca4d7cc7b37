"""A task's life stays inside its table, ends once, and tells everyone the same."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pot_driver.errors import TaskExists, TaskNotFound, WrongState
from pot_driver.model import BootId, ExitResult, TaskRecord, TaskState
from pot_driver.tasks import MOVES, Event, Phase, Task, TaskTable


def record(task_id: str = "alloc/web/01234567") -> TaskRecord:
    return TaskRecord(id=task_id, name="web", alloc_id="alloc", pot_name="web_1", started_at_s=1.0, boot=BootId())


def happen(task: Task, event: Event, code: int) -> None:
    match event:
        case Event.STARTED:
            task.started(task.record)
        case Event.STOP_ASKED:
            task.stop_asked()
        case Event.ENDED:
            task.ended(ExitResult(exit_code=code), 2.0 + code)
        case Event.DESTROYED:
            task.destroyed()


@given(st.lists(st.tuples(st.sampled_from(Event), st.integers(0, 255)), max_size=12))
def test_no_sequence_of_events_leaves_the_table_or_changes_a_result(events: list[tuple[Event, int]]) -> None:
    task = Task(record())
    results = []
    for event, code in events:
        before = task.phase
        try:
            happen(task, event, code)
        except WrongState:
            assert (before, event) not in MOVES
            assert task.phase is before
        else:
            assert task.phase is MOVES[before, event]
        if task.result is not None:
            results.append((task.result, task.completed_at_s))

    assert len(set(results)) <= 1


def test_every_phase_but_the_last_can_be_left() -> None:
    left = {phase for phase, _ in MOVES}

    assert left == set(Phase) - {Phase.GONE}


async def test_everyone_who_waits_gets_the_same_result() -> None:
    task = Task(record())
    task.started(record())
    async with asyncio.TaskGroup() as group:
        early = [group.create_task(task.over()) for _ in range(10)]
        await asyncio.sleep(0)
        assert task.waiters == 10
        task.ended(ExitResult(exit_code=3), 2.0)

    assert {waiter.result() for waiter in early} == {ExitResult(exit_code=3)}
    assert await task.over() == ExitResult(exit_code=3)
    assert (task.state, task.completed_at_s, task.waiters) == (TaskState.EXITED, 2.0, 0)


async def test_a_waiter_who_gives_up_leaves_the_others_alone() -> None:
    task = Task(record())
    task.started(record())
    async with asyncio.TaskGroup() as group:
        leaving, staying = group.create_task(task.over()), group.create_task(task.over())
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.sleep(0)
        assert task.waiters == 1
        task.ended(ExitResult(exit_code=0), 2.0)

    assert staying.result() == ExitResult(exit_code=0)


async def test_waiting_for_a_task_whose_start_failed_says_that_there_is_none() -> None:
    task = Task(record())
    async with asyncio.TaskGroup() as group:
        waiter = group.create_task(asyncio.wait_for(_refused(task), 5))
        await asyncio.sleep(0)
        task.destroyed()

    assert waiter.result()


async def _refused(task: Task) -> bool:
    with pytest.raises(TaskNotFound):
        await task.over()
    return True


def test_the_table_has_one_task_per_id() -> None:
    table = TaskTable()
    task = Task(record("a"))
    table.add(task)
    with pytest.raises(TaskExists, match='"a" already started'):
        table.add(Task(record("a")))
    table.remove(Task(record("a")))  # another task of that id is not this one

    assert table.get("a") is task
    table.remove(task)
    assert table.find("a") is None
    with pytest.raises(TaskNotFound, match="task not found for given id"):
        table.get("a")
