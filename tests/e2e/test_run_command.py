"""`pot-driver run`: jobs as people run them, on pot-sim."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pot_driver.operator.installation import Installation

pytestmark = pytest.mark.namespaces

COMMAND = str(Path(sys.executable).parent / "pot-driver")
EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def root_of(sim: Installation) -> Path:
    assert sim.bin is not None
    return sim.bin.parent


@contextmanager
def running(sim: Installation, tmp_path: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The command, in a process group of its own, as a terminal has it."""
    environment = {**os.environ, "POT_SIM_ROOT": str(root_of(sim)), "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [COMMAND, "run", "--plain", *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        process_group=0,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def run(sim: Installation, tmp_path: Path, *arguments: str) -> tuple[int, list[str]]:
    with running(sim, tmp_path, *arguments) as process:
        output, _ = process.communicate()
    assert list(tmp_path.glob("pot-driver-run.*")) == []
    return process.returncode, output.splitlines()


def until(process: subprocess.Popen[str], word: str) -> list[str]:
    """The lines up to the one with this word."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if word in line:
            return lines
    raise AssertionError(f"no line has {word!r}: {''.join(lines)}")


def job_file(
    tmp_path: Path, sim: Installation, script: str, image: str = "", pot: str = "shell", **task: object
) -> str:
    path = tmp_path / "job.json"
    config = {
        "image": image or f"file://{root_of(sim)}/images",
        "pot": pot,
        "tag": "1.0",
        "network_mode": "host",
        "command": "/bin/sh",
        "args": ["-c", f"'{script}'"],
    }
    tasks = [{"Name": "t", "Driver": "pot", "Config": config, **task}]
    path.write_text(json.dumps({"ID": "j", "TaskGroups": [{"Name": "g", "Tasks": tasks}]}))
    return str(path)


@pytest.mark.slow
def test_the_exit_status_is_the_tasks_and_its_lines_are_shown(sim: Installation, tmp_path: Path) -> None:
    images = f"images=file://{root_of(sim)}/images"

    status, lines = run(sim, tmp_path, str(EXAMPLES / "batch.nomad.hcl"), "--var", images)

    assert status == 3, lines
    assert "pot-sim" in lines[0]
    assert [line.split()[0] for line in lines if " s " in line][:3] == ["handshake", "fingerprint", "start"]
    assert "date stdout: hello from date" in lines
    assert any("exit code 3" in line for line in lines)


def test_ctrl_c_stops_the_task_as_the_job_says(sim: Installation, tmp_path: Path) -> None:
    script = 'trap "echo bye; exit 7" USR1; echo ready; while :; do sleep 1 & wait $!; done'
    job = job_file(tmp_path, sim, script, KillSignal="SIGUSR1", KillTimeout=20_000_000_000)

    with running(sim, tmp_path, job) as process:
        until(process, "t stdout: ready")
        os.killpg(process.pid, signal.SIGINT)
        output, _ = process.communicate()

    assert "t stdout: bye" in output
    assert process.returncode == 7
    assert list(tmp_path.glob("pot-driver-run.*")) == []


@pytest.mark.slow
def test_ctrl_c_twice_stops_it_at_once(sim: Installation, tmp_path: Path) -> None:
    script = 'trap "echo deaf" TERM INT; echo ready; while :; do sleep 1; done'
    job = job_file(tmp_path, sim, script, KillTimeout=600_000_000_000)

    with running(sim, tmp_path, job) as process:
        until(process, "t stdout: ready")
        os.killpg(process.pid, signal.SIGINT)
        until(process, "stopping;")
        os.killpg(process.pid, signal.SIGINT)
        process.communicate()

    assert process.returncode not in {0, None}


@pytest.mark.slow
def test_ctrl_c_twice_gives_up_a_start_that_hangs(sim: Installation, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        images = f"http://127.0.0.1:{silent.getsockname()[1]}"
        job = job_file(tmp_path, sim, "exit 0", image=images, pot="other")

        with running(sim, tmp_path, job) as process:
            until(process, "Downloading image")
            os.killpg(process.pid, signal.SIGINT)
            until(process, "stopping;")
            os.killpg(process.pid, signal.SIGINT)
            output, _ = process.communicate()

    assert process.returncode == 1, output
    assert list(tmp_path.glob("pot-driver-run.*")) == []


@pytest.mark.slow
def test_when_the_leader_ends_the_others_are_stopped(sim: Installation, tmp_path: Path) -> None:
    images = f"images=file://{root_of(sim)}/images"

    status, lines = run(sim, tmp_path, str(EXAMPLES / "pair.nomad.hcl"), "--var", images)

    assert status == 0, lines  # the leader's
    assert "task reader has ended with exit code 143, signal 15" in lines
    assert [line for line in lines if line.startswith("reader stdout")] == [
        f"reader stdout: {word}" for word in ("one", "two", "three")
    ]


@pytest.mark.slow
def test_an_image_that_is_not_there_is_told_and_nothing_stays(sim: Installation, tmp_path: Path) -> None:
    job = job_file(tmp_path, sim, "exit 0")
    broken = json.loads(Path(job).read_text())
    broken["TaskGroups"][0]["Tasks"][0]["Config"]["tag"] = "9.9"
    Path(job).write_text(json.dumps(broken))

    status, lines = run(sim, tmp_path, job)

    assert status == 1
    assert any(line.startswith("start ") and "failed" in line and "9.9" in line for line in lines), lines


ENDLESS = 'trap "echo bye; exit 7" TERM; echo ready; while :; do sleep 1 & wait $!; done'


def left_by(sim: Installation) -> list[str]:
    """The task's pots and what the driver keeps of them."""
    places = [root_of(sim) / "opt/pot/jails", root_of(sim) / "driver"]
    return [entry.name for place in places if place.exists() for entry in place.iterdir() if entry.name[:2] == "t_"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_hang_up_leaves_no_pot(sim: Installation, tmp_path: Path, number: signal.Signals) -> None:
    with running(sim, tmp_path, job_file(tmp_path, sim, ENDLESS)) as process:
        until(process, "t stdout: ready")
        process.send_signal(number)
        process.communicate()

    assert process.returncode == 7
    assert left_by(sim) == []
    assert list(tmp_path.glob("pot-driver-run.*")) == []


@pytest.mark.slow
def test_a_reader_that_goes_away_leaves_no_pot(sim: Installation, tmp_path: Path) -> None:
    talking = "echo ready; while :; do echo more; sleep 0.2; done"

    with running(sim, tmp_path, job_file(tmp_path, sim, talking)) as process:
        until(process, "t stdout: ready")
        assert process.stdout is not None
        process.stdout.close()
        process.wait()

    assert left_by(sim) == []
    assert list(tmp_path.glob("pot-driver-run.*")) == []


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_an_encoding_without_our_signs_ends_no_run(
    sim: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", encoding)

    status, lines = run(sim, tmp_path, job_file(tmp_path, sim, "echo €uro → there"))

    assert status == 0, lines
    assert "t stdout: \\u20acuro -> there" in lines
    assert left_by(sim) == []


@pytest.mark.slow
def test_what_a_killed_run_has_left_is_told_and_removed_by_the_next(sim: Installation, tmp_path: Path) -> None:
    with running(sim, tmp_path, job_file(tmp_path, sim, ENDLESS)) as process:
        until(process, "runs in pot")  # before, the plugin undoes the start
        process.kill()
        process.wait()
    pots = left_by(sim)
    job = job_file(tmp_path, sim, "echo done")

    with running(sim, tmp_path, job) as second:
        told, _ = second.communicate()
    status, lines = run(sim, tmp_path, "--clean", job)

    assert pots
    assert all(f"pot {pot}" in told for pot in pots), told
    assert "--clean" in told
    assert status == 0, lines
    assert left_by(sim) == []
