"""One allocation on this host: its directories and, for each task, what Nomad would send in StartTask.

Directories, modes, names and environment are those of a Nomad client whose driver isolates by image.

Not here: the log FIFOs' reader (see `logpipe`), calls to the plugin (see `agent`).
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pot_driver._proto.plugins.drivers.proto import driver_pb2
from pot_driver.errors import ConfigError, DriverError
from pot_driver.operator import interpolation, ports, template
from pot_driver.operator.hclspec import encode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pot_driver._proto.plugins.shared.hclspec.hcl_spec_pb2 import Spec
    from pot_driver.model import Port
    from pot_driver.operator.job import Group, Job, Task

SHARED_DIRS = ("data", "logs", "tmp")
_TASK_DIRS = {"local": 0o777, "secrets": 0o777, "private": 0o777, "tmp": 0o1777}
# Names with these prefixes are cleaned of what a shell cannot have in a name.
_CLEANED = ("NOMAD_ADDR_", "NOMAD_IP_", "NOMAD_PORT_", "NOMAD_HOST_PORT_", "NOMAD_META_")
_NODE_ID = str(uuid.UUID(int=0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """Where the tasks of one group run. `place` chooses the ports, `create` makes the directories."""

    job: Job
    group: Group
    root: Path  # the client's alloc_dir
    host_ip: str
    ports: tuple[Port, ...]
    legacy_ports: Mapping[str, tuple[Port, ...]]  # by task
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @classmethod
    def place(cls, job: Job, group: Group, root: Path) -> Allocation:
        """Give the group its ports on this host."""
        host_ip = ports.host_address()
        return cls(
            job=job,
            group=group,
            root=root,
            host_ip=host_ip,
            ports=ports.allocate(group.ports, host_ip),
            legacy_ports={task.name: ports.allocate(task.resources.legacy_ports, host_ip) for task in group.tasks},
        )

    @property
    def dir(self) -> Path:
        """The allocation's directory."""
        return self.root / self.id

    def create(self) -> None:
        """Make the directories and the log FIFOs, and render the templates."""
        self.dir.mkdir(parents=True)
        for name in ("", *SHARED_DIRS):
            _mkdir(self.dir / "alloc" / name, 0o755 if not name else 0o777)
        for task in self.group.tasks:
            _mkdir(self.dir / task.name, 0o777)
            for name, mode in _TASK_DIRS.items():
                _mkdir(self.dir / task.name / name, mode)
            if not task.logs_disabled:
                for stream in ("stdout", "stderr"):
                    os.mkfifo(self.log_path(task, stream), 0o600)
            self._render(task)

    def remove(self) -> None:
        """Delete the directories. Nothing may be mounted there: a deletion must not walk into a pot."""
        mounted = [path for path in _directories(self.dir) if os.path.ismount(path)]
        if mounted:
            raise DriverError(f"not deleted: still mounted: {', '.join(mounted)}")
        shutil.rmtree(self.dir, ignore_errors=True)

    def log_path(self, task: Task, stream: str) -> Path:
        """The FIFO that Nomad's logmon reads, or /dev/null when the job wants no logs."""
        if task.logs_disabled:
            return Path(os.devnull)
        return self.dir / "alloc" / "logs" / f".{task.name}.{stream}.fifo"

    def task_config(self, task: Task, spec: Spec) -> driver_pb2.TaskConfig:
        """What StartTask gets. Each call is a start of its own, with an ID of its own."""
        env = self.env(task)
        variables = {**self._node(), **env}
        config = _expanded(task.config, variables, f'task "{task.name}": config')
        return driver_pb2.TaskConfig(
            id=f"{self.id}/{task.name}/{uuid.uuid4().hex[:8]}",
            name=task.name,
            alloc_id=self.id,
            job_id=self.job.id,
            job_name=self.job.name or self.job.id,
            namespace=self.job.namespace,
            task_group_name=self.group.name,
            node_id=_NODE_ID,
            node_name=platform.node(),
            msgpack_driver_config=encode(spec, config),
            env=env,
            resources=self._resources(task),
            user=task.user,
            alloc_dir=str(self.dir),
            stdout_path=str(self.log_path(task, "stdout")),
            stderr_path=str(self.log_path(task, "stderr")),
            dns=self._dns(),
        )

    def env(self, task: Task) -> dict[str, str]:
        """The task's whole environment."""
        env = self._base_env(task, "/alloc", "/local", "/secrets")
        nodes = self._node()
        user = {key: interpolation.replace(value, {**nodes, **env}) for key, value in task.env.items()}
        templated = template.environment(task.templates, {**env, **user})
        return {_clean(key): value for key, value in {**env, **user, **templated}.items()}

    def _base_env(self, task: Task, alloc: str, local: str, secrets: str) -> dict[str, str]:
        resources = task.resources
        meta = {**self.job.meta, **self.group.meta, **task.meta}
        env = {
            "NOMAD_ALLOC_DIR": alloc,
            "NOMAD_TASK_DIR": local,
            "NOMAD_SECRETS_DIR": secrets,
            "NOMAD_MEMORY_LIMIT": str(resources.memory_mb),
            "NOMAD_CPU_LIMIT": str(resources.cpu_mhz),
            "NOMAD_ALLOC_ID": self.id,
            "NOMAD_SHORT_ALLOC_ID": self.id[:8],
            "NOMAD_ALLOC_NAME": f"{self.job.id}.{self.group.name}[0]",
            "NOMAD_ALLOC_INDEX": "0",
            "NOMAD_GROUP_NAME": self.group.name,
            "NOMAD_TASK_NAME": task.name,
            "NOMAD_JOB_ID": self.job.id,
            "NOMAD_JOB_NAME": self.job.name or self.job.id,
            "NOMAD_NAMESPACE": self.job.namespace,
            "NOMAD_REGION": self.job.region,
            "NOMAD_DC": self.job.datacenter,
        }
        if resources.memory_max_mb > 0:
            env["NOMAD_MEMORY_MAX_LIMIT"] = str(resources.memory_max_mb)
        if resources.cores:
            env["NOMAD_CPU_CORES"] = _cpuset(resources.cores)
        for key, value in meta.items():
            env[f"NOMAD_META_{key}"] = env[f"NOMAD_META_{key.upper()}"] = value
        for port in self.ports:
            env |= _group_port_env(port)
        for port in self.legacy_ports.get(task.name, ()):
            env |= _legacy_port_env(port)
        return env

    def _node(self) -> dict[str, str]:
        return {
            "node.unique.id": _NODE_ID,
            "node.unique.name": platform.node(),
            "node.datacenter": self.job.datacenter,
            "node.region": self.job.region,
            "node.pool": "default",
            "node.class": "",
            "attr.kernel.name": platform.system().lower(),
            "attr.kernel.arch": platform.machine(),
            "attr.unique.hostname": platform.node(),
            "attr.unique.network.ip-address": self.host_ip,
        }

    def _render(self, task: Task) -> None:
        """Write the templates where the job wants them: paths mean the host's directories here."""
        own = self.dir / task.name
        env = self.env(task)
        host_env = env | self._base_env(task, str(self.dir / "alloc"), str(own / "local"), str(own / "secrets"))
        for one in task.templates:
            destination = interpolation.replace(one.destination, host_env)
            path = Path(os.path.normpath(own / destination))
            if not (path.is_relative_to(own) or path.is_relative_to(self.dir / "alloc")):
                raise ConfigError([f'task "{task.name}": template: destination = "{destination}" leaves the task'])
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(template.render(one, env), encoding="utf-8")
            path.chmod(one.perms)

    def _resources(self, task: Task) -> driver_pb2.Resources:
        asked = task.resources
        legacy = self.legacy_ports.get(task.name, ())
        memory_mb = max(asked.memory_mb, asked.memory_max_mb)
        return driver_pb2.Resources(
            allocated_resources=driver_pb2.AllocatedTaskResources(
                cpu=driver_pb2.AllocatedCpuResources(cpu_shares=asked.cpu_mhz),
                memory=driver_pb2.AllocatedMemoryResources(
                    memory_mb=asked.memory_mb, memory_max_mb=asked.memory_max_mb
                ),
                networks=[_legacy_network(self.host_ip, legacy)] if legacy else [],
            ),
            linux_resources=driver_pb2.LinuxResources(
                cpu_shares=asked.cpu_mhz,
                memory_limit_bytes=memory_mb << 20,
                cpuset_cpus=_cpuset(asked.cores),
            ),
            ports=[
                driver_pb2.PortMapping(label=port.label, value=port.value, to=port.to, host_ip=port.host_ip)
                for port in self.ports
            ],
        )

    def _dns(self) -> driver_pb2.DNSConfig | None:
        dns = self.group.dns
        if dns is None:
            return None
        return driver_pb2.DNSConfig(servers=dns.servers, searches=dns.searches, options=dns.options)


