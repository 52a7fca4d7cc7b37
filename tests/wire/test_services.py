"""What the services say on the wire, with a scripted driver behind them.

Not here: what a real driver does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from pot_driver import schema
from pot_driver._proto.goplugin import grpc_controller_pb2 as controller
from pot_driver._proto.grpc.health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from pot_driver._proto.grpc.health.v1.health_pb2_grpc import HealthStub
from pot_driver._proto.plugins.base.proto import base_pb2 as base
from pot_driver._proto.plugins.drivers.proto import driver_pb2 as pb
from pot_driver.errors import ConfigError, TaskNotFound
from pot_driver.model import (
    DriverNetwork,
    ExecInput,
    ExecOutput,
    ExecResult,
    ExecSetup,
    ExitResult,
    Fingerprint,
    Health,
    HostCompute,
    StartedTask,
    TaskEvent,
    TaskState,
    TaskStatus,
    Usage,
)
from pot_driver.operator.host import Plugin

ID = "3a5b-alloc/web server/0123abcd"
STARTED = StartedTask(version=3, driver_state=b"\x00state\xff")
USAGE = Usage(timestamp_s=1.5, percent=12.5, total_mhz=300.0, rss_bytes=4096)


async def test_plugin_info_is_complete(host: Plugin) -> None:
    """A driver of this API, named as jobs name it."""
    info = await host.base.PluginInfo(base.PluginInfoRequest())

    assert (info.type, info.name, list(info.plugin_api_versions)) == (base.DRIVER, "pot", ["v0.1.0"])


async def test_the_configuration_arrives(host: Plugin, driver: Any) -> None:
    """The agent's block and the node's compute; an override wins over the sum of the cores."""
    driver.script("set_config", None)
    core = base.ClientTopologyCore
    topology = base.ClientTopology(
        cores=[core(base_speed=1000, max_speed=9), core(max_speed=2000, guess_speed=9), core(guess_speed=3000)]
    )
    nomad = base.NomadConfig(driver=base.NomadDriverConfig(Topology=topology))
    await host.base.SetConfig(base.SetConfigRequest(msgpack_config=b"\x80", nomad_config=nomad))
    topology.override_total_compute = 500
    nomad = base.NomadConfig(driver=base.NomadDriverConfig(Topology=topology))
    await host.base.SetConfig(base.SetConfigRequest(nomad_config=nomad))
    await host.base.SetConfig(base.SetConfigRequest())

    assert driver.calls == [
        ("set_config", b"\x80", HostCompute(total_mhz=6000, cores=3)),
        ("set_config", b"", HostCompute(total_mhz=500, cores=3)),
        ("set_config", b"", HostCompute(total_mhz=0, cores=0)),
    ]


async def test_a_wrong_configuration_is_refused_by_name(host: Plugin, driver: Any) -> None:
    """The agent shows all problems at its start."""
    driver.script("set_config", ConfigError(['gc.image_delay: "soon" is no duration', "pot: must not be empty"]))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await host.base.SetConfig(base.SetConfigRequest())

    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.value.details() == 'gc.image_delay: "soon" is no duration; pot: must not be empty'


async def test_a_task_arrives_whole_and_its_handle_echoes_it(host: Plugin, driver: Any) -> None:
    """Nomad stores the handle: the task in it is the request's, byte for byte."""
    driver.script("start_task", STARTED)
    task = _task()
    response = await host.driver.StartTask(pb.StartTaskRequest(task=task))
    ((_, asked),) = driver.calls

    assert response.handle.config == task
    assert (response.handle.version, response.handle.driver_state) == (3, STARTED.driver_state)
    assert response.handle.state == pb.RUNNING
    assert not response.HasField("network_override")
    assert (asked.id, asked.name, asked.alloc_id, asked.driver_config) == (ID, "web server", "3a5b", b"\x81")
    assert asked.env == {"A": "1\n$`'"}
    assert asked.resources.memory_max_mb == -1
    assert [(p.label, p.value, p.to, p.host_ip) for p in asked.resources.ports] == [("http", 20000, 80, "::1")]
    assert [(p.label, p.value) for p in asked.resources.legacy_ports] == [("a", 1), ("b", 2)]
    assert asked.dns.servers == ("10.0.0.1",)
    assert asked.mounts[0].readonly
    assert asked.secrets_dir == "/alloc dir/web server/secrets"


async def test_a_task_without_dns_has_none(host: Plugin, driver: Any) -> None:
    """Unset and empty are not the same."""
    driver.script("start_task", STARTED)
    await host.driver.StartTask(pb.StartTaskRequest(task=pb.TaskConfig(id=ID)))
    await host.driver.StartTask(pb.StartTaskRequest(task=pb.TaskConfig(id=ID, dns=pb.DNSConfig())))

    assert [call[1].dns is None for call in driver.calls] == [True, False]


