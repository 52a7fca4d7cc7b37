"""Pots that belong to no task are found and removed; nobody else's are, and none that may still find its owner."""

from __future__ import annotations

import asyncio
import shutil
import uuid
from typing import TYPE_CHECKING

import pytest

from tests.lifecycle.scene import GATED, QUIET

if TYPE_CHECKING:
    from tests.lifecycle.conftest import Stage
    from tests.lifecycle.scene import Scene

pytestmark = [pytest.mark.namespaces, pytest.mark.slow]

SOON = {"period": "1s", "creation_grace": "2s"}


async def pot_of_another_client(scene: Scene) -> str:
    """With a name like ours, and a mount from another allocation directory."""
    theirs = scene.path / "others" / str(uuid.uuid4()) / "t/local"
    theirs.mkdir(parents=True)
    words = ["-U", f"file://{scene.root.path}/images", "-p", "shell", "-t", "1.0", "-N", "host", "-c", "/bin/true"]
    suffix = f"{uuid.uuid4().hex[:8]}_{uuid.uuid4()}"
    assert (await scene.pot("prepare", *words, "-n", "t", "-a", suffix))[0] == 0
    assert (await scene.pot("mount-in", "-p", f"t_{suffix}", "-d", str(theirs), "-m", "/local"))[0] == 0
    return f"t_{suffix}"


async def test_an_orphan_is_removed_and_nobody_elses_pot_is(stage: Stage) -> None:
    async with stage() as scene:
        owned, orphan = await scene.begin(GATED), await scene.begin(QUIET)
        other = await pot_of_another_client(scene)
        await scene.crash()
        await scene.launch(reconciler=SOON)
        await scene.recover(owned)
        await scene.until_told(f"Removed pot {orphan.pot}, which belonged to no task")

        assert any(line.message == "pot without a task" and line.level == "warn" for line in scene.log)
        assert sorted(scene.pots()) == sorted([owned.pot, other])
        assert scene.jails() == [owned.pot]
        await owned.tell(3)
        assert (await scene.wait(owned)).result.exit_code == 3
        await scene.destroy(owned)
        assert (await scene.pot("destroy", "-p", other))[0] == 0
        assert scene.left() == []


async def test_a_plugin_that_no_task_has_come_to_removes_what_lost_its_allocation(stage: Stage) -> None:
    """It does not know yet where this client's allocations lie."""
    async with stage() as scene:
        orphan = await scene.begin(QUIET)
        await scene.crash()
        shutil.rmtree(orphan.allocation.dir)
        await scene.launch(reconciler=SOON)
        await scene.until_told(f"Removed pot {orphan.pot}, which belonged to no task")

        assert scene.left() == []


async def test_a_dry_run_only_says_what_it_would_do(stage: Stage) -> None:
    async with stage() as scene:
        owned, orphan = await scene.begin(GATED), await scene.begin(QUIET)
        await scene.crash()
        await scene.launch(reconciler={**SOON, "dry_run": True})
        await scene.recover(owned)
        for _ in range(2):
            await scene.until_logged("pot without a task")
            scene.log.clear()

        assert scene.jail_lives(orphan)
        assert not any(event.message.startswith("Removed pot") for event in scene.events)


async def test_without_an_agent_nothing_is_removed(stage: Stage) -> None:
    async with stage(reconciler=SOON) as scene:
        run = await scene.begin(GATED)
        await scene.crash_agent()
        await asyncio.sleep(5)  # longer than period and grace: that nothing happens is not an event
        await scene.reattach()
        await scene.recover(run)

        assert scene.jails() == [run.pot]
        await run.tell(4)
        assert (await scene.wait(run)).result.exit_code == 4
        await scene.destroy(run)
        assert scene.left() == []


async def test_a_task_that_nobody_waits_for_goes_with_its_allocation_and_not_before(stage: Stage) -> None:
    async with stage(reconciler=SOON) as scene:
        kept, lonely = await scene.begin(GATED), await scene.begin(QUIET)
        orphans_gone = scene.until_logged("task without an allocation")
        shutil.rmtree(lonely.allocation.dir)
        await orphans_gone
        while scene.jail_lives(lonely) or lonely.pot in scene.pots():  # noqa: ASYNC110 - it is said before it is done
            await asyncio.sleep(0.1)

        assert scene.jails() == [kept.pot]
        await scene.destroy(kept)
        assert scene.left() == []
