"""The host, once for all tests of a process, and a client on it for each.

Not here: what they are (see `hosts`, `realhost`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from .hosts import a_host
from .realhost import Client, PotHost, a_client


@pytest.fixture(scope="session")
def pot_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PotHost]:
    with a_host(tmp_path_factory.mktemp("host")) as host:
        yield host


@pytest.fixture
async def client(pot_host: PotHost, tmp_path: Path) -> AsyncIterator[Client]:
    async with a_client(pot_host, tmp_path) as client:
        yield client