async def test_a_pots_own_address_is_advertised(host: Plugin, driver: Any) -> None:
    """For a pot with an address of its own."""
    network = DriverNetwork(addr="10.192.0.3", port_map={"http": 80}, auto_advertise=True)
    driver.script("start_task", StartedTask(version=3, driver_state=b"", network=network))
    response = await host.driver.StartTask(pb.StartTaskRequest(task=_task()))

    assert response.network_override == pb.NetworkOverride(
        addr="10.192.0.3", port_map={"http": 80}, auto_advertise=True
    )


async def test_a_very_large_task_is_accepted(host: Plugin, driver: Any) -> None:
    """GRPC's own limit of 4 MiB is not Nomad's."""
    driver.script("start_task", STARTED)
    big = "x" * (8 << 20)
    response = await host.driver.StartTask(pb.StartTaskRequest(task=pb.TaskConfig(id=ID, env={"BIG": big})))

    assert response.handle.config.env["BIG"] == big


async def test_recovery_goes_by_the_handle(host: Plugin, driver: Any) -> None:
    """Nomad leaves the task's id empty, and after an agent restart its driver config too."""
    driver.script("recover_task", None)
    task = _task()
    task.ClearField("msgpack_driver_config")
    handle = pb.TaskHandle(version=2, config=task, state=pb.RUNNING, driver_state=b"s")
    await host.driver.RecoverTask(pb.RecoverTaskRequest(handle=handle))
    ((_, asked),) = driver.calls

    assert (asked.version, asked.config.id, asked.config.driver_config) == (2, ID, b"")
    assert (asked.state, asked.driver_state) == (TaskState.RUNNING, b"s")


async def test_a_handles_unknown_state_is_no_obstacle(host: Plugin, driver: Any) -> None:
    """Nobody reads it."""
    driver.script("recover_task", None)
    handle = pb.TaskHandle(config=_task(), state=pb.TaskState.ValueType(77))
    await host.driver.RecoverTask(pb.RecoverTaskRequest(handle=handle))

    assert driver.calls[0][1].state is TaskState.UNKNOWN


@pytest.mark.parametrize(
    "result",
    [
        ExitResult(exit_code=0),
        ExitResult(exit_code=137, signal=9, oom_killed=True, err="OOM Killed"),
        ExitResult(exit_code=-1, err="nobody knows"),
    ],
)
async def test_an_end_always_has_a_result(host: Plugin, driver: Any, result: ExitResult) -> None:
    """Even a success, which is all zeroes: older agents crash without."""
    driver.script("wait_task", result)
    response = await host.driver.WaitTask(pb.WaitTaskRequest(task_id=ID))

    assert response.HasField("result")
    assert response.result == pb.ExitResult(
        exit_code=result.exit_code, signal=result.signal, oom_killed=result.oom_killed
    )
    assert response.err == result.err


async def test_a_waiter_that_gives_up_harms_no_other(host: Plugin, driver: Any) -> None:
    """Ten wait, one hangs up, nine are answered."""
    all_wait, end = asyncio.Barrier(11), asyncio.Event()

    async def over(_task_id: str) -> ExitResult:
        await all_wait.wait()
        await end.wait()
        return ExitResult(exit_code=3)

    driver.script("wait_task", over)
    waiters = [host.driver.WaitTask(pb.WaitTaskRequest(task_id=ID)) for _ in range(10)]
    async with asyncio.timeout(10):
        await all_wait.wait()
    waiters[0].cancel()
    end.set()
    answers = [await waiter for waiter in waiters[1:]]

    assert [answer.result.exit_code for answer in answers] == [3] * 9


async def test_stop_and_destroy_say_all_they_were_told(host: Plugin, driver: Any) -> None:
    """Time limit, signal and force."""
    driver.script("stop_task", None)
    driver.script("destroy_task", None)
    driver.script("signal_task", None)
    await host.driver.StopTask(
        pb.StopTaskRequest(task_id=ID, timeout=Duration(seconds=5, nanos=500_000_000), signal="SIGINT")
    )
    await host.driver.StopTask(pb.StopTaskRequest(task_id=ID))
    await host.driver.DestroyTask(pb.DestroyTaskRequest(task_id=ID, force=True))
    await host.driver.SignalTask(pb.SignalTaskRequest(task_id=ID, signal="hup"))

    assert driver.calls == [
        ("stop_task", ID, 5.5, "SIGINT"),
        ("stop_task", ID, 0.0, ""),
        ("destroy_task", ID, True),
        ("signal_task", ID, "hup"),
    ]


