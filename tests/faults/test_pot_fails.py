"""Pot fails, hangs or lies at any step: an error that says so, nothing is left, and the driver goes on."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pot_driver.operator.agent import CallFailed
from pot_driver.operator.job import PortAsk, TaskResources
from tests.faults import steps
from tests.lifecycle.scene import GATED

if TYPE_CHECKING:
    from tests.lifecycle.conftest import Stage
    from tests.lifecycle.scene import Run, Scene

pytestmark = [pytest.mark.namespaces, pytest.mark.slow, pytest.mark.timeout(300)]

# pot imports and clones one pot at a time.
SHORT = {"quick": "6s", "prepare": "25s", "start": "10s", "stop": "6s", "destroy": "10s"}


async def refused(scene: Scene, run: Run) -> str:
    """The words with which a start is refused."""
    with pytest.raises(CallFailed) as error:
        await scene.start(run)
    return str(error.value)


async def test_whatever_fails_in_a_start_is_said_and_undone(stage: Stage) -> None:
    async with stage() as scene:
        run = scene.place(GATED, config=steps.JOB)
        for word, number in steps.start():
            await scene.without_image()
            scene.wire.forget()
            scene.wire.set(word, "fail", nth=number)
            run = scene.place(after=run)
            words = await refused(scene, run)
            assert "no such luck" in words or word == "keeper", (word, words)
            assert scene.left() == []
        await goes_on(scene, run)


async def test_whatever_lies_in_a_start_is_found_out_and_undone(stage: Stage) -> None:
    async with stage() as scene:
        run = scene.place(GATED, config=steps.JOB)
        for word, number in steps.start():
            await scene.without_image()
            scene.wire.forget()
            scene.wire.set(word, "lie", nth=number)
            run = scene.place(after=run)
            await refused(scene, run)
            assert scene.left() == [], word
        await goes_on(scene, run)


@pytest.mark.parametrize("how", ["hang", "late hang"])
async def test_whatever_hangs_in_a_start_is_ended_in_time_and_undone(stage: Stage, how: str) -> None:
    words = dict.fromkeys(word for word, _ in steps.start() if (word, how) != ("pot start", "late hang"))
    del words["pot import"]  # is done once for all
    async with stage(timeouts=SHORT, max_parallel_starts=len(words)) as scene:
        runs = {word: scene.place(GATED, config=steps.JOB) for word in words}
        for word, run in runs.items():
            scene.wire.set(word, how, whose=run.config.alloc_id)
        async with asyncio.TaskGroup() as group:
            refusals = {word: group.create_task(refused(scene, run)) for word, run in runs.items()}

        for word, refusal in refusals.items():
            said = refusal.result()
            assert "took longer than" in said or "did not get as far" in said, (word, said)
        assert scene.left() == []
        await goes_on(scene, run)


@pytest.mark.parametrize("how", ["hang", "late hang"])
async def test_an_import_that_hangs_is_ended_in_time_and_done_anew(stage: Stage, how: str) -> None:
    async with stage(timeouts=SHORT | {"prepare": "8s"}) as scene:
        run = scene.place(GATED)
        await scene.without_image()
        scene.wire.set("pot import", how)
        assert "took longer than" in await refused(scene, run)
        assert scene.left() == []
        await goes_on(scene, run)


async def test_what_pot_starts_a_task_without_is_told(stage: Stage) -> None:
    async with stage() as scene:
        faults = Path(scene.root.path, "etc/faults")
        faults.write_text("pfctl\nracct\n")
        ports = TaskResources(legacy_ports=(PortAsk(label="http"),))
        run = scene.place(
            GATED, resources=ports, config={"network_mode": "public-bridge", "port_map": [{"http": "80"}]}
        )
        await scene.start(run)
        faults.unlink()

        await run.heard(b"ready\n")
        assert any("no redirection is performed" in words for words in scene.told(run))
        assert any("memory constraint" in words and "rctl is not enabled" in words for words in scene.told(run))
        await run.tell(0)
        await scene.wait(run)
        await scene.destroy(run)


async def goes_on(scene: Scene, run: Run) -> None:
    """After all that the same plugin starts a task."""
    scene.wire.forget()
    run = scene.place(after=run)
    await scene.start(run)
    await run.heard(b"ready\n")
    await run.tell(5)
    assert (await scene.wait(run)).result.exit_code == 5
    await scene.destroy(run)
    assert scene.left() == []
