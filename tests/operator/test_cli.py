"""The command line as a process: what it prints, and the status it ends with."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pot_driver import __version__

COMMAND = str(Path(sys.executable).parent / "pot-driver")
EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def pot_driver(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([COMMAND, *arguments], capture_output=True, text=True, check=False)


def test_the_version_is_the_packages() -> None:
    done = pot_driver("version")

    assert (done.returncode, done.stdout) == (0, f"pot-driver {__version__}\n")


@pytest.mark.parametrize("arguments", [(), ("frobnicate",), ("run",), ("run", "x", "--var", "nonsense")])
def test_wrong_usage_is_told(arguments: tuple[str, ...]) -> None:
    done = pot_driver(*arguments)

    assert done.returncode == 2
    assert "usage: pot-driver" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_problem_of_a_job_file_is_a_line(tmp_path: Path) -> None:
    job = tmp_path / "job.hcl"
    job.write_text('job "j" {\n group "g" {\n task "t" {\n driver = "pot"\n vault {}\n artifact {}\n }\n }\n}\n')

    done = pot_driver("run", str(job))

    assert done.returncode == 2
    assert done.stdout == ""
    assert sorted(done.stderr.splitlines()) == [
        'pot-driver: task "t": artifact needs Nomad: it cannot be run without',
        'pot-driver: task "t": vault needs Nomad: it cannot be run without',
    ]


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.nomad.hcl")), ids=lambda path: path.name)
def test_every_example_can_be_planned(example: Path) -> None:
    done = pot_driver("plan", str(example))

    assert done.returncode == 0, done.stdout + done.stderr
    assert "pot clone" in done.stdout
