"""What the host offers: in order of what must be right first, at once, and steadily."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pot_driver import __version__, fingerprint
from pot_driver.config import PluginConfig, decode_plugin
from pot_driver.fingerprint import SAME_BOOT_S, Fingerprinter, boot_identity, same_boot
from pot_driver.model import BootId, Fingerprint, Health
from pot_driver.pot.cli import Pot
from pot_driver.pot.layout import PotPaths
from pot_driver.process import Processes

POT = """
case "$*" in
"version -q") echo 0.16.0 ;;
"config -q -g fs_root") echo $ROOT/opt/pot ;;
*) exit 64 ;;
esac
"""
SYSCTL = """
case "$*" in
"-n kern.racct.enable") echo 1 ;;
"-n kern.boottime") echo '{ sec = 1700000000, usec = 250000 } Tue Nov 14 22:13:20 2023' ;;
"-n kern.boot_id") ;;
"-nx kern.boot_id") echo 'Format: Length:16 Dump:0x0123456789abcdef0123456789abcdef' ;;
*) echo "sysctl: unknown oid '$2'" >&2; exit 1 ;;
esac
"""


class ProbedHost:
    """What `Fingerprinter` asks of a host."""

    def __init__(self, config: PluginConfig, processes: Processes) -> None:
        self.config = config
        self.processes = processes
        self.pot = Pot(processes, config.timeouts)

    async def paths(self) -> PotPaths:
        """Ask pot each time."""
        root = Path(await self.pot.fs_root())
        return PotPaths(fs_root=root, tmp=root / "tmp", cache=root / "cache")


@pytest.fixture
def probed(host: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ProbedHost:
    """A host on which all is well."""
    host.script("pot", POT)
    host.script("sysctl", SYSCTL)
    (tmp_path / "opt/pot/jails").mkdir(parents=True)
    (tmp_path / "resolv.conf").touch()
    monkeypatch.setattr(fingerprint, "RESOLV_CONF", tmp_path / "resolv.conf")
    state_dir = str(tmp_path / "state" / "dir")
    return ProbedHost(decode_plugin(msgpack.packb({"state_dir": state_dir})), host.processes)


def root() -> int:
    """The uid that the agent must have."""
    return 0


async def probe(probed: ProbedHost) -> Fingerprint:
    """Look once."""
    return await Fingerprinter(lambda: probed, root).probe()


async def test_a_good_host_is_healthy(host: Any, probed: ProbedHost) -> None:
    """What is merely useful is an attribute; of strings and bools only."""
    host.script("ncat", "")
    etc = host.root / "etc" / "pot"
    etc.mkdir(parents=True)
    (etc / "pot.conf").write_text("POT_ZFS_ROOT=tank/pot\nPOT_NETWORK_STACK=dual\n")

    assert await probe(probed) == Fingerprint(
        health=Health.HEALTHY,
        description="Healthy",
        attributes={
            "driver.pot": True,
            "driver.pot.version": f"v{__version__}",
            "driver.pot.pot_version": "0.16.0",
            "driver.pot.racct": True,
            "driver.pot.vnet": False,
            "driver.pot.ncat": True,
            "driver.pot.signify": False,
            "driver.pot.volumes.enabled": True,
            "driver.pot.zfs_root": "tank/pot",
            "driver.pot.network_stack": "dual",
        },
    )


async def test_a_disabled_driver_asks_nothing(host: Any, probed: ProbedHost) -> None:
    """It is undetected, and says so at once."""
    probed.config = decode_plugin(b"\x81\xa7enabled\xc2")

    found = await probe(probed)

    assert (found.health, found.description) == (
        Health.UNDETECTED,
        "disabled in the agent's plugin block (enabled = false)",
    )
    assert host.calls() == []


async def test_only_root_can_run_pots(probed: ProbedHost) -> None:
    """Whoever started the agent must know."""
    found = await Fingerprinter(lambda: probed, lambda: 1001).probe()

    assert (found.health, found.description) == (
        Health.UNDETECTED,
        "the Nomad agent does not run as root, which pot needs",
    )


async def test_without_pot_it_is_undetected(host: Any, probed: ProbedHost) -> None:
    """The description names where it was looked for."""
    (host.bin / "pot").unlink()

    found = await probe(probed)

    assert found.health is Health.UNDETECTED
    assert found.description == f"pot is not installed: pot: no such command on the host path {host.bin}:/usr/bin:/bin"


@pytest.mark.parametrize("version", ["0.15.6", "0.9", "something else"])
async def test_an_old_pot_is_unhealthy(host: Any, probed: ProbedHost, version: str) -> None:
    """Before 0.16.0 a pot does not come back after a reboot, and a stop has no time limit."""
    host.script("pot", POT.replace("0.16.0", version))

    found = await probe(probed)

    assert found.health is Health.UNHEALTHY
    assert found.description == f"pot {version} is too old: this driver needs 0.16.0 or newer"


@pytest.mark.parametrize("version", ["0.16.1", "0.17.0", "1.0"])
async def test_a_newer_pot_is_healthy(host: Any, probed: ProbedHost, version: str) -> None:
    """Also one that is not there yet."""
    host.script("pot", POT.replace("0.16.0", version))

    assert (await probe(probed)).health is Health.HEALTHY


async def test_a_failing_pot_is_unhealthy_in_its_own_words(host: Any, probed: ProbedHost) -> None:
    """On stdout, where pot has its errors."""
    host.script("pot", "echo '###>  /opt/pot is not readable'; exit 1")

    found = await probe(probed)

    assert found.health is Health.UNHEALTHY
    assert "/opt/pot is not readable" in found.description


async def test_an_uninitialised_pot_is_unhealthy(probed: ProbedHost, tmp_path: Path) -> None:
    """Or one whose datasets are not mounted."""
    (tmp_path / "opt/pot/jails").rmdir()

    found = await probe(probed)

    assert found.health is Health.UNHEALTHY
    assert f"pot is not initialised: {tmp_path}/opt/pot/jails is missing" in found.description


@pytest.mark.parametrize(("name", "path"), [("state_dir", "state"), ("pot's image cache", "opt/pot/cache")])
async def test_a_place_that_cannot_be_written_to_is_named(
    probed: ProbedHost, tmp_path: Path, name: str, path: str
) -> None:
    """No task could start."""
    (tmp_path / path).touch()

    found = await probe(probed)

    assert found.health is Health.UNHEALTHY
    assert found.description.startswith(f"{name} {tmp_path / path}")
    assert found.description.endswith(f" cannot be used: {tmp_path / path} is no directory that can be written to")


async def test_resolv_conf_matters_where_it_is_inherited(probed: ProbedHost, tmp_path: Path) -> None:
    """Pot start fails without it."""
    (tmp_path / "resolv.conf").unlink()

    inheriting = await probe(probed)
    probed.config = replace(probed.config, default_dns="pot")
    own = await probe(probed)

    assert inheriting.health is Health.UNHEALTHY
    assert "resolv.conf is missing" in inheriting.description
    assert own.health is Health.HEALTHY


async def test_a_hanging_pot_does_not_delay_the_first_answer(
    host: Any, probed: ProbedHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The agent's start waits for it. It comes while pot is still being asked, and says why."""
    assert fingerprint.FIRST_S < 1
    monkeypatch.setattr(fingerprint, "HANGING_S", 3600.0)
    host.script("pot", "sleep 3600")
    stream = Fingerprinter(lambda: probed, root).stream()

    async with asyncio.timeout(30), aclosing(stream):
        first = await anext(stream)

    assert (first.health, first.description) == (Health.UNHEALTHY, fingerprint.NOT_YET)


