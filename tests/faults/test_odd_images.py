"""Images that pot does not manage: imported half, or with a resolv.conf of their own."""

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


async def test_the_jobs_resolv_conf_is_not_lost_for_the_images(stage: Stage) -> None:
    async with stage() as scene:
        installation.pot_sim(Path(scene.root.path), "image", "create", "named", "1.0")
        await scene.pot("import", "-p", "named", "-t", "1.0", "-U", f"file://{scene.root.path}/images")
        Path(scene.root.jails, "named_1_0/conf/resolv.conf").write_text("nameserver 192.0.2.1\n")
        run = scene.place("grep -q 192.0.2.9 /etc/resolv.conf", config={"pot": "named", "dns": "custom:local/dns"})
        (run.allocation.dir / "t/local/dns").write_text("nameserver 192.0.2.9\n")
        await scene.start(run)

        assert (await scene.wait(run)).result.exit_code == 0
        await scene.destroy(run)
