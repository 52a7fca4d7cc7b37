"""What sequences of accidents have found once stays true."""

from __future__ import annotations

import asyncio

import pytest

from .house import House, until
from .life import PLAIN
from .nomad import BEGUN, a_nomad

pytestmark = [pytest.mark.namespaces, pytest.mark.slow]


@pytest.mark.parametrize("state_dir", ["kept", "emptied", "lost"])
async def test_a_start_that_a_reboot_cuts_short_leaves_no_pot(house: House, state_dir: str) -> None:
    async with a_nomad(house) as nomad:
        life = nomad.start(PLAIN)
        await until(lambda: house.has_conf(life.pot))
        await nomad.reboot(state_dir)


async def test_an_import_that_is_killed_anywhere_leaves_a_whole_image_or_none(house: House) -> None:
    for pause_s in (0.05, 0.1, 0.2, 0.4, 0.8):
        await house.pot("destroy", "-p", "shell_1_0", "-F")
        async with a_nomad(house) as nomad:
            cut_short = nomad.start(PLAIN)
            await asyncio.sleep(pause_s)
            await nomad.crash_agent(reattach=True)  # which takes `pot prepare` with it
            second = nomad.start(PLAIN, after=cut_short)
            await second.until(*BEGUN)
            assert second.state == "running", second.error


@pytest.mark.parametrize("state_dir", ["kept", "emptied", "lost"])
async def test_a_task_that_ended_before_a_reboot_is_removed_after_it(house: House, state_dir: str) -> None:
    async with a_nomad(house) as nomad:
        life = nomad.start(PLAIN)
        life.tell("exit", "3", 3)
        await life.until("over")
        await nomad.reboot(state_dir)
        await nomad.administer("destroy", life)
        await nomad.destroy(life)
        assert house.leftovers() == []
