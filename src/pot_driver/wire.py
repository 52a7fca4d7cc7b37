"""Nomad's messages ↔ our values.

Not here: what the plugin says of itself (see `schema`), calls and their statuses (see `services/`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from pot_driver import errors, model
from pot_driver._proto.plugins.base.proto import base_pb2 as base
from pot_driver._proto.plugins.drivers.proto import driver_pb2 as pb
from pot_driver._proto.plugins.shared.structs.proto.attribute_pb2 import Attribute

if TYPE_CHECKING:
    from collections.abc import Iterable

CHECK_OUTPUT_LIMIT = 4096  # bytes; what Nomad keeps of a check's output

# --- Nomad's messages → values


def host_compute(request: base.SetConfigRequest) -> model.HostCompute:
    """The node's compute as the agent sees it; nothing of it in the probing launches and before Nomad 1.7."""
    topology = request.nomad_config.driver.Topology
    total = topology.override_total_compute or sum(
        core.base_speed or core.max_speed or core.guess_speed for core in topology.cores
    )
    return model.HostCompute(total_mhz=total, cores=len(topology.cores))


def task_config(task: pb.TaskConfig) -> model.TaskConfig:
    """A task as Nomad describes it."""
    return model.TaskConfig(
        id=task.id,
        name=task.name,
        alloc_id=task.alloc_id,
        job=task.job_name,
        group=task.task_group_name,
        driver_config=task.msgpack_driver_config,
        env=dict(task.env),
        device_env=dict(task.device_env),
        resources=_resources(task.resources),
        mounts=tuple(
            model.Mount(task_path=m.task_path, host_path=m.host_path, readonly=m.readonly) for m in task.mounts
        ),
        devices=tuple(model.Device(task_path=d.task_path, host_path=d.host_path) for d in task.devices),
        user=task.user,
        alloc_dir=task.alloc_dir,
        stdout_path=task.stdout_path,
        stderr_path=task.stderr_path,
        dns=_dns(task.dns) if task.HasField("dns") else None,
    )


def task_handle(handle: pb.TaskHandle) -> model.TaskHandle:
    """What StartTask once answered."""
    return model.TaskHandle(
        version=handle.version,
        config=task_config(handle.config),
        state=_task_state(handle.state),
        driver_state=handle.driver_state,
    )


def seconds(duration: Duration) -> float:
    """A duration; unset is 0."""
    return duration.seconds + duration.nanos / 1e9


def exec_setup(request: pb.ExecTaskStreamingRequest) -> model.ExecSetup:
    """The first message of an exec stream."""
    if not request.HasField("setup"):
        raise errors.ConfigError(["the first message of an exec stream must be its setup"])
    setup = request.setup
    return model.ExecSetup(task_id=setup.task_id, command=tuple(setup.command), tty=setup.tty)


def exec_input(request: pb.ExecTaskStreamingRequest) -> model.ExecInput:
    """A later one: input, a new terminal size, or nothing (the heartbeat)."""
    size = request.tty_size
    return model.ExecInput(
        data=request.stdin.data,
        close=request.stdin.close,
        tty_size=(size.height, size.width) if request.HasField("tty_size") else None,
    )


def _resources(resources: pb.Resources) -> model.Resources:
    allocated, linux = resources.allocated_resources, resources.linux_resources
    return model.Resources(
        memory_mb=allocated.memory.memory_mb,
        memory_max_mb=allocated.memory.memory_max_mb,
        cpuset_cpus=linux.cpuset_cpus,
        ports=tuple(model.Port(label=p.label, value=p.value, to=p.to, host_ip=p.host_ip) for p in resources.ports),
        legacy_ports=tuple(_legacy_ports(allocated.networks)),
    )


def _legacy_ports(networks: Iterable[pb.NetworkResource]) -> Iterable[model.Port]:
    for network in networks:
        for port in (*network.reserved_ports, *network.dynamic_ports):
            yield model.Port(label=port.label, value=port.value, host_ip=network.ip)


def _dns(dns: pb.DNSConfig) -> model.Dns:
    return model.Dns(servers=tuple(dns.servers), searches=tuple(dns.searches), options=tuple(dns.options))


def _task_state(value: int) -> model.TaskState:
    """Nomad neither reads nor changes it; a number of a later version is no reason to fail."""
    return model.TaskState(value) if value in {s.value for s in model.TaskState} else model.TaskState.UNKNOWN


# --- values → Nomad's messages


def start_response(task: pb.TaskConfig, started: model.StartedTask) -> pb.StartTaskResponse:
    """The handle echoes the request's task byte for byte: Nomad stores it."""
    return pb.StartTaskResponse(
        handle=pb.TaskHandle(version=started.version, config=task, state=pb.RUNNING, driver_state=started.driver_state),
        network_override=_network(started.network),
    )


