"""The same hosts as in the tests of a task's life, and images of a hostile author.

Each test has the number of the attack in its name. Not here: what is attacked.
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from pot_driver.operator import installation
from pot_sim import images
from tests.job.corpus.conftest import a_client, node
from tests.lifecycle.conftest import root, stage
from tests.lifecycle.scene import Scene

__all__ = ["a_client", "node", "root", "stage"]


def image_of(scene: Scene, name: str, change: Callable[[Path], None], *, tag: str = "1.0") -> dict[str, str]:
    """An image that its author has changed, with the options of a job that uses it.

    `change` gets the directory with `conf` and `m`.
    """
    root = Path(scene.root.path)
    installation.pot_sim(root, "image", "create", name, tag)
    archive = f"{root}/images/{name}_{tag}.xz"
    with TemporaryDirectory(dir=scene.path) as place:
        with tarfile.open(archive) as tar:
            tar.extractall(place, filter="fully_trusted")
        change(Path(place))
        images.export(place, archive)
    return {"pot": name, "tag": tag}


def program(path: Path, script: str) -> None:
    """Put a program of the author's there."""
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/usr/bin/sh\n{script}\n")
    path.chmod(0o755)


def add_conf(*lines: str) -> Callable[[Path], None]:
    """A change of an image: more lines in its pot.conf."""

    def change(pot: Path) -> None:
        with (pot / "conf/pot.conf").open("a") as conf:
            conf.writelines(f"{line}\n" for line in lines)

    return change
