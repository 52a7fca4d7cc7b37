"""Every call ends with a status that Nomad understands.

Not here: calls that go well.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import grpc
import pytest
import structlog

from pot_driver import errors
from pot_driver._proto.google.rpc.status_pb2 import Status
from pot_driver._proto.plugins.base.proto import base_pb2 as base
from pot_driver._proto.plugins.drivers.proto import driver_pb2 as pb
from pot_driver._proto.plugins.shared.structs.proto.recoverable_error_pb2 import RecoverableError
from pot_driver.clock import SystemClock
from pot_driver.model import ExecOutput
from pot_driver.operator.host import Plugin
from pot_driver.process import CommandMissing
from pot_driver.services import statuses
from pot_driver.services.guard import Guard

CODE = grpc.StatusCode
TAKEN = {CODE.UNAVAILABLE, CODE.CANCELLED, CODE.UNIMPLEMENTED}  # Nomad reads them as "the plugin died", "not offered"


def _errors(kind: type[errors.DriverError] = errors.DriverError) -> Iterator[type[errors.DriverError]]:
    if kind.__module__ == errors.__name__:
        yield kind
    for sub in kind.__subclasses__():
        yield from _errors(sub)


def test_each_error_has_one_row() -> None:
    """The table knows all errors of the driver, and no status that Nomad has its own meaning for."""
    assert set(statuses.STATUS) == set(_errors())
    assert not TAKEN & set(statuses.STATUS.values())


def test_an_errors_kin_has_its_row() -> None:
    """A closer name of an error is the same to Nomad."""
    refusal = statuses.refusal(CommandMissing("pot is not there"))

    assert refusal is not None
    assert refusal.code is statuses.STATUS[errors.PotFailed]


async def test_what_should_be_tried_again_says_so(host: Plugin, driver: Any) -> None:
    """Only the first detail of the status makes Nomad apply the restart policy."""
    driver.script("start_task", errors.TryAgain("cannot download: connection refused"))
    refused = await _refused(host.driver.StartTask(pb.StartTaskRequest()))
    metadata: Any = refused.trailing_metadata()
    status = Status.FromString(metadata["grpc-status-details-bin"])
    detail = RecoverableError()

    assert refused.code() is CODE.FAILED_PRECONDITION
    assert refused.details() == status.message == "cannot download: connection refused"
    assert status.code == CODE.FAILED_PRECONDITION.value[0]
    assert status.details[0].type_url == ("type.googleapis.com/hashicorp.nomad.plugins.shared.structs.RecoverableError")
    assert status.details[0].Unpack(detail)
    assert detail.recoverable


@pytest.mark.parametrize("kind", [kind for kind in _errors() if kind is not errors.TryAgain])
async def test_no_other_error_is_recoverable(host: Plugin, driver: Any, kind: type[errors.DriverError]) -> None:
    """A job that is wrong fails at once, with the words of the error."""
    error = kind(["first", "second"]) if kind is errors.ConfigError else kind("the words")
    driver.script("start_task", error)
    refused = await _refused(host.driver.StartTask(pb.StartTaskRequest()))

    assert refused.code() is statuses.STATUS[kind]
    assert refused.details() == str(error)
    assert tuple(refused.trailing_metadata() or ()) == ()


@pytest.mark.parametrize("letter", ["x", "é", "\U0001f41f", "\udcff"])
async def test_a_long_text_is_cut_in_the_middle(host: Plugin, driver: Any, letter: str) -> None:
    """It begins with what was asked and ends with what to do, in less than 4 KiB."""
    driver.script("start_task", errors.TryAgain(f"what was asked {letter * 10_000} what to do"))
    refused = await _refused(host.driver.StartTask(pb.StartTaskRequest()))
    text = refused.details() or ""

    assert refused.code() is CODE.FAILED_PRECONDITION
    assert len(text.encode()) < 4096
    assert text.startswith("what was asked ")
    assert text.endswith(" what to do")


@pytest.mark.parametrize("bug", [RuntimeError("a bug"), KeyError("x"), asyncio.CancelledError(), TimeoutError()])
async def test_a_bug_is_logged_and_answered(host: Plugin, driver: Any, bug: BaseException) -> None:
    """With a short text and a traceback in the log; a stray cancellation too, which would else hang the host."""
    driver.script("wait_task", bug)
    with structlog.testing.capture_logs() as entries:
        async with asyncio.timeout(10):
            refused = await _refused(host.driver.WaitTask(pb.WaitTaskRequest(task_id="x")))
    info = await host.base.PluginInfo(base.PluginInfoRequest())

    assert refused.code() is CODE.INTERNAL
    assert refused.details() == statuses.BUG.text
    assert [entry["exc_info"] for entry in entries] == [bug]
    assert info.name == "pot"


async def test_a_bug_in_a_stream_is_answered(host: Plugin, driver: Any) -> None:
    """After what was streamed before it."""
    driver.script("task_stats", [RuntimeError("a bug")])
    with structlog.testing.capture_logs() as entries:
        stream: Any = host.driver.TaskStats(pb.TaskStatsRequest(task_id="x"))
        refused = await _refused(stream.read())

    assert refused.code() is CODE.INTERNAL
    assert len(entries) == 1


@pytest.mark.parametrize("method", [m.name for m in pb.DESCRIPTOR.services_by_name["Driver"].methods])
async def test_no_call_is_missing(host: Plugin, driver: Any, method: str) -> None:
    """Each is answered or refused by name, and never with a status that Nomad has its own meaning for."""
    refusal = errors.Unsupported("cannot do this")
    for name in ("init", "recover_task", "start_task", "wait_task", "stop_task", "destroy_task", "inspect_task"):
        driver.script(name, refusal)
    for name in ("shutdown", "signal_task", "exec_task"):
        driver.script(name, refusal)
    for name in ("fingerprints", "task_stats", "task_events", "exec_task_streaming"):
        driver.script(name, [refusal])
    code = await _code_of(host, method)

    assert code in {CODE.OK, CODE.FAILED_PRECONDITION}


async def test_a_method_of_nobody_is_unimplemented(host: Plugin) -> None:
    """GRPC says so, as for any server."""
    call: Any = host.channel.unary_unary("/hashicorp.nomad.plugins.drivers.proto.Driver/Fly")
    refused = await _refused(call(b""))

    assert refused.code() is CODE.UNIMPLEMENTED


async def test_a_slow_reader_holds_up_nobody(host: Plugin, driver: Any) -> None:
    """A stream that nobody reads waits by itself; memory does not fill, and other calls are answered."""
    sent = 0

    async def endless(*_: object) -> AsyncGenerator[Any, None]:
        nonlocal sent
        while True:
            sent += 1
            yield ExecOutput(data=b"x" * 32_768)

    driver.script("exec_task_streaming", endless)
    stream: Any = host.driver.ExecTaskStreaming()
    setup = pb.ExecTaskStreamingRequest.Setup(task_id="x", command=["yes"])
    await stream.write(pb.ExecTaskStreamingRequest(setup=setup))
    await stream.read()
    before = -1
    while before != sent:
        before = sent
        for _ in range(20):
            await host.base.PluginInfo(base.PluginInfoRequest())
    stream.cancel()

    assert sent * 32_768 < 64 << 20


def test_the_guard_knows_how_long_no_host_was_there() -> None:
    """An open stream is a host; without one, time counts."""

    class Stopped(SystemClock):
        at_s = 100.0

        def monotonic_s(self) -> float:
            return self.at_s

    clock = Stopped()
    guard = Guard(clock)
    clock.at_s = 150.0
    before = guard.idle_s
    with guard.call():
        during = guard.idle_s
        clock.at_s = 200.0
    clock.at_s = 230.0

    assert (before, during, guard.idle_s) == (50.0, 0.0, 30.0)


async def _refused(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return refused.value


async def _code_of(host: Plugin, method: str) -> grpc.StatusCode:
    call: Any = getattr(host.driver, method)
    if method == "ExecTaskStreaming":
        stream = call()
        await stream.write(pb.ExecTaskStreamingRequest(setup=pb.ExecTaskStreamingRequest.Setup(task_id="x")))
    else:
        request = pb.DESCRIPTOR.services_by_name["Driver"].methods_by_name[method].input_type.name
        stream = call(getattr(pb, request)())
    async with asyncio.timeout(10):
        code: grpc.StatusCode = await stream.code()
    return code
