"""Many pots at once: lifecycles at random with kill -9 thrown in, and thirty servers side by side.

Not here: what each command must do (all other tests).
"""

# ruff: noqa: PTH110  (names in directories and in /proc are plain texts here)

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pot_sim import doctor, images, registry

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Ended, Running, Simulator

pytestmark = [pytest.mark.namespaces, pytest.mark.slow]

LIVES, AT_ONCE, SEED = 200, 8, 20260
POTS = 30
PATIENCE_S = 90  # a pot that is not gone by then never will be
WAYS_OUT = {"starting": "doa", "stopping": "stopped"}  # of a state whose command was killed
COMMANDS = (
    "/bin/true",
    "/bin/sh -c 'sleep 0.3; exit 3'",
    "/bin/sleep 1000",
    "/bin/sh -c 'sleep 1000 & sleep 1001 & wait'",
    "/bin/sh -c 'trap : TERM; while :; do sleep 0.2; done'",
)
SERVER = """
import os, socket
listener = socket.create_server(('', 8080))
while True:
    connection, _ = listener.accept()
    with connection:
        connection.sendall(os.environ['_POT_NAME'].encode())
"""


class Life:
    """One pot from prepare to destroy, with accidents."""

    def __init__(self, sim: Simulator, number: int) -> None:
        self.sim = sim
        self.dice = random.Random(SEED + number)
        self.name = f"life{number}_a1"
        self.said: list[Ended] = []

    def pot(self, *argv: str) -> Ended:
        ended = self.sim.pot(*argv)
        self.said.append(ended)
        return ended

    def live(self) -> Life:
        self.prepare()
        if self.pot("info", "-qp", self.name).status == 0:
            self.settle()
            self.run()
        self.end()
        return self

    def prepare(self) -> None:
        network = self.dice.choice([[], ["-N", "public-bridge", "-e", f"{self.dice.randrange(1024, 9000)}"]])
        command = ["-c", f'"{self.dice.choice(COMMANDS)}"']
        where = ["-U", self.sim.images, "-p", "web", "-t", "1.0", "-a", "a1", "-n", self.name.removesuffix("_a1")]
        preparing = self.sim.background("prepare", *where, *network, *command)
        if self.dice.random() < 0.1:
            self.kill_after(preparing, 0.5, group=True)
        self.said.append(preparing.ended())

    def settle(self) -> None:
        for words in self.dice.sample(
            [
                ["set-env", "-p", self.name, "-E", "A=b"],
                ["set-rss", "-p", self.name, "-M", "64M"],
                ["set-attribute", "-p", self.name, "-A", "stop_timeout", "-V", "1"],
                ["mount-in", "-p", self.name, "-d", str(self.sim.host), "-m", "/mnt/host"],
                ["copy-in", "-p", self.name, "-s", "/etc/passwd", "-d", "/root/passwd"],
            ],
            k=self.dice.randrange(4),
        ):
            self.pot(*words)
        self.pot("set-attribute", "-p", self.name, "-A", "stop_timeout", "-V", "1")

    def run(self) -> None:
        starting = self.sim.background("start", "-p", self.name)
        accident = self.dice.choice([self.nothing, self.kill_start, self.kill_group, self.kill_app, self.ask])
        accident(starting)
        if self.dice.random() < 0.7:
            stopping = self.sim.background("stop", "-p", self.name)
            if self.dice.random() < 0.3:
                self.kill_after(stopping, 1.5)
            self.said.append(stopping.ended())

    def nothing(self, _: Running) -> None:
        time.sleep(self.dice.uniform(0, 1.5))

    def kill_start(self, starting: Running) -> None:
        self.kill_after(starting, 1.2)

    def kill_group(self, starting: Running) -> None:
        self.kill_after(starting, 1.2, group=True)

    def kill_app(self, _: Running) -> None:
        time.sleep(self.dice.uniform(0, 1.2))
        record = registry.running(self.sim.root.run, self.name)
        for pid in registry.pids(record) if record else []:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def ask(self, _: Running) -> None:
        time.sleep(self.dice.uniform(0, 1.2))
        for words in (["exec", "-p", self.name, "true"], ["get-rss", "-p", self.name, "-J"], ["info", "-p", self.name]):
            self.pot(*words)
        self.pot("signal", "-p", self.name, "-s", "TERM")

    def kill_after(self, running: Running, most_s: float, *, group: bool = False) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.process.wait(self.dice.uniform(0, most_s))
            return
        (os.killpg if group else os.kill)(running.process.pid, signal.SIGKILL)

    def end(self) -> None:
        """As an operator would, until the pot is gone and stays so."""
        deadline = time.monotonic() + PATIENCE_S
        while os.path.exists(self.sim.root.jail(self.name)) or self.sim.lives(self.name):
            assert time.monotonic() < deadline, f"{self.name} cannot be got rid of: {self.said[-3:]}"
            way_out = WAYS_OUT.get(self.sim.state(self.name))
            if way_out and self.dice.random() < 0.5:  # else whoever is at it may still do it
                self.pot("set-status", "-p", self.name, "-s", way_out)
            self.pot("stop", "-p", self.name)
            self.pot("destroy", "-F", "-p", self.name)


