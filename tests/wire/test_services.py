"""What the services say on the wire, with a scripted driver behind them.

Not here: what a real driver does.
"""

from __future__ import annotations

import asyncio
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
from pot_driver.errors import ConfigError
from pot_driver.model import (
    DriverNetwork,
    ExecResult,
    ExitResult,
    HostCompute,
    StartedTask,
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
    assert refused.value.details() == 'gc.image_delay: "soon" is no duration\npot: must not be empty'


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
        ExitResult(exit_code=137, signal=9, err="killed"),
        ExitResult(exit_code=-1, err="nobody knows"),
    ],
)
async def test_an_end_always_has_a_result(host: Plugin, driver: Any, result: ExitResult) -> None:
    """Even a success, which is all zeroes: older agents crash without."""
    driver.script("wait_task", result)
    response = await host.driver.WaitTask(pb.WaitTaskRequest(task_id=ID))

    assert response.HasField("result")
    assert response.result == pb.ExitResult(exit_code=result.exit_code, signal=result.signal)
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
