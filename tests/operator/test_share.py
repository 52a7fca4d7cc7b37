"""Man pages, completion and the words by which the three commands introduce themselves."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pot_driver import __version__

ROOT = Path(__file__).parent.parent.parent
BIN = Path(sys.executable).parent
COMMANDS = ("pot-driver", "nomad-pot-driver", "pot-sim")


def said(*argv: str | Path) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_says_its_version_and_what_it_is_for(command: str) -> None:
    assert said(BIN / command, "--version") == f"{command} {__version__}\n"
    assert said(BIN / command, "--help").startswith(f"usage: {command}")


def test_pages_and_completion_are_those_of_the_commands() -> None:
    assert said(sys.executable, ROOT / "scripts/gen-share", "--check") == ""


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash here")
@pytest.mark.parametrize(
    ("line", "one"),
    [
        (("pot-driver", "do"), "doctor"),
        (("pot-driver", "ps", "--wa"), "--watch"),
        (("pot-sim", "re"), "reset"),
    ],
)
def test_bash_completes_commands_and_options(line: tuple[str, ...], one: str) -> None:
    share = ROOT / ("share" if line[0] == "pot-driver" else "src/pot_sim/share")
    script = (
        f". {share}/bash-completion/completions/{line[0]}; COMP_WORDS=({' '.join(line)}); COMP_CWORD={len(line) - 1}; "
        f'_{line[0].replace("-", "_")}; printf "%s\\n" "${{COMPREPLY[@]}}"'
    )

    assert one in said("bash", "-c", script).split()
