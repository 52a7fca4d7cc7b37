"""Images that are unlike others: imported half, with a resolv.conf or variables of their own."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pot_driver.operator import installation
from tests.lifecycle.scene import GATED

if TYPE_CHECKING:
    from tests.lifecycle.conftest import Stage

pytestmark = [pytest.mark.namespaces, pytest.mark.slow]


@pytest.mark.parametrize("stub", [False, True])
async def test_half_an_image_is_imported_again(stage: Stage, *, stub: bool) -> None:
    """zfs has received the outer dataset, in which there may be a place for the root, and not yet the root."""
    async with stage() as scene:
        name = f"half{stub:d}"
        installation.pot_sim(Path(scene.root.path), "image", "create", name, "1.0")
        await scene.pot("import", "-p", name, "-t", "1.0", "-U", f"file://{scene.root.path}/images")
        await scene.pot("purge-snapshots", "-a", "-p", f"{name}_1_0")
        root = Path(scene.root.jails, f"{name}_1_0/m")
        shutil.rmtree(root)
        if stub:
            root.mkdir()

        ended = await scene.run("exit 3", config={"pot": name})

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


async def test_commands_in_a_pot_see_the_images_variables_as_the_app_does(stage: Stage) -> None:
    async with stage() as scene:
        installation.pot_sim(Path(scene.root.path), "image", "create", "vars", "1.0")
        await scene.pot("import", "-p", "vars", "-t", "1.0", "-U", f"file://{scene.root.path}/images")
        await scene.pot("set-env", "-p", "vars_1_0", "-E", 'SAID=by "the" image', "-E", "BOTH=image")
        show = 'echo "$SAID, $BOTH"'
        run = await scene.begin(f"{show}; {GATED}", config={"pot": "vars"}, env={"BOTH": "task"})
        inside = await scene.agent.exec_task(run.id, ["/bin/sh", "-c", show], 30)

        assert bytes(run.output["stdout"]).startswith(b'by "the" image, task\n')
        assert inside.stdout == b'by "the" image, task\n'
        await scene.destroy(run)
