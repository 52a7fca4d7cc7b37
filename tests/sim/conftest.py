"""A root of its own for each test, with pots that really run; nothing of it may outlive the test.

Not here: what pot must do (the tests), images that only one test needs.
"""

# ruff: noqa: PTH208  (names in directories and in /proc are plain texts here)

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pot_sim import doctor, images, install, jail, registry
from pot_sim.root import Root

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ENDING_S = 5.0  # what was killed a moment ago may take this long to go
PATH = "/sbin:/bin:/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """Of stdout."""
        return self.out.splitlines()


class Running:
    """A pot command in the background, in a process group of its own."""

    def __init__(self, process: subprocess.Popen[bytes], out: Path, err: Path) -> None:
        self.process = process
        self._out, self._err = out, err

    def ended(self) -> Ended:
        status = self.process.wait(timeout=60)
        return Ended(status, read(self._out), read(self._err))

    @property
    def out(self) -> str:
        """What it has said so far."""
        return read(self._out)


def read(path: Path) -> str:
    return path.read_bytes().decode(errors="surrogateescape")


def wait_until(true: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.005)


class Simulator:
    """One root, and a host with some files."""

    def __init__(self, place: Path, image_dir: Path) -> None:
        self.root = Root(str(place / "root"))
        self.host = place / "host"
        self.images = f"file://{image_dir}"
        self._logs = place / "logs"
        self._running: list[Running] = []
        self.host.mkdir(parents=True)
        self._logs.mkdir()
        install.init(self.root)
        (Path(self.root.etc) / "pot.conf").write_text("POT_HOSTNAME_MAX_LENGTH=64\n")

    def pot(self, *argv: str, stdin: bytes = b"", **env: str) -> Ended:
        """Run pot to its end; of the environment it sees a PATH, a HOME and what is given."""
        process = self._popen(argv, env, subprocess.PIPE, subprocess.PIPE)
        out, err = process.communicate(stdin, timeout=60)
        return Ended(process.returncode, out.decode(errors="surrogateescape"), err.decode(errors="surrogateescape"))

    def ok(self, line: str) -> Ended:
        """Run a pot command that is to succeed, given as one line."""
        ended = self.pot(*shlex.split(line))
        assert ended.status == 0, (line, ended)
        return ended

    def background(self, *argv: str, **env: str) -> Running:
        number = len(self._running)
        out, err = self._logs / f"{number}.out", self._logs / f"{number}.err"
        with out.open("wb") as stdout, err.open("wb") as stderr:
            running = Running(self._popen(argv, env, stdout, stderr, own_group=True), out, err)
        self._running.append(running)
        return running

    def _popen(
        self, argv: tuple[str, ...], env: dict[str, str], out: Any, err: Any, *, own_group: bool = False
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [self.root.bin + "/pot", *argv],
            stdin=subprocess.DEVNULL if own_group else subprocess.PIPE,
            stdout=out,
            stderr=err,
            cwd="/",
            env={"PATH": f"{self.root.bin}:{PATH}", "HOME": "/root", **env},
            process_group=0 if own_group else None,
        )

    def prepare(self, name: str, command: str = "", *options: str, image: str = "web") -> str:
        """A pot NAME_a1 from an image."""
        wanted = ["-c", f'"{command}"'] if command else []
        done = self.pot(
            *("prepare", "-U", self.images, "-p", image, "-t", "1.0", "-a", "a1", "-n", name), *wanted, *options
        )
        assert done.status == 0, done
        assert f"Prepared the pot {name}_a1" in done.out
        return f"{name}_a1"

    def start(self, name: str, **env: str) -> Running:
        """`pot start` in the background, and its pot is started."""
        running = self.background("start", name, **env)
        self.until(lambda: self.state(name) == "started")
        return running

    def state(self, name: str) -> str:
        file = Path(self.root.tmp) / f"pot_status_{name}"
        return file.read_text().rstrip("\n").removeprefix("pot.status=").partition(",")[0] if file.exists() else ""

    def lives(self, name: str) -> bool:
        return registry.running(self.root.run, name) is not None

    def conf(self, name: str) -> list[str]:
        return read(Path(self.root.conf(name)) / "pot.conf").splitlines()

    def m(self, name: str) -> Path:
        return Path(self.root.m(name))

    def tmp(self, name: str) -> Path:
        return Path(self.root.tmp) / name

    def fault(self, *lines: str) -> None:
        Path(self.root.faults).write_text("".join(line + "\n" for line in lines))

    def log(self) -> list[str]:
        return read(Path(self.root.log)).splitlines()

    def until(self, true: Callable[[], bool], seconds: float = 20) -> None:
        wait_until(true, seconds)

    def close(self) -> None:
        for running in self._running:
            if running.process.poll() is None:
                os.killpg(running.process.pid, signal.SIGKILL)
                running.process.wait()
        jail.remove_all(self.root)


@pytest.fixture(autouse=True)
def nothing_left(tmp_path: Path) -> Iterator[None]:
    """No mount, namespace, process, interface or cgroup of a root below the test's directory outlives the test."""
    interfaces = set(os.listdir("/sys/class/net"))
    yield
    root = Root(str(tmp_path))
    deadline = time.monotonic() + ENDING_S
    while (left := doctor.leftovers(root)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert left == []
    new = set(os.listdir("/sys/class/net")) - interfaces
    assert [name for name in new if name.startswith(("bridge", "epair", "jail", "alias"))] == []


@pytest.fixture(scope="session")
def image_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory that images are fetched from: `web` 1.0 and its copies under other names."""
    place = tmp_path_factory.mktemp("images")
    root = Root(str(place))
    images.create(root, "web", "1.0")
    return place / "images"


class Jails:
    """A root without pot: jails are made, joined and ended directly."""

    def __init__(self, place: Path, archive: str) -> None:
        self.root = Root(str(place / "jails"))
        self.archive = archive
        self._commands: list[subprocess.Popen[bytes]] = []
        Path(self.root.run).mkdir(parents=True)

    def unpacked(self, name: str) -> str:
        """The m of a pot, made from an image."""
        if not Path(self.root.m(name)).exists():
            images.import_archive(self.archive, self.root.jail(name))
        return self.root.m(name)

    def create(self, name: str, *, helper_sleep: bool = True, **spec: Any) -> int:
        path = self.unpacked(name)
        wanted = jail.JailSpec(name=name, path=path, hostname=f"{name}.host", **spec)
        return jail.create(self.root, wanted, helper_sleep=helper_sleep)

    def run(self, name: str, *argv: str, **options: Any) -> Ended:
        """Run a command in the jail to its end."""
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = self.attach(name, *argv, **{**streams, **options})
        out, err = process.communicate(timeout=60)
        return Ended(process.returncode, (out or b"").decode(), (err or b"").decode())

    def sh(self, name: str, script: str, **options: Any) -> Ended:
        return self.run(name, "sh", "-c", script, **options)

    def attach(self, name: str, *argv: str, **options: Any) -> subprocess.Popen[bytes]:
        process = jail.attach(self.root, name, list(argv), **{"env": {"PATH": PATH}, **options})
        self._commands.append(process)
        return process

    def close(self) -> None:
        jail.remove_all(self.root)
        for command in self._commands:
            command.wait()

    def lives(self, name: str) -> bool:
        return jail.jid(self.root, name) is not None


@pytest.fixture(scope="session")
def until() -> Callable[..., None]:
    """Wait until something is true; fail if it does not come to pass."""
    return wait_until


@pytest.fixture
def jails(tmp_path: Path, image_dir: Path) -> Iterator[Jails]:
    made = Jails(tmp_path, f"{image_dir}/web_1.0.xz")
    yield made
    made.close()


@pytest.fixture
def sim(tmp_path: Path, image_dir: Path) -> Iterator[Simulator]:
    simulator = Simulator(tmp_path, image_dir)
    yield simulator
    simulator.close()


@pytest.fixture(scope="session")
def run() -> Callable[..., Ended]:
    """Run a program, with nothing of an environment but what is given."""

    def run(*argv: str, **env: str) -> Ended:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, env=env, capture_output=True, text=True, timeout=60, check=False
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def pot_sim() -> Callable[..., Ended]:
    """Run the `pot-sim` command."""

    def run(*argv: str, **env: str) -> Ended:
        done = subprocess.run(
            [sys.executable, "-m", "pot_sim", *argv],
            env={"PATH": PATH, **env},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    return run
