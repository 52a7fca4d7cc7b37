"""Pot fails, hangs or lies in a stop, or its states are stuck: the jail goes all the same, and the truth is told."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pot_driver.operator.agent import CallFailed
from tests.faults import steps
from tests.lifecycle.scene import GATED, QUIET

if TYPE_CHECKING:
    from tests.lifecycle.conftest import Stage

pytestmark = [pytest.mark.namespaces, pytest.mark.slow, pytest.mark.timeout(300)]

SHORT = {"quick": "4s", "stop": "4s", "destroy": "6s"}
HOW = ("fail", "lie", "hang", "late hang")
STOPS = [word for word, _ in steps.stopped()]
STUBBORN = "trap : TERM INT; echo ready; while :; do sleep 1; done"


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("word", STOPS)
async def test_what_goes_wrong_once_is_made_good(stage: Stage, word: str, how: str) -> None:
    async with stage(timeouts=SHORT) as scene:
        run = await scene.begin(QUIET)
        await scene.settled(run)
        scene.wire.forget()
        scene.wire.set(word, how)
        await scene.stop(run, 20, "")

        assert scene.jails() == []
        ended = await scene.wait(run)
        in_vain = (word, how) == ("pot stop", "hang")  # it used up the whole of kill_timeout
        assert (ended.result.exit_code, ended.err) == (137 if in_vain else 7, "")
        await scene.destroy(run)
        assert scene.left() == []


@pytest.mark.parametrize("how", HOW)
async def test_a_jail_that_pot_never_stops_is_killed(stage: Stage, how: str) -> None:
    async with stage(timeouts=SHORT) as scene:
        run = await scene.begin(STUBBORN)
        await scene.settled(run)
        scene.wire.set("pot stop", how, nth=None)
        await scene.stop(run, 1)

        assert scene.jails() == []
        ended = await scene.wait(run)
        assert (ended.result.exit_code, ended.result.signal) == (137, 9)
        scene.wire.forget()
        await scene.destroy(run)
        assert scene.left() == []


async def test_states_that_a_killed_pot_stop_left_are_no_obstacle(stage: Stage) -> None:
    async with stage() as scene:
        for state in ("stopping", "starting"):
            run = await scene.begin(QUIET)
            await scene.settled(run)
            Path(scene.root.tmp, f"pot_status_{run.pot}").write_text(f"pot.status={state},\n")
            await scene.stop(run, 30)
            ended = await scene.wait(run)
            assert (ended.result.exit_code, ended.err) == (7, ""), state
            await scene.destroy(run)
            assert scene.left() == []


async def test_a_state_that_a_set_clock_made_outdated_is_no_obstacle(stage: Stage) -> None:
    async with stage() as scene:
        run = await scene.begin(QUIET)
        await scene.settled(run)
        Path(scene.root.path, "etc/boot").write_text("4000000000 the-same-boot\n")
        await scene.stop(run, 30)
        assert scene.jails() == []
        assert (await scene.wait(run)).result.exit_code in {7, 137}
        await scene.destroy(run)
        assert scene.left() == []


async def test_when_jls_fails_a_stop_is_an_error_and_a_repeated_one_is_not(stage: Stage) -> None:
    async with stage() as scene:
        run = await scene.begin(QUIET)
        await scene.settled(run)
        scene.wire.set("jls", "fail", nth=None)
        with pytest.raises(CallFailed, match="cannot tell whether jail"):
            await scene.stop(run, 20)
        scene.wire.forget()
        await scene.stop(run, 20)
        assert (await scene.wait(run)).result.exit_code == 7
        await scene.destroy(run)
        assert scene.left() == []


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("word", list(dict.fromkeys(word for word, _ in steps.destroyed())))
async def test_a_destroy_in_which_something_goes_wrong_once_leaves_nothing(stage: Stage, word: str, how: str) -> None:
    async with stage(timeouts=SHORT) as scene:
        run = await scene.begin(GATED)
        await run.tell(3)
        await scene.wait(run)
        scene.wire.forget()
        scene.wire.set(word, how)
        await scene.destroy(run)
        left = [line for line in scene.left() if not (word == "rctl" and line.startswith("limit "))]
        assert left == []
