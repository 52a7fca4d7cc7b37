"""`pot-driver ps`: what runs on this host, while it runs, without the plugin's help."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pot_driver.operator.job import Task

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from pot_driver.operator.installation import Installation

    from .conftest import Client

pytestmark = [pytest.mark.namespaces, pytest.mark.slow]

COMMAND = str(Path(sys.executable).parent / "pot-driver")
NAME = "a-task-whose-name-is-longer-than-thirty-letters"


def ps(sim: Installation, *arguments: str) -> subprocess.CompletedProcess[str]:
    assert sim.bin is not None
    environment = {**os.environ, "POT_SIM_ROOT": str(sim.bin.parent)}
    return subprocess.run([COMMAND, "ps", *arguments], env=environment, capture_output=True, text=True, check=False)


def shell_task(sim: Installation, script: str) -> Task:
    assert sim.bin is not None
    config = {
        "image": f"file://{sim.bin.parent}/images",
        "pot": "shell",
        "tag": "1.0",
        "network_mode": "host",
        "command": "/bin/sh",
        "args": ["-c", f"'{script}'"],
    }
    return Task(name=NAME, config=config)


async def test_a_task_is_listed_whole_while_it_runs_and_gone_after(
    sim: Installation, allocs: Path, a_client: Callable[..., AbstractAsyncContextManager[Client]]
) -> None:
    async with a_client(allocs, **sim.plugin_config) as host:
        task = shell_task(sim, "echo ready; sleep 600")
        allocation = host.allocation(task)
        logs = host.read_logs(allocation, task)
        config = allocation.task_config(task, host.agent.task_schema)
        await host.agent.start_task(config)
        await host.heard(b"ready")

        listed = json.loads((await asyncio.to_thread(ps, sim, "--json")).stdout)
        table = (await asyncio.to_thread(ps, sim)).stdout

        (line,) = [one for one in listed if one["task"] == NAME]
        assert (line["job"], line["group"], line["allocation"]) == ("job", "g", allocation.id)
        assert line["state"] == "running"
        assert line["pot"].startswith(f"{NAME}_")
        assert line["memory_bytes"] > 0
        assert line["since"].endswith("Z")
        assert line["pot"] in table
        await host.agent.destroy_task(config.id)
        for log in logs:
            await log.ended()

    assert [one for one in json.loads(ps(sim, "--json").stdout) if one["task"] == NAME] == []


def test_a_damaged_record_is_told(sim: Installation) -> None:
    assert sim.bin is not None
    home = sim.state_dir / "damaged_pot"
    home.mkdir(parents=True)
    (home / "task").write_bytes(b"\xc1")

    done = ps(sim, "--json")
    (home / "task").unlink()
    home.rmdir()

    assert done.returncode == 0, done.stderr
    (line,) = [one for one in json.loads(done.stdout) if one["pot"] == "damaged_pot"]
    assert line["state"] == "damaged"
    assert "cannot read" in line["problem"]
