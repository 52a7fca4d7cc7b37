"""What the kernel would not start is refused before anything is changed; what only other hosts would not, is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pot_driver.operator.agent import CallFailed

if TYPE_CHECKING:
    from tests.lifecycle.conftest import Stage

pytestmark = [pytest.mark.namespaces, pytest.mark.slow]

COUNT = 'exit $(($(printf %s "$A" | wc -c) / 1000))'  # of the bytes that have arrived, a program with all of them
FREEBSD_12 = 256 * 1024


async def test_an_environment_that_does_not_fit_is_refused_by_name_and_size(stage: Stage) -> None:
    async with stage() as scene:
        run = scene.place(env={**{f"V{number}": "v" * 100_000 for number in range(6)}, "LARGEST": "l" * 120_000})
        with pytest.raises(
            CallFailed, match=r"environment: this host starts no .*; the largest: LARGEST \(120009 bytes"
        ):
            await scene.start(run)

        assert not [call for call in scene.wire.calls if call.startswith("pot ")]
        assert scene.left() == []


async def test_what_fits_here_and_not_everywhere_is_told(stage: Stage) -> None:
    async with stage() as scene:
        large = int((await scene.command("sysctl", "-n", "kern.argmax"))[1]) > FREEBSD_12
        variables = {"A": "a" * 90_000, "B": "b" * 90_000} | ({"C": "c" * 90_000} if large else {})
        assert (await scene.run(COUNT, env=variables)).result.exit_code == 90

        told = [event.message for event in scene.events if event.message.startswith("Environment: FreeBSD 12 starts")]
        assert len(told) == large
        assert scene.left() == []
