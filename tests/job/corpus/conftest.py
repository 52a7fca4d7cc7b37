"""A simulated node with one image under many names, and a Nomad client that runs job files on it.

The image's programs (`nginx`, `minio`, `/usr/local/bin/cook`) are one app: it tells what it was given, on its first log
line and to whoever connects to the ports on which it was told to listen.

Not here: what each job must show.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pot_driver._proto.plugins.drivers.proto import driver_pb2
from pot_driver.operator import installation, jobfile
from pot_driver.operator.agent import Agent, plugin_argv
from pot_driver.operator.allocation import Allocation
from pot_driver.operator.hclog import LogLine
from pot_driver.operator.job import Job, Task
from pot_driver.operator.logpipe import LogPipe
from pot_driver.spec import pot_name

JOBS = Path(__file__).parent / "jobs"
FREEBSD_PATH = "/sbin:/bin:/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"
PROGRAMS = ("sh", "cat", "cp", "date", "env", "false", "grep", "id", "ls", "mkdir", "realpath", "sleep", "test", "true")
APP = """\
#!/usr/libexec/python/bin/python3 -IS
import _thread, json, os, signal, sys
import socket
told = json.dumps({"argv": sys.argv[1:], "env": dict(os.environ), "cwd": os.getcwd(),
    "ids": [os.getuid(), os.getgid(), *sorted(os.getgroups())], "name": os.uname().nodename}).encode()
def serve(server):
    while True:
        client, _ = server.accept()
        client.sendall(told)
        client.close()
def end(*_):
    os._exit(0)
signal.signal(signal.SIGTERM, end)
for name, port in os.environ.items():
    if name.startswith("NOMAD_PORT_"):
        _thread.start_new_thread(serve, (socket.create_server(("", int(port))),))
os.write(1, told + b"\\n")
while True:
    signal.pause()
"""
# FreeBSD's chroot(8) has its own options for user and groups.
CHROOT = """\
#!/bin/sh
while getopts u:g:G: option; do
    case $option in u) user=$OPTARG ;; g) group=$OPTARG ;; G) groups=$OPTARG ;; esac
