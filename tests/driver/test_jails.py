"""Whether a jail lives, in the words of FreeBSD's jls."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgpack
import pytest

from pot_driver.config import decode_plugin
from pot_driver.driver.host import Host
from pot_driver.errors import PotFailed
from pot_driver.pot.jails import Jails
from pot_driver.process import Processes

LIVES = """[ "$*" = "-j web jid" ] && echo 12"""
NOT_FOUND = """echo 'jls: jail "web" not found' >&2; exit 1"""
DYING = """echo 'jls: jail "web" is dying' >&2; exit 1"""  # no process is left, only sockets that still close
BROKEN = "echo 'jls: jail_get: Cannot allocate memory' >&2; exit 1"


def jails(path: Path, jls: str) -> Jails:
    tool = path / "jls"
    tool.write_text(f"#!/bin/sh\n{jls}\n")
    tool.chmod(0o755)
    return Jails(Processes(str(path)), 5)


@pytest.mark.parametrize(("jls", "lives"), [(LIVES, True), (NOT_FOUND, False), (DYING, False)])
async def test_a_jail_lives_for_as_long_as_it_has_processes(tmp_path: Path, jls: str, *, lives: bool) -> None:
    assert await jails(tmp_path, jls).exists("web") is lives


async def test_a_host_in_trouble_is_no_answer(tmp_path: Path) -> None:
    with pytest.raises(PotFailed, match=r"cannot tell whether jail web lives.*Cannot allocate memory"):
        await jails(tmp_path, BROKEN).exists("web")


async def test_whoever_watches_a_jail_asks_together_with_the_others(tmp_path: Path) -> None:
    tool = tmp_path / "jls"
    tool.write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/calls\necho web\necho db\n')
    tool.chmod(0o755)
    host = Host(decode_plugin(msgpack.packb({"host_path": f"{tmp_path}:/bin"})))

    seen = await asyncio.gather(*(host.jail_names(not_older_s=60) for _ in range(50)))

    assert set(seen) == {frozenset({"web", "db"})}
    assert (tmp_path / "calls").read_text() == "name\n"
