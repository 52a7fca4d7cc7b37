"""Directories, environment and StartTask's message are a Nomad client's."""

from __future__ import annotations

import re
import socket
import stat
from typing import TYPE_CHECKING

import msgpack
import pytest

from pot_driver._proto.plugins.shared.hclspec.hcl_spec_pb2 import Attr, Object, Spec
from pot_driver.errors import ConfigError
from pot_driver.model import Dns
from pot_driver.operator.allocation import Allocation
from pot_driver.operator.job import Group, Job, PortAsk, Task, TaskResources, Template

if TYPE_CHECKING:
    from pathlib import Path

ANY = Spec(object=Object(attributes={"x": Spec(Attr=Attr(name="x", type="any"))}))


def place(root: Path, task: Task, **group: object) -> Allocation:
    of = Group(name="g", tasks=(task,), **group)  # type: ignore[arg-type]
    return Allocation.place(Job(id="web", groups=(of,), meta={"owner": "ops"}), of, root)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_directories_have_nomads_modes_and_the_logs_are_private_fifos(tmp_path: Path) -> None:
    allocation = place(tmp_path, Task(name="t", config={}))

    allocation.create()

    task, shared = allocation.dir / "t", allocation.dir / "alloc"
    assert [mode(task / name) for name in ("", "local", "secrets", "tmp")] == [0o777, 0o777, 0o777, 0o1777]
    assert [mode(shared / name) for name in ("data", "logs", "tmp")] == [0o777] * 3
    for stream in ("stdout", "stderr"):
        fifo = shared / "logs" / f".t.{stream}.fifo"
        assert stat.S_ISFIFO(fifo.stat().st_mode)
        assert mode(fifo) == 0o600


def test_a_task_that_wants_no_logs_gets_dev_null(tmp_path: Path) -> None:
    allocation = place(tmp_path, Task(name="t", config={}, logs_disabled=True))
    allocation.create()

    assert allocation.task_config(allocation.group.tasks[0], ANY).stdout_path == "/dev/null"
    assert not list((allocation.dir / "alloc/logs").iterdir())


def test_removing_leaves_nothing(tmp_path: Path) -> None:
    allocation = place(tmp_path, Task(name="t", config={}))
    allocation.create()

    allocation.remove()

    assert not list(tmp_path.iterdir())


def test_the_environment_is_an_image_isolated_tasks(tmp_path: Path) -> None:
    task = Task(
        name="t",
        config={},
        env={"A": "on ${NOMAD_PORT_http} of ${node.datacenter}, ${unknown.thing}"},
        meta={"colour": "red"},
        resources=TaskResources(cpu_mhz=200, memory_mb=64, memory_max_mb=128, cores=2),
    )
    allocation = place(tmp_path, task, ports=(PortAsk(label="http", to=80),))

    env = allocation.env(task)

    port = allocation.ports[0].value
    expected = {
        "NOMAD_ALLOC_DIR": "/alloc",
        "NOMAD_TASK_DIR": "/local",
        "NOMAD_SECRETS_DIR": "/secrets",
        "NOMAD_ALLOC_ID": allocation.id,
        "NOMAD_SHORT_ALLOC_ID": allocation.id[:8],
        "NOMAD_ALLOC_NAME": "web.g[0]",
        "NOMAD_ALLOC_INDEX": "0",
        "NOMAD_TASK_NAME": "t",
        "NOMAD_GROUP_NAME": "g",
        "NOMAD_JOB_ID": "web",
        "NOMAD_CPU_LIMIT": "200",
        "NOMAD_CPU_CORES": "0,1",
        "NOMAD_MEMORY_LIMIT": "64",
        "NOMAD_MEMORY_MAX_LIMIT": "128",
        "NOMAD_META_colour": "red",
        "NOMAD_META_COLOUR": "red",
        "NOMAD_META_owner": "ops",
        "NOMAD_PORT_http": "80",
        "NOMAD_HOST_PORT_http": str(port),
        "NOMAD_ADDR_http": f"{allocation.host_ip}:{port}",
        "A": "on 80 of dc1, ${unknown.thing}",
    }
    assert expected.items() <= env.items()
    assert "PATH" not in env


