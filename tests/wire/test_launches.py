"""The plugin process as an agent launches, uses, loses and ends it.

Not here: tasks.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import grpc
import msgpack
import pytest

from pot_driver._proto.plugins.base.proto import base_pb2 as base
from pot_driver._proto.plugins.drivers.proto import driver_pb2 as pb
from pot_driver.operator.hclog import LogLine
from pot_driver.operator.host import PLUGIN_ENV, Handshake, Plugin

INFO = base.PluginInfoRequest()


async def test_an_agents_start_leaves_nothing_behind(plugin_argv: list[str], short_path: Path) -> None:
    """Asked, checked, launched for good: each ends by itself when told to, and no launch writes anything."""
    state = short_path / "state"
    config = base.SetConfigRequest(
        msgpack_config=msgpack.packb({"state_dir": str(state), "host_path": str(short_path)}),
        plugin_api_version="v0.1.0",
    )
    env = {"TMPDIR": str(short_path)}
    async with await Plugin.launch(plugin_argv, env=env) as asked:
        await asked.base.PluginInfo(INFO)
        await asked.base.ConfigSchema(base.ConfigSchemaRequest())
        endings = [await asked.kill()]
    async with await Plugin.launch(plugin_argv, env=env) as checked:
        await checked.base.SetConfig(config)
        await checked.base.SetConfig(config)
        endings.append(await checked.kill())
    async with await Plugin.launch(plugin_argv, env=env) as real:
        await real.base.SetConfig(config)
        await real.driver.Init(pb.InitRequest())
        fingerprints = real.driver.Fingerprint(pb.FingerprintRequest())
        events = real.driver.TaskEvents(pb.TaskEventsRequest())
        await fingerprints.read()
        await real.driver.Shutdown(pb.ShutdownRequest())
        endings.append(await real.kill())
        ends = [await fingerprints.code(), await events.code()]

    assert [ending.graceful for ending in endings] == [True] * 3
    assert grpc.StatusCode.OK not in ends
    assert _names(short_path) == set()


async def test_a_wrong_configuration_is_named_and_survived(plugin_argv: list[str]) -> None:
    """The agent shows the words; the next configuration is taken."""
    wrong = base.SetConfigRequest(msgpack_config=msgpack.packb({"host_path": 5, "no_such_option": True}))
    async with await Plugin.launch(plugin_argv) as plugin:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await plugin.base.SetConfig(wrong)
        await plugin.base.SetConfig(base.SetConfigRequest())

    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "no_such_option" in (refused.value.details() or "")
    assert "host_path" in (refused.value.details() or "")


@pytest.mark.parametrize(
    "pot", [None, "while kill -0 $PPID; do sleep 0.1; done", "echo '###>  broken'; exit 1", "kill -SEGV $$"]
)
async def test_a_host_with_pot_in_trouble_is_fingerprinted_at_once(
    plugin_argv: list[str], tmp_path: Path, pot: str | None
) -> None:
    """The plugin starts and says what is wrong, whatever pot does; it is never healthy, and it ends when told to."""
    host_path = tmp_path / "bin"
    host_path.mkdir()
    if pot:
        _script(host_path / "pot", pot)
    config = base.SetConfigRequest(
        msgpack_config=msgpack.packb({"host_path": f"{host_path}:/usr/bin:/bin", "state_dir": str(tmp_path / "state")})
    )
    async with await Plugin.launch(plugin_argv) as plugin:
        await plugin.base.SetConfig(config)
        stream = plugin.driver.Fingerprint(pb.FingerprintRequest())
        first = await _soon(stream.read())
        stream.cancel()
        ending = await plugin.kill()

    assert first.health in {pb.FingerprintResponse.UNDETECTED, pb.FingerprintResponse.UNHEALTHY}
    assert "pot" in first.health_description
    assert first.err == ""
    assert ending.graceful


async def test_ctrl_c_and_hang_up_are_for_the_agent(patient_argv: list[str]) -> None:
    """Both hit the whole process group; the agent needs us to stop its tasks."""
    async with await Plugin.launch(patient_argv) as plugin:
        for _ in range(5):
            os.kill(plugin.pid, signal.SIGINT)
            os.kill(plugin.pid, signal.SIGHUP)
            await plugin.base.PluginInfo(INFO)
        ending = await plugin.kill()

    assert ending.graceful


async def test_a_command_does_not_inherit_what_we_do_about_signals(patient_argv: list[str]) -> None:
    """A child can be interrupted, though we cannot."""
    async with await Plugin.launch(patient_argv) as plugin:
        request = pb.ExecTaskRequest(command=["sh", "-c", "kill -INT $$; echo survived"])
        done = await plugin.driver.ExecTask(request)

    assert (done.stdout, done.result.exit_code) == (b"", -signal.SIGINT)


@pytest.mark.parametrize("name", ["HUP", "INT", "QUIT", "USR1"])
async def test_what_the_agent_was_told_to_ignore_is_not_ignored_by_tasks(patient_argv: list[str], name: str) -> None:
    """`nohup nomad agent &`: a shell in a pot could not even trap what it finds ignored."""
    nohup = ["/bin/sh", "-c", f'trap "" {name}; exec "$@"', "nohup", *patient_argv]
    async with await Plugin.launch(nohup) as plugin:
        os.kill(plugin.pid, getattr(signal, f"SIG{name}"))
        # Not a shell: FreeBSD's has a handler of its own for SIGQUIT.
        look = f"import signal; print(signal.getsignal(signal.SIG{name}) is signal.SIG_IGN)"
        done = await plugin.driver.ExecTask(pb.ExecTaskRequest(command=[sys.executable, "-c", look]))

    assert (done.stdout, done.result.exit_code) == (b"False\n", 0)


async def test_sigterm_ends_the_process_and_answers_nobody(patient_argv: list[str], short_path: Path) -> None:
    """A waiter loses its connection: any answer would tell Nomad that the task is dead."""
    async with await Plugin.launch(patient_argv, env={"TMPDIR": str(short_path)}) as plugin:
        waiter = await _waiting(plugin)
        os.kill(plugin.pid, signal.SIGTERM)
        await _soon(plugin.wait_exited())
        lost = await _lost(waiter)

    assert lost.code() is grpc.StatusCode.UNAVAILABLE
    assert _names(short_path) == set()


async def test_a_graceful_end_answers_no_waiter(patient_argv: list[str], short_path: Path) -> None:
    """Fifty wait, the driver is told that the agent stops, the process is gone in time: tasks go on."""
    async with await Plugin.launch(patient_argv, env={"TMPDIR": str(short_path)}) as plugin:
        waiters = [await _waiting(plugin) for _ in range(50)]
        await plugin.driver.Shutdown(pb.ShutdownRequest())
        still_waiting = [not waiter.done() for waiter in waiters]
        second = await Plugin.reattach(plugin.reattach_config)  # the first one's kill hangs up on its own waiters
        ending = await second.kill()
        lost = [await _lost(waiter) for waiter in waiters]

    assert all(still_waiting)
    assert ending.graceful
    assert {error.code() for error in lost} == {grpc.StatusCode.UNAVAILABLE}
    assert _names(short_path) == set()


async def test_a_killed_plugin_is_noticed_while_its_children_live(patient_argv: list[str], short_path: Path) -> None:
    """No child holds the host's pipes: their end is how the host learns of ours."""
    note = short_path / "pid"
    async with await Plugin.launch(patient_argv, env={"TMPDIR": str(short_path)}) as plugin:
        command = ["sh", "-c", 'echo $$ > "$1.new"; mv "$1.new" "$1"; exec sleep 600', "sh", str(note)]
        running = plugin.driver.ExecTask(pb.ExecTaskRequest(command=command))
        child = int(await _content(note))
        os.kill(plugin.pid, signal.SIGKILL)
        await _soon(plugin.wait_exited())
        lost = await _lost(running)
        os.kill(child, signal.SIGKILL)  # it lived

    assert lost.code() is grpc.StatusCode.UNAVAILABLE