done
shift $((OPTIND - 1))
exec /usr/libexec/chroot --userspec="$user:$group" --groups="$groups" "$@"
"""
LISTED = """\
import sys, _thread, json, os, signal, socket
print(*filter(None, (getattr(module, "__file__", None) for module in sys.modules.values())), sep="\\n")
"""


def make_root(root: Path) -> Path:
    """A pot's root with nothing of the host's in it but copies."""
    for directory in ("bin", "etc", "root", "tmp", "usr/bin", "usr/sbin", "usr/libexec", "usr/local/bin", "var/run"):
        (root / directory).mkdir(parents=True)
    (root / "etc/passwd").write_text("root:*:0:0::/root:/bin/sh\nwww:*:80:80::/nonexistent:/bin/sh\n")
    (root / "etc/group").write_text("wheel:*:0:root\nwww:*:80:\nmail:*:6:www\n")
    (root / "etc/nsswitch.conf").write_text("passwd: files\ngroup: files\n")
    for name in PROGRAMS:
        copy_program(root, shutil.which(name, path="/bin:/usr/bin") or "", f"bin/{name}")
        (root / "usr/bin" / name).symlink_to(f"/bin/{name}")
    copy_program(root, shutil.which("chroot", path="/sbin:/usr/sbin:/bin:/usr/bin") or "", "usr/libexec/chroot")
    write_program(root / "usr/sbin/chroot", CHROOT)
    copy_python(root)
    for name in ("nginx", "minio", "cook"):
        write_program(root / "usr/local/bin" / name, APP)
    return root


def write_program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def copy_program(root: Path, source: str, target: str) -> None:
    """A program with the libraries that it is linked with."""
    shutil.copy(os.path.realpath(source), root / target)
    copy_libraries(root, source)


def copy_libraries(root: Path, *sources: str) -> None:
    done = subprocess.run(["ldd", *sources], capture_output=True, text=True, check=False)
    for library in set(re.findall(r"(/\S+) \(0x", done.stdout)):
        place = root / library.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.exists():
            shutil.copy(os.path.realpath(library), place)


def copy_python(root: Path) -> None:
    """This Python with the modules that the app imports."""
    home = root / "usr/libexec/python"
    (home / "bin").mkdir(parents=True)
    copy_program(root, sys.executable, "usr/libexec/python/bin/python3")
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    paths = {key: Path(sysconfig.get_path(key)) for key in ("stdlib", "platstdlib")}
    base = Path(sys.base_prefix) / "lib" / version
    listed = subprocess.run([sys.executable, "-IS", "-c", LISTED], capture_output=True, text=True, check=True)
    modules = {Path(line).resolve() for line in listed.stdout.split()}
    modules |= {Path(os.__file__).resolve(), *(base / "encodings").glob("*.py")}
    for module in modules:
        inside = next((p for p in (base.resolve(), paths["stdlib"].resolve()) if module.is_relative_to(p)), None)
        if inside is not None:
            place = home / "lib" / version / module.relative_to(inside)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(module, place)
            if module.suffix == ".so":
                copy_libraries(root, str(module))
    (home / "lib" / version / "lib-dynload").mkdir(parents=True, exist_ok=True)


@dataclass
class Node:
    """The simulator's root, and its images."""

    root: Path
    image: str  # the path of an image's .xz, which is hard-linked under other names
    own_command: str

    @property
    def images(self) -> Path:
        return self.root / "images"

    def offer(self, config: dict[str, object], directory: Path | None = None) -> None:
        """Have the image that this job asks for."""
        source = self.own_command if config["pot"] == "own-command" else self.image
        target = (directory or self.images) / f"{config['pot']}_{config['tag']}.xz"
        target.parent.mkdir(exist_ok=True)
        for suffix in ("", ".meta", ".skein"):
            place = Path(f"{target}{suffix}")
            if not place.exists():
                os.link(f"{source}{suffix}", place)

    def config(self, **plugin: object) -> dict[str, object]:
        return {"host_path": f"{self.root}/bin:{FREEBSD_PATH}", "state_dir": f"{self.root}/driver", **plugin}

    def all_pots(self) -> set[str]:
        """The pots of tasks: images have no hyphen in their names here."""
        return {path.name for path in (self.root / "opt/pot/jails").iterdir() if "-" in path.name}

    def asked(self) -> str:
        """What pot was asked to change, as it tells syslog."""
        log = self.root / "var/log/messages"
        lines = log.read_text().splitlines() if log.exists() else []
        return "\n".join(line for line in lines if "pot-version" not in line)

    def fault(self, switch: str) -> None:
        """Have the host misbehave until the end of the test."""
        (self.root / "etc/faults").write_text(f"{switch}\n")

    def pot(self, *words: str) -> None:
        """Do something as the node's administrator."""
        subprocess.run([self.root / "bin/pot", *words], check=True, capture_output=True, stdin=subprocess.DEVNULL)

    def conf(self, request: driver_pb2.TaskConfig) -> str:
        """The pot.conf of a task."""
        pot = pot_name(request.id, request.alloc_id, request.name)
        return (self.root / "opt/pot/jails" / pot / "conf/pot.conf").read_text()


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Node:
    """A node with the image."""
    root = tmp_path_factory.mktemp("node")
    files = make_root(tmp_path_factory.mktemp("image") / "root")
    installation.pot_sim(root, "init")
    installation.pot_sim(root, "image", "create", "app", "1", "--from", str(files))
    own = ["own", "1", "--from", str(files), "--cmd", "nginx -g 'daemon off;'"]
    installation.pot_sim(root, "image", "create", *own)
    return Node(root, f"{root}/images/app_1.xz", f"{root}/images/own_1.xz")


