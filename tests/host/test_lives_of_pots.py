"""What a task lives through on this very host: the real plugin process, real pots, and nothing left of them.

These are the tests of `scripts/test --host`. They look at the host by its own commands only.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pot_driver.operator.agent import CallFailed

if TYPE_CHECKING:
    from .realhost import Client, PotHost

SIMULATED = platform.system() != "FreeBSD"
pytestmark = [pytest.mark.host, pytest.mark.slow, pytest.mark.timeout(600), *[pytest.mark.namespaces] * SIMULATED]

QUIET = 'trap "exit 7" TERM; echo ready; while :; do sleep 1 & wait $!; done'
GATED = "echo ready; until [ -e /local/go ]; do sleep 0.2; done; exit "


@pytest.mark.parametrize("code", [0, 3])
async def test_the_exit_code_and_the_output_are_the_tasks_own(client: Client, code: int) -> None:
    life = client.life(f"echo out; echo err >&2; exit {code}")
    await life.start()
    ended = await life.ended()

    assert (ended.result.exit_code, ended.result.signal, ended.err) == (code, 0, "")
    assert (life.output["stdout"], life.output["stderr"]) == (b"out\n", b"err\n")
    assert await life.undo() == []


async def test_a_task_is_told_by_name_what_kills_it(client: Client) -> None:
    life = client.life("kill -KILL $$")
    await life.start()
    ended = await life.ended()

    assert (ended.result.exit_code, ended.result.signal) == (137, 9)
    assert await life.undo() == []


async def test_commands_run_inside_and_signals_arrive(client: Client) -> None:
    life = await client.begin(f'trap "echo heard" USR1; {QUIET}', env={"GREETING": "it's $HOME"})
    done = await client.agent.exec_task(life.config.id, ("/bin/sh", "-c", 'echo "$GREETING"; exit 4'), 60)
    await life.settled()
    await client.agent.signal_task(life.config.id, "SIGUSR1")
    await life.heard(b"heard\n")
    await client.agent.stop_task(life.config.id, 30, "SIGTERM")
    ended = await life.ended()

    assert (done.stdout, done.result.exit_code) == (b"it's $HOME\n", 4)
    assert ended.result.exit_code == 7
    assert await life.undo() == []


async def test_a_task_that_will_not_end_is_ended(client: Client) -> None:
    life = await client.begin('trap "" TERM INT; echo ready; while :; do sleep 1; done')
    await client.agent.stop_task(life.config.id, 2, "SIGINT")
    ended = await life.ended()

    assert ended.result.exit_code or ended.result.signal
    assert await life.undo() == []


async def test_a_killed_plugin_is_followed_by_one_that_takes_the_task_over(client: Client) -> None:
    life = await client.begin(GATED + "5")
    await life.settled()
    await client.agent.plugin.crash()
    life.open_gate()
    ended = await life.ended()

    assert len(client.plugins) == 2
    assert (ended.result.exit_code, ended.err) == (5, "")
    assert life.output["stdout"] == b"ready\n"
    assert await life.undo() == []


async def test_a_killed_keeper_takes_neither_the_task_nor_its_code(client: Client) -> None:
    life = await client.begin(GATED + "6")
    await life.settled()
    await life.kill_keeper()
    life.open_gate()
    ended = await life.ended()

    assert ended.result.exit_code == 6
    assert await life.undo() == []


async def test_a_killed_pot_start_makes_the_code_unknown_and_never_a_success(client: Client) -> None:
    life = await client.begin(GATED + "0")
    await life.settled()
    await life.kill("start", "-p", life.pot)
    life.open_gate()
    ended = await life.ended()

    assert ended.result.exit_code != 0
    assert "exit code unknown" in ended.err
    assert await life.undo() == []


async def test_a_running_task_is_destroyed_by_force(client: Client) -> None:
    life = await client.begin(QUIET)

    assert await life.undo() == []


async def test_an_image_that_is_not_there_fails_the_start_in_clear_words(client: Client) -> None:
    life = client.life("exit 0")
    life.task.config["pot"] = "nonesuch"  # type: ignore[index] - the dictionary of `life`
    life.config = life.allocation.task_config(life.task, client.agent.task_schema)
    with pytest.raises(CallFailed, match="nonesuch"):
        await life.start()

    assert await life.undo() == []


def test_doctor_finds_this_host_healthy(pot_host: PotHost) -> None:
    command = str(Path(sys.executable).parent / "pot-driver")
    root = {"POT_SIM_ROOT": str(Path(pot_host.host_path.split(":")[0]).parent)}  # of no meaning on FreeBSD
    done = subprocess.run(
        [command, "doctor", "--plain"], env={**os.environ, **root}, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert " s healthy, pot " in done.stdout
