"""What sequences of accidents have found once stays true."""

from __future__ import annotations

import pytest

from .house import House, until
from .life import PLAIN
from .nomad import a_nomad

pytestmark = pytest.mark.namespaces


@pytest.mark.parametrize("state_dir", ["kept", "emptied", "lost"])
async def test_a_start_that_a_reboot_cuts_short_leaves_no_pot(house: House, state_dir: str) -> None:
    async with a_nomad(house) as nomad:
        life = nomad.start(PLAIN)
        await until(lambda: house.has_conf(life.pot))
        await nomad.reboot(state_dir)
