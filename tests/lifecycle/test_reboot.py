"""After a reboot a task is started afresh, and what it left goes; an end that was written down before is told."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pot_driver.operator.agent import CallFailed
from tests.lifecycle.scene import GATED, QUIET

if TYPE_CHECKING:
    from tests.lifecycle.conftest import Stage

pytestmark = [pytest.mark.namespaces, pytest.mark.slow]


@pytest.mark.parametrize("var_run", ["kept", "wiped", "cleaned"])
async def test_a_running_task_is_lost_and_starts_afresh(stage: Stage, var_run: str) -> None:
    async with stage() as scene:
        run = await scene.begin(QUIET)
        await scene.reboot(var_run=var_run)
        with pytest.raises(CallFailed, match=r"cannot recover task .* the host was restarted"):
            await scene.recover(run)
        await scene.until_told("The task is lost: the host was restarted")
        await scene.destroy(run)
        assert scene.left() == []

        again = scene.place(after=run)
        await scene.start(again)
        await scene.stop(again)
        assert (await scene.wait(again)).result.exit_code
        await scene.destroy(again)
        assert scene.left() == []


@pytest.mark.parametrize("var_run", ["kept", "wiped", "cleaned"])
async def test_an_end_before_the_reboot_is_told_after_it(stage: Stage, var_run: str) -> None:
    async with stage() as scene:
        run = await scene.begin(GATED)
        await scene.crash()
        await run.tell(5)
        await run.silent()
        await scene.reboot(var_run=var_run)
        await scene.recover(run)

        assert (await scene.wait(run)).result.exit_code == 5
        await scene.destroy(run)
        assert scene.left() == []


async def test_a_clock_that_was_set_is_no_reboot(stage: Stage) -> None:
    async with stage() as scene:
        run = await scene.begin(GATED)
        await scene.crash()
        boot_id = (await scene.command("sysctl", "-n", "kern.boot_id"))[1].strip()
        Path(scene.root.path, "etc/boot").write_text(f"4000000000 {boot_id or 'none'}\n")
        await scene.launch()
        await scene.recover(run)
        await run.tell(3)
        assert (await scene.wait(run)).result.exit_code == 3
        await scene.destroy(run)
        assert scene.left() == []
