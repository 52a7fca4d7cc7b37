"""Whether a jail lives, in the words of FreeBSD's jls."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgpack
import pytest

from pot_driver.config import decode_plugin
from pot_driver.driver.host import Host
from pot_driver.errors import PotFailed
from pot_driver.pot.cli import Pot
from pot_driver.process import Processes

LIVES = """[ "$*" = "-j web jid" ] && echo 12"""
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


async def test_whoever_watches_a_jail_asks_together_with_the_others(tmp_path: Path) -> None:
    tool = tmp_path / "jls"
    tool.write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/calls\necho web\necho db\n')
    tool.chmod(0o755)
    host = Host(decode_plugin(msgpack.packb({"host_path": f"{tmp_path}:/bin"})))

    seen = await asyncio.gather(*(host.jails(not_older_s=60) for _ in range(50)))

    assert set(seen) == {frozenset({"web", "db"})}
    assert (tmp_path / "calls").read_text() == "name\n"
