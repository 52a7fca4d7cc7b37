"""What the streaming calls say on the wire, with a scripted driver behind them, and how they end.

Not here: what a real driver does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from pot_driver._proto.plugins.drivers.proto import driver_pb2 as pb
from pot_driver.errors import TaskNotFound
from pot_driver.model import (
    ExecInput,
    ExecOutput,
    ExecSetup,
    ExitResult,
    Fingerprint,
    Health,
    StartedTask,
    TaskEvent,
    Usage,
)
from pot_driver.operator.host import Plugin

ID = "3a5b-alloc/web server/0123abcd"
STARTED = StartedTask(version=3, driver_state=b"\x00state\xff")
USAGE = Usage(timestamp_s=1.5, percent=12.5, total_mhz=300.0, rss_bytes=4096)


async def test_a_sample_has_every_part(host: Plugin, driver: Any) -> None:
    """Time and usage are there; ticks are filled and not listed."""
    full = Usage(
        timestamp_s=2.0,
        percent=50.0,
        total_mhz=1000.0,
        rss_bytes=1,
        swap_bytes=2,
        usage_bytes=3,
    )
    driver.script("task_stats", [USAGE, full])
    stream = host.driver.TaskStats(pb.TaskStatsRequest(task_id=ID, collection_interval=Duration(seconds=1)))
    first, second = await _read(stream, 2)
    stream.cancel()
    cpu, memory = pb.CPUUsage, pb.MemoryUsage

    assert driver.calls == [("task_stats", ID, 1.0)]
    assert first.stats.HasField("timestamp")
    assert first.stats.agg_resource_usage.cpu == cpu(percent=12.5, total_ticks=300.0, measured_fields=[cpu.PERCENT])
    assert first.stats.agg_resource_usage.memory == memory(rss=4096, measured_fields=[memory.RSS])
    assert second.stats.agg_resource_usage.cpu == cpu(percent=50.0, total_ticks=1000.0, measured_fields=[cpu.PERCENT])
    assert set(second.stats.agg_resource_usage.memory.measured_fields) == {
        memory.RSS,
        memory.SWAP,
        memory.USAGE,
    }


async def test_an_idle_pots_sample_is_there_too(host: Plugin, driver: Any) -> None:
    """All zeroes is a value: an agent crashes where it is missing."""
    driver.script("task_stats", [Usage(timestamp_s=0.0)])
    stream = host.driver.TaskStats(pb.TaskStatsRequest(task_id=ID))
    (sample,) = await _read(stream, 1)
    stream.cancel()

    assert sample.HasField("stats")
    assert sample.stats.HasField("timestamp")
    assert sample.stats.HasField("agg_resource_usage")


async def test_stats_end_well_when_the_task_ends(host: Plugin, driver: Any) -> None:
    """The end of the driver's samples is the end of the stream, with OK."""

    async def samples(*_: object) -> AsyncGenerator[Usage, None]:
        yield USAGE

    driver.script("task_stats", samples)
    stream = host.driver.TaskStats(pb.TaskStatsRequest(task_id=ID))

    assert len([sample async for sample in stream]) == 1
    assert await stream.code() is grpc.StatusCode.OK


@pytest.mark.parametrize(
    ("method", "request_", "value"),
    [
        ("fingerprints", pb.FingerprintRequest(), Fingerprint(health=Health.HEALTHY, description="Healthy")),
        (
            "task_events",
            pb.TaskEventsRequest(),
            TaskEvent(task_id=ID, alloc_id="a", task_name="n", timestamp_s=1, message="m"),
        ),
        ("task_stats", pb.TaskStatsRequest(task_id=ID), USAGE),
    ],
)
async def test_a_cancelled_stream_is_closed(
    host: Plugin, driver: Any, method: str, request_: Any, value: object
) -> None:
    """When the host hangs up, the driver's source is closed, at once and not when memory is cleaned."""
    driver.script(method, [value])
    calls: dict[str, Any] = {
        "fingerprints": host.driver.Fingerprint,
        "task_events": host.driver.TaskEvents,
        "task_stats": host.driver.TaskStats,
    }
    stream = calls[method](request_)
    await stream.read()
    stream.cancel()
    async with asyncio.timeout(10):
        await driver.closing.wait()

    assert driver.closed == [method]


async def test_a_fingerprint_is_told_as_it_is(host: Plugin, driver: Any) -> None:
    """Strings and booleans keep their type; no error, which would drop the attributes."""
    attributes: dict[str, str | bool] = {"driver.pot.version": "0.16.1", "driver.pot.rctl": False}
    driver.script(
        "fingerprints", [Fingerprint(health=Health.UNHEALTHY, description="pot hangs", attributes=attributes)]
    )
    stream = host.driver.Fingerprint(pb.FingerprintRequest())
    (told,) = await _read(stream, 1)
    stream.cancel()

    assert told.health == pb.FingerprintResponse.UNHEALTHY
    assert told.health_description == "pot hangs"
    assert told.err == ""
    assert told.attributes["driver.pot.version"].string_val == "0.16.1"
    assert told.attributes["driver.pot.rctl"].WhichOneof("value") == "bool_val"


