"""pot-sim without root: in a user namespace, all of whose commands meet in it.

The test's processes give up what an ordinary user lacks: every capability but one, without which not even their own
user can be mapped to root while that is root itself.

Not here: what pots do (all other tests; they run as whoever runs them).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pot_sim import linux, privilege
from pot_sim.root import Root

if TYPE_CHECKING:
    from conftest import Ended

pytestmark = pytest.mark.namespaces
SETFCAP = 31
PATH = "/sbin:/bin:/usr/sbin:/usr/bin"


class House:
    """A root whose commands are run without any privilege."""

    def __init__(self, place: Path) -> None:
        self.root = Root(str(place / "root"))
        self._started: list[subprocess.Popen[bytes]] = []

    def popen(self, *argv: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            argv,
            env={"PATH": f"{self.root.bin}:{PATH}", "HOME": "/root", "POT_SIM_ROOT": self.root.path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=lambda: linux.limit_capabilities(frozenset({SETFCAP})),  # noqa: PLW1509 - one thread
        )
        self._started.append(process)
        return process

    def run(self, *argv: str) -> tuple[int, str, str]:
        process = self.popen(*argv)
        out, err = process.communicate(timeout=60)
        return process.returncode, out.decode(), err.decode()

    def pot(self, *argv: str) -> str:
        status, out, err = self.run(f"{self.root.bin}/pot", *argv)
        assert status == 0, (argv, out, err)
        return out

    def pot_sim(self, *argv: str) -> str:
        status, out, err = self.run(sys.executable, "-m", "pot_sim", *argv)
        assert status == 0, (argv, out, err)
        return out

    def close(self) -> None:
        self.pot_sim("reset")
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.communicate()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    made.pot_sim("init")
    made.pot_sim("image", "create", "web", "1.0")
    yield made
    made.close()


@pytest.mark.slow
def test_without_privileges_a_pot_runs_all_the_same(house: House, until: Callable[..., None], tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "file").write_text("from the host")
    for name in ("one", "two"):
        options = ["-N", "public-bridge", "-c", '"/bin/sleep 1000"', "-U", f"file://{house.root.images}"]
        house.pot("prepare", "-p", "web", "-t", "1.0", "-a", "a1", "-n", name, *options)
    house.pot("mount-in", "-p", "one_a1", "-d", str(tmp_path / "data"), "-m", "/data", "-r")
    house.pot("copy-in", "-p", "one_a1", "-s", str(tmp_path / "data" / "file"), "-d", "/copied")
    started = [house.popen(f"{house.root.bin}/pot", "start", f"{name}_a1") for name in ("one", "two")]
    status = [Path(house.root.tmp) / f"pot_status_{name}_a1" for name in ("one", "two")]
    until(lambda: all(file.exists() and "started" in file.read_text() for file in status))

    seen = house.pot("exec", "-p", "one_a1", "sh", "-c", "id -u; cat /data/file /copied; touch /data/x || echo no")
    assert seen == "0\nfrom the hostfrom the hostno\n"
    server = "import socket; s = socket.create_server(('', 80)); c, a = s.accept(); print(a[0])"
    waiting = house.popen(f"{house.root.bin}/pot", "exec", "-p", "one_a1", "python3", "-c", server)
    client = "import socket; socket.create_connection(('10.192.0.3', 80))"
    until(lambda: house.run(f"{house.root.bin}/pot", "exec", "-p", "two_a1", "python3", "-c", client)[0] == 0)
    assert waiting.communicate()[0] == b"10.192.0.4\n"

    assert sorted(house.run(f"{house.root.bin}/jls", "name")[1].split()) == ["one_a1", "two_a1"]
    for process, name in zip(started, ("one", "two"), strict=True):
        house.pot("stop", f"{name}_a1")
        process.communicate(timeout=30)
        house.pot("destroy", "-p", f"{name}_a1")
    assert house.pot_sim("doctor") == "pots can run here: yes\n"


def test_the_namespace_is_one_and_comes_again(house: House) -> None:
    house.pot("create-private-bridge", "-B", "one", "-S", "5")
    holder = privilege.holder_of(house.root)
    assert holder
    house.pot("destroy", "-B", "one")
    assert privilege.holder_of(house.root) == holder
    os.kill(holder, signal.SIGKILL)
    house.pot("create-private-bridge", "-B", "two", "-S", "5")
    assert privilege.holder_of(house.root) not in (0, holder)


def test_the_privileged_need_none(tmp_path: Path, run: Callable[..., Ended]) -> None:
    if not privilege.is_capable():
        pytest.skip("this user is not root")
    root = Root(str(tmp_path / "root"))
    assert run(sys.executable, "-m", "pot_sim", "--root", root.path, "init").status == 0
    assert run(f"{root.bin}/pot", "create-private-bridge", "-B", "one", "-S", "5").status == 0
    assert privilege.holder_of(root) == 0
