"""The demo shows every step, again and again, also after it was killed, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.namespaces, pytest.mark.slow]

COMMAND = str(Path(sys.executable).parent / "pot-driver")
JOB = Path(__file__).parent.parent.parent / "examples/web.nomad.hcl"
PREPARED = ["pot-sim", "image", "handshake", "fingerprint"]
STEPS = [*PREPARED, "download", "start", "http", "log", "exec", "stats", "recover", "stop", "destroy"]


def start(tmp_path: Path, *launcher: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*launcher, COMMAND, "demo", "--plain", str(JOB)],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        process_group=0,
    )


def assert_shows_all(tmp_path: Path, *launcher: str) -> None:
    with start(tmp_path, *launcher) as demo:
        output, _ = demo.communicate()

    assert demo.returncode == 0, output
    lines = [line.split() for line in output.splitlines()]
    assert [line[0] for line in lines] == STEPS
    assert all(float(line[1]) >= 0 and line[2] == "s" for line in lines)
    assert list(tmp_path.iterdir()) == []


def test_it_shows_every_step_with_its_seconds_and_can_be_run_again(tmp_path: Path) -> None:
    assert_shows_all(tmp_path)
    assert_shows_all(tmp_path)


def test_one_need_not_be_root(tmp_path: Path) -> None:
    assert_shows_all(tmp_path, "unshare", "--user", "--map-user=1000", "--map-group=1000")


@pytest.mark.parametrize("step", ["pot-sim", "handshake", "download", "start", "exec", "recover", "stop"])
def test_killed_after_any_step_it_can_be_run_again(tmp_path: Path, step: str) -> None:
    with start(tmp_path) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if line.startswith(step):
                break
        demo.kill()
    assert_shows_all(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_cleans_up(tmp_path: Path, number: signal.Signals) -> None:
    with start(tmp_path) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if line.startswith("handshake"):  # most of it is still to come
                break
        os.killpg(demo.pid, number)
        output, _ = demo.communicate()

    assert demo.returncode == 130
    assert output.endswith(" s interrupted\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_interrupted_while_it_makes_its_image_it_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    with start(tmp_path) as demo:
        assert demo.stdout is not None
        assert demo.stdout.readline().startswith("pot-sim")
        os.killpg(demo.pid, number)
        os.killpg(demo.pid, number)
        demo.communicate()

    assert demo.returncode == 130
    assert list(tmp_path.iterdir()) == []