async def test_an_agent_that_died_is_no_reason_to_die(patient_argv: list[str]) -> None:
    """Nobody reads the log any more; the next agent finds the plugin serving at its old address."""
    async with await Plugin.launch(patient_argv) as plugin:
        plugin.stop_listening()
        await plugin.disconnect()
        async with await Plugin.reattach(plugin.reattach_config) as again:
            await again.driver.SignalTask(pb.SignalTaskRequest(signal="LOG"))
            info = await again.base.PluginInfo(INFO)
            ending = await again.kill()

    assert info.name == "pot"
    assert ending.graceful


async def test_a_second_connection_is_independent(patient_argv: list[str]) -> None:
    """What the first one cancels, the second one still has."""
    async with await Plugin.launch(patient_argv) as first:
        second = await Plugin.reattach(first.reattach_config)
        old = [await _waiting(first), first.driver.Fingerprint(pb.FingerprintRequest())]
        new = await _waiting(second)
        for call in old:
            call.cancel()
        await first.disconnect()
        await second.driver.Init(pb.InitRequest())
        fingerprint: Any = await second.driver.Fingerprint(pb.FingerprintRequest()).read()
        still_waiting = not new.done()
        ending = await second.kill()
        await _soon(first.wait_exited())

    assert fingerprint.health == pb.FingerprintResponse.HEALTHY
    assert still_waiting
    assert ending.graceful