async def test_an_event_names_its_task(host: Plugin, driver: Any) -> None:
    """Nomad drops events without allocation and task."""
    event = TaskEvent(
        task_id=ID, alloc_id="3a5b", task_name="web server", timestamp_s=5.5, message="m", annotations={"k": "v"}
    )
    driver.script("task_events", [event])
    first, second = (host.driver.TaskEvents(pb.TaskEventsRequest()) for _ in range(2))
    (told,) = await _read(first, 1)
    (again,) = await _read(second, 1)
    first.cancel()
    second.cancel()

    assert told == again
    assert (told.alloc_id, told.task_name, told.message, told.annotations["k"]) == (
        "3a5b",
        "web server",
        "m",
        "v",
    )
    assert told.timestamp.ToNanoseconds() == 5_500_000_000


async def test_an_exec_stream_ends_without_the_hosts_help(host: Plugin, driver: Any) -> None:
    """The host never half-closes; heartbeats say nothing; the exit is alone in the last message."""
    seen: list[ExecInput] = []

    async def session(setup: ExecSetup, requests: AsyncIterator[ExecInput]) -> AsyncGenerator[ExecOutput, None]:
        assert setup == ExecSetup(task_id=ID, command=("cat", "-u"), tty=True)
        async for item in requests:
            seen.append(item)
            if item.data:
                yield ExecOutput(stream="stdout", data=item.data)
            if item.close:
                break
        yield ExecOutput(stream="stderr", data=b"\xff")
        yield ExecOutput(stream="stdout", close=True)
        yield ExecOutput(stream="stderr", close=True)
        yield ExecOutput(exit=ExitResult(exit_code=0))

    driver.script("exec_task_streaming", session)
    stream: Any = host.driver.ExecTaskStreaming()
    request, operation = pb.ExecTaskStreamingRequest, pb.ExecTaskStreamingIOOperation
    setup = request.Setup(task_id=ID, command=["cat", "-u"], tty=True)
    await stream.write(request(setup=setup))
    await stream.write(request(tty_size=request.TerminalSize(height=50, width=100)))
    await stream.write(request())
    await stream.write(request(stdin=operation()))
    await stream.write(request(stdin=operation(data=b"hi", close=True)))
    async with asyncio.timeout(10):
        answers = [answer async for answer in stream]
    response = pb.ExecTaskStreamingResponse

    assert [(item.data, item.close, item.tty_size) for item in seen] == [
        (b"", False, (50, 100)),
        (b"", False, None),
        (b"", False, None),
        (b"hi", True, None),
    ]
    assert answers == [
        response(stdout=operation(data=b"hi")),
        response(stderr=operation(data=b"\xff")),
        response(stdout=operation(close=True)),
        response(stderr=operation(close=True)),
        response(exited=True, result=pb.ExitResult()),
    ]
    assert answers[-1].HasField("result")
    assert await stream.code() is grpc.StatusCode.OK


async def test_a_cancelled_exec_ends_the_command(host: Plugin, driver: Any) -> None:
    """The driver's side of the session is closed when the user has gone."""
    driver.script("exec_task_streaming", [ExecOutput(data=b"ready")])
    stream: Any = host.driver.ExecTaskStreaming()
    setup = pb.ExecTaskStreamingRequest.Setup(task_id=ID, command=["sh"])
    await stream.write(pb.ExecTaskStreamingRequest(setup=setup))
    await stream.read()
    stream.cancel()
    async with asyncio.timeout(10):
        await driver.closing.wait()

    assert driver.closed == ["exec_task_streaming"]


@pytest.mark.parametrize("first", [pb.ExecTaskStreamingRequest(), None])
async def test_an_exec_stream_begins_with_its_setup(
    host: Plugin, driver: Any, first: pb.ExecTaskStreamingRequest | None
) -> None:
    """Anything else is refused, and no command is run."""
    stream: Any = host.driver.ExecTaskStreaming()
    if first is None:
        await stream.done_writing()
    else:
        await stream.write(first)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stream.read()

    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "setup" in (refused.value.details() or "")
    assert driver.calls == []


async def test_an_exec_in_an_unknown_task_is_refused(host: Plugin, driver: Any) -> None:
    """As every call for a task that is not there."""
    driver.script("exec_task_streaming", [TaskNotFound(ID)])
    stream: Any = host.driver.ExecTaskStreaming()
    setup = pb.ExecTaskStreamingRequest.Setup(task_id=ID, command=["sh"])
    await stream.write(pb.ExecTaskStreamingRequest(setup=setup))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stream.read()

    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    assert "task not found for given id" in (refused.value.details() or "")


async def _read(stream: Any, count: int) -> list[Any]:
    async with asyncio.timeout(10):
        return [await stream.read() for _ in range(count)]
