"""How the plugin meets its host: cookie, line, socket.

Not here: what is said on the socket.
"""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from pot_driver._proto.plugins.base.proto import base_pb2 as base
from pot_driver.handshake import COOKIE, SocketPlace, line
from pot_driver.operator.host import Plugin


@pytest.mark.parametrize("cookie", [None, "another"])
def test_without_the_cookie_it_says_what_it_is(plugin_argv: list[str], cookie: str | None) -> None:
    """Started by hand, it explains itself on stderr, fails, and keeps stdout empty."""
    environ = {name: value for name, value in os.environ.items() if name != COOKIE[0]}
    if cookie:
        environ[COOKIE[0]] = cookie
    done = subprocess.run(plugin_argv, env=environ, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (1, "")
    assert "plugin" in done.stderr
    assert "pot-driver" in done.stderr
    assert done.stderr.count("\n") == 1


async def test_the_module_is_the_plugin_for_who_has_the_cookie() -> None:
    """`python -m pot_driver` with the cookie is the plugin."""
    async with await Plugin.launch([sys.executable, "-m", "pot_driver"]) as plugin:
        info = await plugin.base.PluginInfo(base.PluginInfoRequest())

    assert info.name == "pot"


async def test_the_first_line_is_the_handshake_and_the_socket_is_open(plugin_argv: list[str], short_path: Path) -> None:
    """Nothing comes before the line, and whoever reads it can dial at once."""
    process = await asyncio.create_subprocess_exec(
        *plugin_argv,
        env={**os.environ, COOKIE[0]: COOKIE[1], "TMPDIR": str(short_path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout
    first = (await process.stdout.readline()).decode()
    core, app, network, path, protocol = first.removesuffix("\n").split("|")
    _, dialled = await asyncio.open_unix_connection(path)
    dialled.close()
    process.terminate()
    rest = await process.stdout.read()
    status = await process.wait()

    assert (core, app, network, protocol) == ("1", "2", "unix", "grpc")
    assert path.startswith(f"{short_path}/")
    assert (rest, status) == (b"", 0)


async def test_the_socket_is_for_its_owner_only_and_goes_with_the_process(
    plugin_argv: list[str], short_path: Path
) -> None:
    """A fresh 0700 directory with a 0600 socket; a graceful end removes both."""
    async with await Plugin.launch(plugin_argv, env={"TMPDIR": str(short_path)}) as plugin:
        path = Path(plugin.handshake.address)
        modes = [_mode(path.parent), _mode(path)]
        await plugin.kill()

    assert modes == [0o700, 0o600]
    assert not _holds_anything(short_path)


async def test_the_host_may_choose_the_directory(plugin_argv: list[str], short_path: Path) -> None:
    """PLUGIN_UNIX_SOCKET_DIR wins over TMPDIR."""
    env = {"PLUGIN_UNIX_SOCKET_DIR": str(short_path), "TMPDIR": "/nowhere"}
    async with await Plugin.launch(plugin_argv, env=env) as plugin:
        address = plugin.handshake.address

    assert address.startswith(f"{short_path}/")


async def test_a_temporary_directory_with_an_odd_name_serves(plugin_argv: list[str], short_path: Path) -> None:
    """What means something in an address of gRPC's means nothing in a path."""
    odd = short_path / "a b%20c?d#e"
    odd.mkdir()
    async with await Plugin.launch(plugin_argv, env={"TMPDIR": str(odd)}) as plugin:
        info = await plugin.base.PluginInfo(base.PluginInfoRequest())

    assert plugin.handshake.address.startswith(f"{odd}/")
    assert info.name == "pot"


@pytest.mark.parametrize("kind", ["missing", "long", "bar", "newline", "file"])
def test_where_the_socket_cannot_be_it_is_in_tmp(tmp_path: Path, kind: str) -> None:
    """A socket's path has its limits, and so has a line with bars; TMPDIR knows nothing of them."""
    parent = {
        "missing": tmp_path / "missing",
        "long": tmp_path / ("x" * 100),
        "bar": tmp_path / "a|b",
        "newline": tmp_path / "a\nb",
        "file": tmp_path / "file",
    }[kind]
    if kind == "file":
        parent.touch()
    elif kind != "missing":
        parent.mkdir()
    place = SocketPlace({"TMPDIR": str(parent)})
    place.remove()

    assert place.directory.parent == Path("/tmp")
    assert len(os.fsencode(place.path)) <= 103


def test_a_relative_temporary_directory_makes_an_absolute_path(
    short_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host has another working directory by the time it dials again."""
    monkeypatch.chdir(short_path)
    place = SocketPlace({"TMPDIR": "."})
    place.remove()

    assert place.path.is_absolute()
    assert place.directory.parent.samefile(short_path)


def test_a_group_may_dial(short_path: Path) -> None:
    """PLUGIN_UNIX_SOCKET_GROUP opens the way for a group, by number or name."""
    place = SocketPlace({"TMPDIR": str(short_path), "PLUGIN_UNIX_SOCKET_GROUP": str(os.getgid())})
    place.path.touch()
    place.admit()

    assert (_mode(place.directory), _mode(place.path)) == (0o710, 0o660)
    assert place.path.stat().st_gid == os.getgid()


def test_an_unknown_group_opens_nothing(short_path: Path) -> None:
    """A name that leaked in from somewhere is no reason to fail, nor to be generous."""
    place = SocketPlace({"TMPDIR": str(short_path), "PLUGIN_UNIX_SOCKET_GROUP": "no such group"})
    place.path.touch()
    place.admit()

    assert (_mode(place.directory), _mode(place.path)) == (0o700, 0o600)


def test_the_line_has_five_fields() -> None:
    """Older hosts break on a seventh, and take a long sixth for a certificate."""
    assert line(Path("/tmp/x/s")) == "1|2|unix|/tmp/x/s|grpc\n"


async def test_what_leaks_in_from_the_agent_changes_nothing(plugin_argv: list[str]) -> None:
    """Variables of TLS and multiplexing that Nomad did not set for us are ignored."""
    env = {
        "PLUGIN_CLIENT_CERT": "-----BEGIN CERTIFICATE-----",
        "PLUGIN_MULTIPLEX_GRPC": "true",
        "VAULT_TOKEN": "secret",
    }
    async with await Plugin.launch(plugin_argv, env=env) as plugin:
        info = await plugin.base.PluginInfo(base.PluginInfoRequest())

    assert info.name == "pot"


@pytest.mark.slow
async def test_twenty_launches_at_once_do_not_collide(plugin_argv: list[str]) -> None:
    """Each has its own socket, and none takes a lock."""
    async with asyncio.TaskGroup() as group:
        launches = [group.create_task(_launch_and_end(plugin_argv)) for _ in range(20)]

    assert len({launch.result() for launch in launches}) == 20


async def _launch_and_end(argv: list[str]) -> str:
    async with await Plugin.launch(argv) as plugin:
        await plugin.base.PluginInfo(base.PluginInfoRequest())
        ending = await plugin.kill()

    assert ending.graceful
    return plugin.handshake.address


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _holds_anything(directory: Path) -> bool:
    return any(directory.iterdir())