async def test_a_running_tasks_inspection_has_every_part(host: Plugin, driver: Any) -> None:
    """Both times and a result, though the task has not ended: the host does not look before it reads."""
    running = TaskStatus(
        id=ID,
        name="web server",
        state=TaskState.RUNNING,
        started_at_s=1700000000.25,
        completed_at_s=0,
        result=None,
        attributes={"pot": "web_server_1"},
    )
    driver.script("inspect_task", running)
    response = await host.driver.InspectTask(pb.InspectTaskRequest(task_id=ID))

    assert response.task.HasField("started_at")
    assert response.task.HasField("completed_at")
    assert response.task.HasField("result")
    assert response.task.state == pb.RUNNING
    assert response.task.started_at.ToNanoseconds() == 1_700_000_000_250_000_000
    assert response.driver.attributes == {"pot": "web_server_1"}


async def test_a_sample_has_every_part(host: Plugin, driver: Any) -> None:
    """Time and usage are there; ticks are filled and not listed."""
    full = Usage(
        timestamp_s=2.0,
        percent=50.0,
        user_percent=40.0,
        system_percent=10.0,
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
    assert set(second.stats.agg_resource_usage.cpu.measured_fields) == {
        cpu.PERCENT,
        cpu.SYSTEM_MODE,
        cpu.USER_MODE,
    }
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


async def test_a_commands_output_is_one_and_short(host: Plugin, driver: Any) -> None:
    """Nomad reads standard output only and keeps 4 KiB; the end says how it went."""
    driver.script("exec_task", ExecResult(stdout=b"o" * 4000, stderr=b"e" * 4000, exit_code=2))
    request = pb.ExecTaskRequest(task_id=ID, command=["check", "a b"], timeout=Duration(seconds=3))
    response = await host.driver.ExecTask(request)

    assert driver.calls == [("exec_task", ID, ("check", "a b"), 3.0)]
    assert response.stdout == b"o" * 96 + b"e" * 4000
    assert response.result == pb.ExitResult(exit_code=2)


async def test_a_successful_command_has_a_result(host: Plugin, driver: Any) -> None:
    """An agent crashes where it is missing."""
    driver.script("exec_task", ExecResult(stdout=b"", stderr=b"", exit_code=0))
    response = await host.driver.ExecTask(pb.ExecTaskRequest(task_id=ID))

    assert response.HasField("result")


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


async def test_capabilities_are_present_and_complete(host: Plugin) -> None:
    """Absent capabilities mean something else than any of their values."""
    response = await host.driver.Capabilities(pb.CapabilitiesRequest())

    assert response.HasField("capabilities")
    assert response.capabilities == schema.CAPABILITIES


@pytest.mark.parametrize("method", ["Init", "Shutdown"])
async def test_init_and_shutdown_may_be_repeated(host: Plugin, driver: Any, method: str) -> None:
    """After each reattach, and whatever the agent does at its end."""
    driver.script("init", None)
    driver.script("shutdown", None)
    for _ in range(2):
        await getattr(host.driver, method)(getattr(pb, f"{method}Request")())

    assert driver.calls == [(method.lower(),)] * 2


async def test_the_plugin_is_healthy_while_it_serves(host: Plugin) -> None:
    """Under the name that go-plugin's hosts ask for; other names are unknown."""
    health = HealthStub(host.channel)
    check = await health.Check(HealthCheckRequest(service="plugin"))
    watch = health.Watch(HealthCheckRequest(service="plugin"))
    (told,) = await _read(watch, 1)
    watch.cancel()
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await health.Check(HealthCheckRequest(service="other"))

    assert check.status == told.status == HealthCheckResponse.SERVING
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


async def test_the_controller_answers_and_then_leaves(host: Plugin, leaving: asyncio.Event) -> None:
    """The host waits for the answer without a limit."""
    await host.controller.Shutdown(controller.Empty())
    async with asyncio.timeout(10):
        await leaving.wait()


async def _read(stream: Any, count: int) -> list[Any]:
    async with asyncio.timeout(10):
        return [await stream.read() for _ in range(count)]


def _task() -> pb.TaskConfig:
    network = pb.NetworkResource(
        ip="10.0.0.9",
        reserved_ports=[pb.NetworkPort(label="a", value=1)],
        dynamic_ports=[pb.NetworkPort(label="b", value=2)],
    )
    return pb.TaskConfig(
        id=ID,
        name="web server",
        alloc_id="3a5b",
        msgpack_driver_config=b"\x81",
        env={"A": "1\n$`'"},
        resources=pb.Resources(
            allocated_resources=pb.AllocatedTaskResources(
                cpu=pb.AllocatedCpuResources(cpu_shares=100),
                memory=pb.AllocatedMemoryResources(memory_mb=64, memory_max_mb=-1),
                networks=[network],
            ),
            ports=[pb.PortMapping(label="http", value=20000, to=80, host_ip="::1")],
        ),
        mounts=[pb.Mount(task_path="/data", host_path="/srv", readonly=True)],
        alloc_dir="/alloc dir",
        dns=pb.DNSConfig(servers=["10.0.0.1"]),
    )