@pytest.mark.timeout(1200)
def test_random_lives_leave_nothing_behind(sim: Simulator) -> None:
    sim.ok(f"import -p web -t 1.0 -U {sim.images}")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        lives = list(pool.map(lambda number: Life(sim, number).live(), range(LIVES)))

    wrong = [ended for life in lives for ended in life.said if "Traceback" in ended.err]
    assert wrong == []
    assert sum(ended.status == 0 for life in lives for ended in life.said) > 4 * LIVES
    last = sim.prepare("last", "/bin/sleep 1000")  # no lock is held
    starting = sim.start(last)  # and what ended unseen is swept up
    assert sim.pot("stop", last).status == 0
    assert starting.ended().status in (0, 125)
    assert sim.pot("destroy", "-p", last).status == 0
    assert doctor.leftovers(sim.root) == []
    assert sim.pot("ls", "-q").lines == ["web_1_0"]
    assert registry.recorded(sim.root.run) == []
    assert _left_in(sim) == []


def _left_in(sim: Simulator) -> list[str]:
    """Files of pots that are gone, but for what pot itself forgets, as the status of a start that outlives its pot."""
    run, tmp = Path(sim.root.run), Path(sim.root.tmp)
    forgotten = ("pot_main_pid_", "pot-lock-", "pot-set-hosts", "pot_environment_", "pot_pfrules_", "pot_status_")
    return [
        *(str(path) for place in ("jails", "pcpu") for path in (run / place).glob("*")),
        *(str(path) for path in run.iterdir() if ".life" in path.name),
        *(str(path) for path in tmp.iterdir() if not path.name.startswith(forgotten)),
    ]


@pytest.fixture
def ports() -> list[int]:
    """So many free ones."""
    sockets = [socket.create_server(("", 0)) for _ in range(POTS)]
    found = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return found


@pytest.mark.timeout(600)
def test_thirty_pots_at_once_each_answer_on_their_port(
    sim: Simulator, tmp_path: Path, ports: list[int], until: Callable[..., None]
) -> None:
    files = tmp_path / "files"
    files.mkdir()
    (files / "server.py").write_text(SERVER)
    images.create(sim.root, "server", "1.0", from_dir=str(files), cmd="python3 /server.py", network="public-bridge")
    where = ["-U", f"file://{sim.root.images}", "-p", "server", "-t", "1.0", "-a", "a1"]
    names = [f"s{number}_a1" for number in range(POTS)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for name, port in zip(names, ports, strict=True):
            prepared = ["prepare", *where, "-n", name.removesuffix("_a1"), "-e", f"8080:{port}"]
            assert sim.pot(*prepared, "-c", '"python3 /server.py"').status == 0
        starts = [sim.background("start", "-p", name) for name in names]
        for name, port in zip(names, ports, strict=True):
            until(lambda port=port, name=name: _answer(port) == name, 120)
        assert len(jids := [line.split()[0] for line in _jls(sim)]) == POTS
        assert len(set(jids)) == POTS
        for ended in pool.map(lambda name: sim.pot("stop", "-p", name), names):
            assert ended.status == 0, ended
        for start in starts:
            assert start.ended().status in (0, 125)
        for ended in pool.map(lambda name: sim.pot("destroy", "-p", name), names):
            assert ended.status == 0, ended
    assert [_answer(port) for port in ports] == [""] * POTS
    assert doctor.leftovers(sim.root) == []


def _answer(port: int) -> str:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            return client.recv(100).decode()
    except OSError:
        return ""


def _jls(sim: Simulator) -> list[str]:
    listed = subprocess.run([sim.root.bin + "/jls", "jid", "name"], env={}, capture_output=True, text=True, check=True)
    return listed.stdout.splitlines()