def test_names_that_a_shell_cannot_have_are_cleaned_only_where_nomad_does(tmp_path: Path) -> None:
    task = Task(name="t", config={}, env={"my-key": "1"}, meta={"a-b": "x"})
    allocation = place(tmp_path, task, ports=(PortAsk(label="web-ui"),))

    env = allocation.env(task)

    assert {"NOMAD_PORT_web_ui", "NOMAD_META_a_b", "my-key"} <= env.keys()
    assert not any("web-ui" in key for key in env if key.startswith("NOMAD_PORT_"))


def test_config_is_interpolated_and_an_unknown_variable_is_refused(tmp_path: Path) -> None:
    task = Task(name="t", config={"x": ["-p", "${NOMAD_PORT_http}", {"k": '${env["NOMAD_TASK_NAME"]} $${kept}'}]})
    allocation = place(tmp_path, task, ports=(PortAsk(label="http", to=80),))

    config = allocation.task_config(task, ANY)
    assert msgpack.unpackb(config.msgpack_driver_config) == {"x": ["-p", "80", {"k": "t ${kept}"}]}

    wrong = Task(name="t", config={"x": "${NOMAD_PORT_https}", "y": ["${attr.cpu.arch}"]})
    with pytest.raises(ConfigError) as error:
        allocation.task_config(wrong, ANY)
    assert error.value.problems == (
        'task "t": config.x: Unknown variable; There is no variable "${NOMAD_PORT_https}"',
        'task "t": config.y[0]: Unknown variable; There is no variable "${attr.cpu.arch}"; a Nomad client may know it',
    )


def test_each_start_has_an_id_of_its_own(tmp_path: Path) -> None:
    task = Task(name="my task", config={})
    allocation = place(tmp_path, task)

    first, second = allocation.task_config(task, ANY), allocation.task_config(task, ANY)

    assert first.id != second.id
    assert re.fullmatch(rf"{allocation.id}/my task/[0-9a-f]{{8}}", first.id)


def test_ports_limits_and_dns_are_sent(tmp_path: Path) -> None:
    task = Task(
        name="t",
        config={},
        user="www",
        resources=TaskResources(memory_mb=64, memory_max_mb=128, cores=2, legacy_ports=(PortAsk(label="old"),)),
    )
    allocation = place(tmp_path, task, ports=(PortAsk(label="same", to=-1),), dns=Dns(servers=("10.0.0.53",)))

    config = allocation.task_config(task, ANY)

    (port,) = config.resources.ports
    assert (port.label, port.to, port.host_ip) == ("same", port.value, allocation.host_ip)
    assert config.resources.linux_resources.memory_limit_bytes == 128 << 20
    assert config.resources.linux_resources.cpuset_cpus == "0,1"
    (network,) = config.resources.allocated_resources.networks
    assert network.dynamic_ports[0].label == "old"
    assert list(config.dns.servers) == ["10.0.0.53"]
    assert config.user == "www"


def test_a_static_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("0.0.0.0", 0)) as taken:
        number = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf'port "http": static = {number}: Address already in use'):
            place(tmp_path, Task(name="t", config={}), ports=(PortAsk(label="http", static=number),))


def test_templates_are_rendered_where_the_job_wants_them(tmp_path: Path) -> None:
    templates = (
        Template(data='on {{ env "NOMAD_PORT_http" }}\n', destination="local/conf/x", perms=0o640),
        Template(data="B=2", destination="${NOMAD_SECRETS_DIR}/env", env=True),
        Template(data="shared", destination="../alloc/data/s"),
    )
    task = Task(name="t", config={}, templates=templates)
    allocation = place(tmp_path, task, ports=(PortAsk(label="http", to=80),))

    allocation.create()

    own = allocation.dir / "t"
    assert (own / "local/conf/x").read_text() == "on 80\n"
    assert mode(own / "local/conf/x") == 0o640
    assert (own / "secrets/env").read_text() == "B=2"
    assert (allocation.dir / "alloc/data/s").read_text() == "shared"
    assert allocation.env(task)["B"] == "2"


def test_a_template_may_not_leave_the_task(tmp_path: Path) -> None:
    task = Task(name="t", config={}, templates=(Template(data="x", destination="../../../x"),))

    with pytest.raises(ConfigError, match=r'destination = "\.\./\.\./\.\./x" leaves the task'):
        place(tmp_path, task).create()
