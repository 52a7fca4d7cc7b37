"""A host of its own for each test, and a Nomad client on it.

Not here: what they can do (see `house`, `nomad`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .house import Hosts, House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    built = House.build(tmp_path / "host")
    yield built
    built.demolish()


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    found = Hosts(tmp_path)
    yield found
    found.condemn()
