"""Task events reach every listener, and no listener can hold up a task."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

from pot_driver.events import MESSAGE_LENGTH, QUEUE_LENGTH, REPLAY_S, Events
from pot_driver.model import TaskConfig, TaskEvent

WEB = TaskConfig(id="alloc-1/web/0a1b2c3d", name="web", alloc_id="alloc-1")
DB = TaskConfig(id="alloc-2/db/0a1b2c3d", name="db", alloc_id="alloc-2")


async def listen(events: Events, into: list[TaskEvent], until: str) -> None:
    """Collect events until one says `until`."""
    async with aclosing(events.subscribe()) as stream:
        async for event in stream:
            into.append(event)
            if event.message == until:
                return


async def test_an_event_names_its_task_and_its_time(clock: Any) -> None:
    """Nomad drops what does not carry alloc and task name, and shows 1970 without a time."""
    events = Events(clock)
    events.emit(WEB, "Downloading image", url="http://mirror/web_1.0.xz")
    heard: list[TaskEvent] = []

    await listen(events, heard, "Downloading image")

    assert heard == [
        TaskEvent(
            task_id=WEB.id,
            alloc_id="alloc-1",
            task_name="web",
            timestamp_s=1_700_000_000.0,
            message="Downloading image",
            annotations={"url": "http://mirror/web_1.0.xz"},
        )
    ]


async def test_two_listeners_hear_the_same(clock: Any) -> None:
    """The host before and the host after a reattach both listen."""
    events = Events(clock)
    first: list[TaskEvent] = []
    second: list[TaskEvent] = []

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(listen(events, first, "end"))
        group.create_task(listen(events, second, "end"))
        await asyncio.sleep(0)
        events.emit(WEB, "one")
        events.emit(DB, "one")
        events.emit(WEB, "end")

    assert [event.task_name for event in first] == ["web", "db", "web"]
    assert first == second


async def test_a_slow_listener_loses_the_oldest_and_harms_nobody(clock: Any) -> None:
    """Emitting is not even a coroutine; a listener that does not read keeps a bounded queue."""
    events = Events(clock)
    slow = events.subscribe()
    events.emit(WEB, "wake")
    assert (await anext(slow)).message == "wake"
    quick: list[TaskEvent] = []

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(listen(events, quick, "end"))
        await asyncio.sleep(0)
        for number in range(2 * QUEUE_LENGTH):
            events.emit(WEB, f"step {number}")
            await asyncio.sleep(0)
        events.emit(WEB, "end")

    assert len(quick) == 2 * QUEUE_LENGTH + 1
    assert (await anext(slow)).message == f"step {QUEUE_LENGTH + 1}"
    await slow.aclose()


async def test_what_happens_before_anyone_listens_is_heard_for_a_minute(clock: Any) -> None:
    """A fast start right after a relaunch of the plugin is not lost; stale news is."""
    events = Events(clock)
    events.emit(WEB, "stale")
    clock.now += REPLAY_S + 1
    events.emit(WEB, "Preparing pot")
    events.emit(WEB, "Started")
    heard: list[TaskEvent] = []

    await listen(events, heard, "Started")

    assert [event.message for event in heard] == ["Preparing pot", "Started"]


async def test_what_a_leaving_listener_has_not_read_goes_to_the_next(clock: Any) -> None:
    """The host's connection may break with events in flight."""
    events = Events(clock)
    events.emit(WEB, "one")
    events.emit(WEB, "two")
    leaving = events.subscribe()
    assert (await anext(leaving)).message == "one"
    events.emit(WEB, "three")
    await leaving.aclose()
    heard: list[TaskEvent] = []

    await listen(events, heard, "three")

    assert [event.message for event in heard] == ["two", "three"]


async def test_a_task_does_not_repeat_itself(clock: Any) -> None:
    """Nomad keeps ten events of a task: the same one again would push out another."""
    events = Events(clock)
    for _ in range(5):
        events.emit(WEB, "Waiting for pot's lock")
    events.emit(DB, "Waiting for pot's lock")
    events.emit(WEB, "Started")
    events.emit(WEB, "Waiting for pot's lock")
    events.emit(DB, "end")
    heard: list[TaskEvent] = []

    await listen(events, heard, "end")

    assert [(event.task_name, event.message) for event in heard] == [
        ("web", "Waiting for pot's lock"),
        ("db", "Waiting for pot's lock"),
        ("web", "Started"),
        ("web", "Waiting for pot's lock"),
        ("db", "end"),
    ]


async def test_a_message_is_one_short_line(clock: Any) -> None:
    """Words of pot can be many lines; an event is one."""
    events = Events(clock)
    events.emit(WEB, "###>  cannot\n\tdo it " + "x" * 9000)
    stream = events.subscribe()

    message = (await anext(stream)).message

    assert message.startswith("###> cannot do it xxx")
    assert len(message) == MESSAGE_LENGTH
    await stream.aclose()
