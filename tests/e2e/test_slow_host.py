"""A host on which every command takes half a second longer is slow, not dead."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pot_driver.operator import installation

pytestmark = [pytest.mark.namespaces, pytest.mark.slow]

COMMAND = str(Path(sys.executable).parent / "pot-driver")
EXAMPLES = Path(__file__).parent.parent.parent / "examples"
SLOW = "slow * 0.5\n"
WAITING = "waiting for pot: it has 10 s for each command that the driver asks it"


def pot_driver(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *arguments],
        env={**os.environ, "POT_SIM_ROOT": str(root), "TMPDIR": str(root)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def test_doctor_and_run_wait_for_it_and_say_so(tmp_path: Path) -> None:
    installation.simulated(tmp_path)
    installation.pot_sim(tmp_path, "image", "create", "shell", "1.0")
    (tmp_path / "etc/faults").write_text(SLOW)

    looked = pot_driver(tmp_path, "doctor", "--plain")
    images = f"images=file://{tmp_path}/images"
    ran = pot_driver(tmp_path, "run", "--plain", str(EXAMPLES / "batch.nomad.hcl"), "--var", images)

    assert looked.returncode == 0, looked.stdout
    assert WAITING in looked.stdout
    assert "s healthy, pot 0.16" in looked.stdout
    assert ran.returncode == 3, ran.stdout
    assert WAITING in ran.stdout


def test_the_demo_shows_every_step(tmp_path: Path) -> None:
    over = threading.Event()

    def slow_down() -> None:
        while not over.wait(0.01):  # the demo makes a root of its own
            for etc in tmp_path.glob("pot-driver-demo-*/sim/etc"):
                (etc / "faults").write_text(SLOW)
                return

    slowing = threading.Thread(target=slow_down)
    slowing.start()
    try:
        shown = pot_driver(tmp_path, "demo", "--plain", str(EXAMPLES / "web.nomad.hcl"))
    finally:
        over.set()
        slowing.join()

    assert shown.returncode == 0, shown.stdout
    steps = [line.split()[0] for line in shown.stdout.splitlines()]
    assert steps.index("handshake") < steps.index("fingerprint") < steps.index("start")
    assert steps[-1] == "destroy"
