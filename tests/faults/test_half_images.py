"""An import that was killed half way does not keep its image from ever running again on the node."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pot_driver.operator import installation

if TYPE_CHECKING:
    from tests.lifecycle.conftest import Stage

pytestmark = [pytest.mark.namespaces, pytest.mark.slow]


async def test_half_an_image_is_imported_again(stage: Stage) -> None:
    async with stage() as scene:
        installation.pot_sim(Path(scene.root.path), "image", "create", "half", "1.0")
        await scene.pot("import", "-p", "half", "-t", "1.0", "-U", f"file://{scene.root.path}/images")
        shutil.rmtree(f"{scene.root.jails}/half_1_0/m")  # zfs had received the outer dataset, and not yet this one
        status, _ = await scene.pot("info", "-qp", "half_1_0")
        assert status == 1

        ended = await scene.run("exit 3", config={"pot": "half"})

        assert ended.result.exit_code == 3
        assert scene.left() == []
