"""What a host command gets from the driver, and how it is ended."""

from __future__ import annotations

import os
import threading

import pytest

from pot_driver.errors import TimedOut, TryAgain
from pot_driver.process import CommandMissing, Processes


async def test_the_systems_directories_come_after_the_host_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "x")
    done = await Processes("/opt/pot/bin:/bin").run(("sh", "-c", "echo $PATH:$HOME:$LANG:$SECRET"), timeout_s=10)

    assert done.stdout.decode().strip() == (
        "/opt/pot/bin:/bin:/sbin:/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin:/root:C.UTF-8:"
    )


async def test_what_a_command_makes_can_be_read_by_others_whatever_the_agents_umask() -> None:
    before = os.umask(0o077)
    try:
        done = await Processes().run(("sh", "-c", "umask"), timeout_s=10)
    finally:
        os.umask(before)

    assert done.stdout == b"0022\n"


async def test_a_command_is_looked_up_on_the_host_path_alone() -> None:
    with pytest.raises(CommandMissing, match="sh: no such command on the host path /opt/pot/bin"):
        await Processes("/opt/pot/bin").run(("sh", "-c", "true"), timeout_s=10)


async def test_what_the_kernel_refuses_to_run_may_be_tried_again() -> None:
    with pytest.raises(TryAgain, match="Argument list too long"):
        await Processes().run(("sh", "-c", "true", "x" * (1 << 24)), timeout_s=10)


async def test_a_command_whose_end_nobody_could_see_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none_left)
    with pytest.raises(TryAgain, match="can't start new thread"):
        await Processes().run(("sh", "-c", "exec sleep 1000"), timeout_s=10)


async def test_a_command_that_takes_too_long_is_ended_with_its_children_and_its_last_words_are_told() -> None:
    with pytest.raises(TimedOut, match="half way"):
        await Processes().run(("sh", "-c", "trap '' TERM; echo half way; sleep 100"), timeout_s=0.3)
