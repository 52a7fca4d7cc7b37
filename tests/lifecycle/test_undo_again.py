"""A removal that was cut after any of its steps is gone on with by whoever comes next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pot_driver import task_state
from pot_driver.config import decode_plugin
from pot_driver.config.tables import PLUGIN_OPTIONS
from pot_driver.driver.host import Host
from pot_driver.driver.undo import STEPS, undo
from pot_driver.operator.hclspec import encode
from pot_driver.schema import spec
from tests.lifecycle.scene import GATED

if TYPE_CHECKING:
    from tests.lifecycle.conftest import Stage

pytestmark = [pytest.mark.namespaces, pytest.mark.slow]


@pytest.mark.parametrize("done", range(1, len(STEPS)), ids=[name for name, _ in STEPS[:-1]])
async def test_it_is_complete_after_a_cut(stage: Stage, done: int) -> None:
    async with stage() as scene:
        run = await scene.begin(GATED)
        await run.tell(0)
        await scene.wait(run)
        await scene.crash()
        assert run.handle is not None
        record = task_state.decode_record(run.handle.driver_state)
        host = Host(decode_plugin(encode(spec(PLUGIN_OPTIONS), scene.plugin_config)))
        for _, step in STEPS[:done]:
            await step(host, record)
        assert scene.left() != []

        await undo(host, record)
        assert scene.left() == []
