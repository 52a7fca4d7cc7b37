"""A host without a working pot: the plugin starts all the same, answers at once, and says what is the matter."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import pytest

from pot_driver._proto.plugins.drivers.proto import driver_pb2

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.conftest import ScriptedPot

Health = driver_pb2.FingerprintResponse.HealthState


@pytest.mark.namespaces
async def test_without_pot_the_driver_is_undetected_and_says_so(
    tmp_path: Path, allocs: Path, a_client: Any, as_root: tuple[str, ...]
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    config = {"host_path": f"{empty}:/usr/bin:/bin", "state_dir": str(tmp_path / "state")}
    async with a_client(allocs, launcher=as_root, **config) as client:
        answer = await client.agent.fingerprint()

    assert answer.health == Health.UNDETECTED
    assert "pot" in answer.health_description
    assert str(empty) in answer.health_description


@pytest.mark.namespaces
async def test_with_a_pot_that_hangs_the_first_answer_comes_before_pot_ends(
    scripted: ScriptedPot, allocs: Path, a_client: Any, as_root: tuple[str, ...]
) -> None:
    asked = scripted.root / "asked"
    os.mkfifo(asked)
    scripted.script("pot", f"trap '' TERM\n: >{asked}\nwhile kill -0 $PPID; do sleep 0.2; done")
    waiting = asyncio.create_task(asyncio.to_thread(asked.read_bytes))
    async with a_client(allocs, launcher=as_root, **scripted.config) as client:
        await waiting  # pot runs, for as long as the plugin does
        answer = await client.agent.fingerprint()

        assert answer.health in {Health.UNDETECTED, Health.UNHEALTHY}
        assert "pot" in answer.health_description


async def test_a_disabled_driver_answers_and_never_asks_pot(scripted: ScriptedPot, allocs: Path, a_client: Any) -> None:
    async with a_client(allocs, enabled=False, **scripted.config) as client:
        answer = await client.agent.fingerprint()

    assert answer.health == Health.UNDETECTED
    assert "enabled" in answer.health_description
    assert scripted.calls == []
