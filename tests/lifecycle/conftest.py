"""A host for each test, on one simulator's root for all tests of a process.

Not here: what a host is (see `scene`).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import pytest

from .scene import Scene, a_root, a_scene

Stage = Callable[..., AbstractAsyncContextManager[Scene]]


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_root(tmp_path_factory.mktemp("root"))


@pytest.fixture
def stage(tmp_path: Path, root: Path) -> Stage:
    """`async with stage(**plugin_config) as scene`."""
    return partial(a_scene, tmp_path / "scene", root)