async def test_what_is_printed_after_the_handshake_blocks_nobody(patient_argv: list[str]) -> None:
    """Descriptors 1 and 2 lead nowhere: no library can fill the host's pipes."""
    log: list[LogLine] = []
    async with await Plugin.launch(patient_argv, log=log.append) as plugin:
        await _soon(plugin.driver.SignalTask(pb.SignalTaskRequest(signal="SHOUT")))

    assert all(line.structured for line in log)


async def test_every_line_of_the_log_is_hclog(patient_argv: list[str]) -> None:
    """Newlines, 100 KiB, bytes that are no text, None, exceptions: each entry arrives as one, and whole lines."""
    log: list[LogLine] = []
    async with await Plugin.launch(patient_argv, log=log.append) as plugin:
        await plugin.driver.SignalTask(pb.SignalTaskRequest(signal="ODD"))
        await plugin.kill()
    odd = [line for line in log if line.level != "debug"]

    assert all(line.structured for line in log)
    assert [line.level for line in odd] == ["info", "info", "info", "info", "error", "error"]
    assert odd[0].message == "line one\nline two"
    assert "ValueError" in str(odd[-1].fields["exception"])


async def test_our_secrets_stay_ours(patient_argv: list[str]) -> None:
    """The agent's environment holds tokens; no command on the host gets it, nor our standard input."""
    async with await Plugin.launch(patient_argv, env={"VAULT_TOKEN": "secret"}) as plugin:
        done = await plugin.driver.ExecTask(pb.ExecTaskRequest(command=["sh", "-c", "env; cat"]))

    assert b"secret" not in done.stdout
    assert b"PATH=" in done.stdout


async def test_an_orphan_that_no_agent_takes_up_ends(patient_argv: list[str]) -> None:
    """As long as a host is connected it stays, whoever its parent is; then it goes."""
    launcher = await asyncio.create_subprocess_exec(
        "sh",
        "-c",
        '"$@" & read -r _',
        "sh",
        *patient_argv,
        "impatient",
        env={**os.environ, **PLUGIN_ENV},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert launcher.stdin
    assert launcher.stdout
    assert launcher.stderr
    line = await _soon(launcher.stdout.readline())
    host = Plugin(0, Handshake.parse(line.decode()))
    await host.base.PluginInfo(INFO)
    launcher.stdin.close()
    await host.driver.SignalTask(pb.SignalTaskRequest(signal="LOOK"))  # it looked around a few times since
    await host.disconnect()
    log = await _soon(launcher.stderr.read())
    await launcher.wait()

    assert b"no agent for a long time" in log
    assert not Path(host.handshake.address).parent.exists()


async def _waiting(plugin: Plugin) -> Any:
    """A WaitTask that has arrived: a later call of the same connection was answered."""
    call = plugin.driver.WaitTask(pb.WaitTaskRequest(task_id="x"))
    await plugin.base.PluginInfo(INFO)
    return call


async def _lost(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as lost:
        await _soon(call)
    return lost.value


async def _soon(waited_for: Awaitable[Any]) -> Any:
    """Far longer than promised, for busy machines."""
    async with asyncio.timeout(20):
        return await waited_for


async def _content(path: Path) -> str:
    async with asyncio.timeout(20):
        while not os.access(path, os.R_OK):  # noqa: ASYNC110 - a file of another process
            await asyncio.sleep(0.01)
    return path.read_text()


def _script(path: Path, command: str) -> None:
    path.write_text(f"#!/bin/sh\n{command}\n")
    path.chmod(0o755)


def _names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}
