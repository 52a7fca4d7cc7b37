"""Whether a jail lives, in the words of FreeBSD's jls."""

from __future__ import annotations

from pathlib import Path

import pytest

from pot_driver.config import decode_plugin
from pot_driver.errors import PotFailed
from pot_driver.pot.cli import Pot
from pot_driver.process import Processes

LIVES = "echo '    12  10.192.0.3      web.host                      /opt/pot/jails/web/m'"
NOT_FOUND = """echo 'jls: jail "web" not found' >&2; exit 1"""
DYING = """echo 'jls: jail "web" is dying' >&2; exit 1"""  # no process is left, only sockets that still close
BROKEN = "echo 'jls: jail_get: Cannot allocate memory' >&2; exit 1"


def a_pot(path: Path, jls: str) -> Pot:
    tool = path / "jls"
    tool.write_text(f"#!/bin/sh\n{jls}\n")
    tool.chmod(0o755)
    return Pot(Processes(str(path)), decode_plugin(b"").timeouts)


@pytest.mark.parametrize(("jls", "lives"), [(LIVES, True), (NOT_FOUND, False), (DYING, False)])
async def test_a_jail_lives_for_as_long_as_it_has_processes(tmp_path: Path, jls: str, *, lives: bool) -> None:
    assert await a_pot(tmp_path, jls).jail_exists("web") is lives


async def test_a_host_in_trouble_is_no_answer(tmp_path: Path) -> None:
    with pytest.raises(PotFailed, match=r"cannot tell whether jail web lives.*Cannot allocate memory"):
        await a_pot(tmp_path, BROKEN).jail_exists("web")