def wait_response(result: model.ExitResult) -> pb.WaitTaskResponse:
    """The end of a task. Older agents crash without a result."""
    return pb.WaitTaskResponse(result=exit_result(result), err=result.err)


def inspect_response(status: model.TaskStatus) -> pb.InspectTaskResponse:
    """All of it is there, even for a task that runs: the host does not look before it reads."""
    return pb.InspectTaskResponse(
        task=pb.TaskStatus(
            id=status.id,
            name=status.name,
            state=pb.TaskState.ValueType(status.state.value),
            started_at=timestamp(status.started_at_s),
            completed_at=timestamp(status.completed_at_s),
            result=exit_result(status.result) if status.result else pb.ExitResult(),
        ),
        driver=pb.TaskDriverStatus(attributes=status.attributes),
        network_override=_network(status.network),
    )


def fingerprint_response(fingerprint: model.Fingerprint) -> pb.FingerprintResponse:
    """The host's health, and what it offers."""
    return pb.FingerprintResponse(
        attributes={name: _attribute(value) for name, value in fingerprint.attributes.items()},
        health=pb.FingerprintResponse.HealthState.ValueType(fingerprint.health.value),
        health_description=fingerprint.description,
    )


def stats_response(task_id: str, usage: model.Usage) -> pb.TaskStatsResponse:
    """A sample. TOTAL_TICKS is filled but not listed: Nomad's table has a column for it that it does not fill."""
    memory = [pb.MemoryUsage.RSS]
    if usage.usage_bytes is not None:
        memory.append(pb.MemoryUsage.USAGE)
    if usage.swap_bytes is not None:
        memory.append(pb.MemoryUsage.SWAP)
    resources = pb.TaskResourceUsage(
        cpu=pb.CPUUsage(
            total_ticks=usage.total_mhz,
            percent=usage.percent,
            measured_fields=[pb.CPUUsage.PERCENT],
        ),
        memory=pb.MemoryUsage(
            rss=usage.rss_bytes,
            usage=usage.usage_bytes or 0,
            swap=usage.swap_bytes or 0,
            measured_fields=memory,
        ),
    )
    return pb.TaskStatsResponse(
        stats=pb.TaskStats(id=task_id, timestamp=timestamp(usage.timestamp_s), agg_resource_usage=resources)
    )


def task_event(event: model.TaskEvent) -> pb.DriverTaskEvent:
    """A line of the task's history."""
    return pb.DriverTaskEvent(
        task_id=event.task_id,
        alloc_id=event.alloc_id,
        task_name=event.task_name,
        timestamp=timestamp(event.timestamp_s),
        message=event.message,
        annotations=event.annotations,
    )


def exec_response(result: model.ExecResult) -> pb.ExecTaskResponse:
    """Nomad reads standard output and the exit code only, so both outputs are in the one; their end matters most."""
    output = (result.stdout + result.stderr)[-CHECK_OUTPUT_LIMIT:]
    return pb.ExecTaskResponse(stdout=output, result=pb.ExitResult(exit_code=result.exit_code, signal=result.signal))


def exec_output(output: model.ExecOutput) -> pb.ExecTaskStreamingResponse:
    """The exit is alone in its message: the command line of Nomad looks at outputs first and would miss it."""
    if output.exit is not None:
        return pb.ExecTaskStreamingResponse(exited=True, result=exit_result(output.exit))
    operation = pb.ExecTaskStreamingIOOperation(data=output.data, close=output.close)
    if output.stream == "stderr":
        return pb.ExecTaskStreamingResponse(stderr=operation)
    return pb.ExecTaskStreamingResponse(stdout=operation)


def exit_result(result: model.ExitResult) -> pb.ExitResult:
    """How something ended."""
    return pb.ExitResult(exit_code=result.exit_code, signal=result.signal)


def timestamp(seconds_since_epoch: float) -> Timestamp:
    """Never absent: Nomad fails on a missing time; 0 stands for "not yet"."""
    stamp = Timestamp()
    stamp.FromMicroseconds(round(seconds_since_epoch * 1e6))
    return stamp


def _network(network: model.DriverNetwork | None) -> pb.NetworkOverride | None:
    """Set only for a pot with an address of its own: unset is not empty."""
    if network is None:
        return None
    return pb.NetworkOverride(port_map=network.port_map, addr=network.addr, auto_advertise=network.auto_advertise)


def _attribute(value: str | bool) -> Attribute:  # noqa: FBT001 - a value
    return Attribute(bool_val=value) if isinstance(value, bool) else Attribute(string_val=value)