def _expanded(config: Mapping[str, object], variables: Mapping[str, str], where: str) -> Mapping[str, object]:
    found: dict[str, object] = {}
    problems: list[str] = []
    for key, value in config.items():
        try:
            found[key] = interpolation.expand(value, variables, f"{where}.{key}")
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return found


def _group_port_env(port: Port) -> dict[str, str]:
    label, inside, address = port.label, port.to if port.to > 0 else port.value, port.host_ip
    return {
        f"NOMAD_PORT_{label}": str(inside),
        f"NOMAD_ALLOC_PORT_{label}": str(inside),
        f"NOMAD_HOST_PORT_{label}": str(port.value),
        f"NOMAD_IP_{label}": address,
        f"NOMAD_HOST_IP_{label}": address,
        f"NOMAD_ADDR_{label}": f"{address}:{port.value}",
        f"NOMAD_HOST_ADDR_{label}": f"{address}:{port.value}",
    }


def _legacy_port_env(port: Port) -> dict[str, str]:
    return {
        f"NOMAD_IP_{port.label}": port.host_ip,
        f"NOMAD_PORT_{port.label}": str(port.value),
        f"NOMAD_HOST_PORT_{port.label}": str(port.value),
        f"NOMAD_ADDR_{port.label}": f"{port.host_ip}:{port.value}",
    }


def _legacy_network(host_ip: str, legacy: Iterable[Port]) -> driver_pb2.NetworkResource:
    network_ports = [driver_pb2.NetworkPort(label=port.label, value=port.value) for port in legacy]
    return driver_pb2.NetworkResource(ip=host_ip, dynamic_ports=network_ports)


def _cpuset(cores: int) -> str:
    return ",".join(str(core) for core in range(cores))


def _clean(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.]", "_", name) if name.startswith(_CLEANED) else name


def _mkdir(path: Path, mode: int) -> None:
    path.mkdir()
    path.chmod(mode)


def _directories(top: Path) -> Iterable[str]:
    for directory, _, _ in os.walk(top):
        yield directory