async def test_a_listener_that_comes_later_hears_what_was_last_found_while_pot_is_asked(
    host: Any, probed: ProbedHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An agent that opens the stream again must not see a good host fall ill."""
    monkeypatch.setattr(fingerprint, "HANGING_S", 3600.0)
    fingerprinter = Fingerprinter(lambda: probed, root)
    healthy = await fingerprinter.probe()
    host.script("pot", "sleep 3600")
    stream = fingerprinter.stream()

    async with asyncio.timeout(30), aclosing(stream):
        assert await anext(stream) == healthy


async def test_a_slow_pot_turns_healthy_as_soon_as_it_answers(host: Any, probed: ProbedHost) -> None:
    """Without waiting for the next period."""
    host.script("pot", f"[ -e $ROOT/go ] || while [ ! -e $ROOT/go ]; do sleep 0.02; done\n{POT}")
    stream = Fingerprinter(lambda: probed, root).stream()

    async with asyncio.timeout(20), aclosing(stream):
        first = await anext(stream)
        (host.root / "go").touch()
        second = await anext(stream)

    assert (first.health, second.health) == (Health.UNHEALTHY, Health.HEALTHY)


async def test_health_follows_the_host(host: Any, probed: ProbedHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each period anew, with the same words for the same state, for any number of listeners."""
    monkeypatch.setattr(fingerprint, "PERIOD_S", 0.05)
    fingerprinter = Fingerprinter(lambda: probed, root)
    one, other = fingerprinter.stream(), fingerprinter.stream()

    async with asyncio.timeout(30), aclosing(one), aclosing(other):
        assert (await anext(one)).health is Health.HEALTHY
        assert await anext(one) == await anext(one)
        host.script("pot", "echo '###>  broken'; exit 1")
        broken = await until(one, Health.UNHEALTHY)
        assert await anext(one) == broken
        host.script("pot", POT)
        assert await until(one, Health.HEALTHY) == await until(other, Health.HEALTHY)


async def until(stream: Any, health: Health) -> Fingerprint:
    """The next answer with this health."""
    while True:
        found: Fingerprint = await anext(stream)
        if found.health is health:
            return found


async def test_one_silence_of_a_good_host_is_overlooked(
    host: Any, probed: ProbedHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A busy host must not flap; a second one counts."""
    fingerprinter = Fingerprinter(lambda: probed, root)
    healthy = await fingerprinter.probe()
    host.script("pot", "sleep 20")
    monkeypatch.setattr(fingerprint, "HANGING_S", 0.2)

    busy = await fingerprinter.probe()
    hanging = await fingerprinter.probe()

    assert busy == healthy
    assert (hanging.health, hanging.description) == (Health.UNHEALTHY, "pot does not answer: its commands hang")


async def test_an_unexpected_error_does_not_end_the_stream() -> None:
    """An agent would reopen it at once, again and again."""

    def broken() -> ProbedHost:
        raise ZeroDivisionError

    found = await Fingerprinter(broken, root).probe()

    assert found.health is Health.UNHEALTHY
    assert found.description == "the driver failed to look at the host, see the agent's log"


# --- boots


async def test_the_kernel_tells_the_boot(host: Any) -> None:
    """Its time and, where there is one, its id."""
    host.script("sysctl", SYSCTL)

    assert await boot_identity(host.processes) == BootId(boottime_s=1_700_000_000.25, boot_id="0123456789abcdef" * 2)
    host.script("sysctl", SYSCTL.replace("kern.boot_id", "kern.no_such"))
    assert await boot_identity(host.processes) == BootId(boottime_s=1_700_000_000.25)
    host.script("sysctl", "exit 1")
    assert await boot_identity(host.processes) == BootId()
    assert await boot_identity(Processes(str(host.root))) == BootId()


BOOTS = st.builds(
    BootId, boottime_s=st.one_of(st.just(0.0), st.floats(1e9, 2e9)), boot_id=st.sampled_from(["", "a", "b"])
)


@given(one=BOOTS, other=BOOTS)
def test_same_boot_is_symmetric_and_reflexive(one: BootId, other: BootId) -> None:
    """Ids decide when both are known; what is not known never tells two boots apart."""
    assert same_boot(one, one)
    assert same_boot(one, other) == same_boot(other, one)
    if one.boot_id and other.boot_id:
        assert same_boot(one, other) == (one.boot_id == other.boot_id)
    elif not (one.boottime_s and other.boottime_s):
        assert same_boot(one, other)


@given(booted=st.integers(10**9, 2 * 10**9), step=st.floats(-SAME_BOOT_S, SAME_BOOT_S), up=st.floats(10.0, 1e8))
def test_a_corrected_clock_is_no_reboot_and_a_reboot_is(booted: int, step: float, up: float) -> None:
    """The boot time moves with the clock; a reboot moves it by all the time that the host was up."""
    before = BootId(boottime_s=float(booted))

    assert same_boot(before, BootId(boottime_s=booted + step))
    assert not same_boot(before, BootId(boottime_s=booted + up))


@given(step=st.floats(-1e9, 1e9))
def test_with_ids_the_clock_does_not_matter(step: float) -> None:
    """Whatever someone sets it to."""
    before = BootId(boottime_s=1.5e9, boot_id="a")

    assert same_boot(before, BootId(boottime_s=1.5e9 + step, boot_id="a"))
    assert not same_boot(before, BootId(boottime_s=1.5e9, boot_id="b"))