@dataclass
class Running:
    """A task that runs, seen from its client."""

    agent: Agent
    allocation: Allocation
    task: Task
    request: driver_pb2.TaskConfig
    started: driver_pb2.StartTaskResponse
    output: bytearray
    wrote: asyncio.Event
    logs: list[LogPipe]

    async def told(self) -> dict[str, object]:
        """What the app says of itself on its first line."""
        while b"\n" not in self.output:
            self.wrote.clear()
            await self.wrote.wait()
        return json.loads(self.output.splitlines()[0])

    async def told_by_port(self, label: str) -> dict[str, object]:
        """What it says to who connects to a port of the host."""
        await self.told()
        (port,) = [port.value for port in (*self.allocation.ports, *self.legacy_ports) if port.label == label]
        while True:  # pot's tunnel notices the app a moment after the app listens
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                break
            except ConnectionRefusedError:
                await asyncio.sleep(0.02)
        try:
            return json.loads(await reader.read())
        finally:
            writer.close()

    @property
    def legacy_ports(self) -> Iterable[object]:
        return self.allocation.legacy_ports.get(self.task.name, ())

    async def inside(self, *command: str) -> str:
        """What a command in the pot prints."""
        done = await self.agent.exec_task(self.request.id, command, 30)
        assert done.result.exit_code == 0, (command, done)
        return done.stdout.decode()

    async def logs_ended(self) -> None:
        """All that the task has written is in `output`."""
        for log in self.logs:
            await log.ended()

    async def ended(self) -> driver_pb2.WaitTaskResponse:
        return await self.agent.wait_task(self.started.handle)


@dataclass
class Client:
    """A Nomad client with its plugin; also what the plugin tells it."""

    node: Node
    place: Path
    agent: Agent = field(init=False)
    events: list[str] = field(default_factory=list)
    log: list[LogLine] = field(default_factory=list)

    def plugin_log(self, line: LogLine) -> None:
        self.log.append(line)
        if line.level in {"warn", "error"}:
            print(line.message, *line.fields.items(), sep="\n")

    def task_event(self, event: driver_pb2.DriverTaskEvent) -> None:
        self.events.append(event.message)

    def plugin_launched(self, plugin: object) -> None:
        """Nothing is to be kept of it."""

    def plugin_lost(self) -> None:
        raise AssertionError("the plugin died")

    def task_recovered(self, task_id: str) -> None:
        raise AssertionError(f"{task_id} was recovered")

    def job(self, name: str) -> Job:
        """A job of the corpus, for this node."""
        (path,) = JOBS.glob(f"{name}*")
        text = path.read_text().replace('"IMAGES"', f'"file://{self.node.images}"')
        here = self.place / path.name
        here.write_text(text)
        values = {"images": f"file://{self.node.images}", "host": f"{self.place}/host", "port": str(free_port())}
        return jobfile.read(here, {key: value for key, value in values.items() if f'variable "{key}"' in text})

    @asynccontextmanager
    async def running(
        self,
        job: Job,
        *,
        before: Callable[[Allocation], None] = lambda _: None,
        change: Callable[[driver_pb2.TaskConfig], None] | None = None,
    ) -> AsyncIterator[Running]:
        """The job's first task, from its directories to its end."""
        group = job.groups[0]
        task = group.tasks[0]
        allocation = Allocation.place(job, group, self.place / "allocs")
        allocation.create()
        before(allocation)
        request = allocation.task_config(task, self.agent.task_schema)
        if change is not None:
            change(request)
        output, wrote = bytearray(), asyncio.Event()

        def heard(data: bytes) -> None:
            output.extend(data)
            wrote.set()

        logs = [LogPipe(allocation.log_path(task, stream), heard) for stream in ("stdout", "stderr")]
        started = None
        try:
            started = await self.agent.start_task(request)
            yield Running(self.agent, allocation, task, request, started, output, wrote, logs)
        finally:
            if started is not None:
                await self.agent.destroy_task(request.id)
            for log in logs:
                await log.close(0 if started is None else 5)
            allocation.remove()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def a_client(node: Node, tmp_path: Path):
    """`async with a_client(**plugin_config) as client`."""

    @asynccontextmanager
    async def opened(**plugin: object) -> AsyncIterator[Client]:
        client = Client(node, tmp_path)
        try:
            async with asyncio.TaskGroup() as group:
                client.agent = Agent(plugin_argv(), node.config(**plugin), group=group, watcher=client)
                await client.agent.launch()
                try:
                    await client.agent.configure()
                    yield client
                finally:
                    (node.root / "etc/faults").unlink(missing_ok=True)
                    await client.agent.close()
        except BaseExceptionGroup as errors:
            if len(errors.exceptions) == 1:
                raise errors.exceptions[0] from None
            raise

    return opened
