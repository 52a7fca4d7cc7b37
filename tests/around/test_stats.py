"""What a pot uses is measured by small stand-ins of rctl, ps and sysctl, which are real processes."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from pot_driver.config import PluginConfig, decode_plugin
from pot_driver.model import HostCompute, Usage
from pot_driver.process import Processes
from pot_driver.stats import TOLD, Stats
from pot_driver.stats.reckoning import WINDOW_S, Reading, cpu_percent, ps_readings, rctl_readings

NAME = "web_0a1b2c3d_alloc"
COMPUTE = HostCompute(total_mhz=8000, cores=4)

RCTL = """
[ "$1" = -u ] || exit 64
shift
cputime=$(cat $ROOT/cputime 2>/dev/null || echo 10)
for filter; do
    cat <<END
cputime=$cputime
datasize=4096
memoryuse=${MEMORY:-1048576}
swapuse=4096
vmemoryuse=9437184
pcpu=7
END
done
"""
SYSCTL = """
[ "$1" = -n ] || exit 64
case $2 in
kern.racct.enable) echo 1 ;;
hw.clockrate) echo 2400 ;;
*) echo "sysctl: unknown oid '$2'" >&2; exit 1 ;;
esac
"""


@dataclass
class MeasuredHost:
    """What `Stats` asks of a host."""

    config: PluginConfig
    processes: Processes


@pytest.fixture
def measured(host: Any) -> MeasuredHost:
    """A host with accounting."""
    host.script("rctl", RCTL)
    host.script("sysctl", SYSCTL)
    return MeasuredHost(decode_plugin(b""), host.processes)


def calls(host: Any, command: str) -> list[str]:
    """What was run of one command."""
    return [call for call in host.calls() if call.split()[0] == command]


async def test_a_sample_by_rctl(host: Any, measured: MeasuredHost, clock: Any) -> None:
    """The first has no CPU use yet: that needs two readings."""
    usage = await Stats(clock).sample(measured, COMPUTE, NAME)

    assert usage == Usage(
        timestamp_s=clock.now, rss_bytes=1_048_576, swap_bytes=4096, usage_bytes=9_437_184, percent=0.0, total_mhz=0.0
    )
    assert calls(host, "rctl") == [f"rctl -u jail:{NAME}"]


async def test_cpu_use_is_the_difference_of_two_readings(host: Any, measured: MeasuredHost, clock: Any) -> None:
    """As MHz of one core as the agent counts them, or of the clock where the agent says nothing."""
    stats = Stats(clock)
    await stats.sample(measured, COMPUTE, NAME)
    clock.now += 10
    (host.root / "cputime").write_text("25")

    usage = await stats.sample(measured, COMPUTE, NAME)

    assert usage is not None
    assert usage.percent == 140.0  # 15 s in 10 s, give or take one second; rctl itself says 7
    assert usage.total_mhz == 2800.0
    clock.now += 10
    (host.root / "cputime").write_text("40")
    usage = await stats.sample(measured, HostCompute(), NAME)
    assert usage is not None
    assert usage.total_mhz == 1.4 * 2400


async def test_one_measurement_serves_all_who_ask(host: Any, measured: MeasuredHost, clock: Any) -> None:
    """Within the shortest interval, also at the very same moment."""
    stats = Stats(clock)

    async with asyncio.TaskGroup() as group:
        asking = [group.create_task(stats.sample(measured, COMPUTE, NAME)) for _ in range(5)]
    clock.now += 0.9
    again = await stats.sample(measured, COMPUTE, NAME)
    once = len(calls(host, "rctl"))
    clock.now += 0.2
    await stats.sample(measured, COMPUTE, NAME)

    assert once == 1
    assert len({task.result() for task in asking} | {again}) == 1
    assert len(calls(host, "rctl")) == 2
    assert len(calls(host, "sysctl")) == 2


async def test_one_look_serves_all_pots(host: Any, measured: MeasuredHost, clock: Any) -> None:
    """Hundreds of tasks cost as many processes as one."""
    stats = Stats(clock)
    names = [f"pot{number}" for number in range(50)]
    streams = [stats.stream(fast(measured), COMPUTE, name, 0.01, lambda: True) for name in names]
    first = await asyncio.gather(*(next_usage(stream) for stream in streams))
    before = len(calls(host, "rctl"))
    clock.now += 5

    second = await asyncio.gather(*(next_usage(stream) for stream in streams))

    assert all(usage.rss_bytes == 1_048_576 for usage in (*first, *second))
    assert len(calls(host, "rctl")) - before == 1
    assert all(f"jail:{name}" in calls(host, "rctl")[-1] for name in names)
    for stream in streams:
        await stream.aclose()
    clock.now += 5
    await stats.sample(measured, COMPUTE, NAME)
    assert calls(host, "rctl")[-1] == f"rctl -u jail:{NAME}"


async def test_a_pot_that_cannot_be_measured_hides_no_other(host: Any, measured: MeasuredHost, clock: Any) -> None:
    """rctl tells of a filter that it cannot answer by its exit status and one block less."""
    bad = 'case "$*" in *jail:bad*) [ $# -eq 2 ] && exit 1; set -- "$1" jail:x; MEMORY=5 ; trap "exit 1" EXIT;; esac\n'
    host.script("rctl", bad + RCTL)
    stats = Stats(clock)
    names = ["a", "b", "bad", "c"]

    async with asyncio.TaskGroup() as group:
        asked = {name: group.create_task(stats.sample(measured, COMPUTE, name)) for name in names}

    assert {name: usage.result() and usage.result().rss_bytes for name, usage in asked.items()} == {
        "a": 1_048_576,
        "b": 1_048_576,
        "bad": None,
        "c": 1_048_576,
    }


async def test_only_a_pot_that_stays_unmeasurable_is_told(host: Any, measured: MeasuredHost, clock: Any) -> None:
    """A jail that has ended cannot be measured either, and that is no news."""
    stats = Stats(clock)
    host.script("rctl", "exit 1")
    with structlog.testing.capture_logs() as told:
        for failures in range(8):
            assert [line["event"] for line in told] == ["cannot measure a pot"] * (failures >= TOLD)
            assert await stats.sample(measured, COMPUTE, NAME) is None
            clock.now += 2


async def test_without_accounting_the_processes_are_summed(host: Any, measured: MeasuredHost, clock: Any) -> None:
    """With FreeBSD's options and columns."""
    host.script("sysctl", SYSCTL.replace("echo 1 ;;", "echo 0 ;;"))
    host.script("jls", f"echo 7 other; echo 3 {NAME}")
    host.script(
        "ps", "printf '  3 1024   20480   1:01.50\\n 0 9 9 9:00.00\\n 3    8   1000   0:00.02\\n 7 1 1 1:00.00\\n'"
    )
    stats = Stats(clock)

    usage = await stats.sample(measured, COMPUTE, NAME)

    assert calls(host, "ps") == ["ps -ax -o jid= -o rss= -o vsz= -o time="]
    assert calls(host, "jls") == ["jls jid name"]
    assert calls(host, "rctl") == []
    assert usage == Usage(timestamp_s=clock.now, rss_bytes=1032 * 1024, usage_bytes=21480 * 1024)
    clock.now += 2
    host.script("ps", "echo 3 1024 20480 1:02.52")
    usage = await stats.sample(measured, COMPUTE, NAME)
    assert usage is not None
    assert usage.percent == pytest.approx(50.0)


@pytest.mark.parametrize(
    "failure",
    [
        "echo 'rctl: rctl_get_racct: No such process' >&2; exit 1",
        "exit 0",
        "echo cputime=; echo memoryuse=x",
        "sleep 60",
    ],
)
async def test_a_failed_measurement_is_left_out(
    host: Any, measured: MeasuredHost, clock: Any, failure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stream goes on with the next one that succeeds."""
    monkeypatch.setattr("pot_driver.stats.readings.COMMAND_S", 0.2)
    good, bad = RCTL, failure
    host.script("rctl", good)
    samples: list[Usage] = []
    stream = Stats(clock).stream(fast(measured), COMPUTE, NAME, 0.01, lambda: True)

    async with asyncio.timeout(20), aclosing(stream):
        samples.append(await anext(stream))
        host.script("rctl", f"touch $ROOT/failed\n{bad}")
        async with asyncio.TaskGroup() as group:
            following = group.create_task(next_usage(stream))
            while not (host.root / "failed").exists():
                clock.now += 2
                await asyncio.sleep(0.01)
            host.script("rctl", good)
            while not following.done():
                clock.now += 2
                await asyncio.sleep(0.01)
        samples.append(following.result())

    assert [sample.rss_bytes for sample in samples] == [1_048_576, 1_048_576]


async def next_usage(stream: Any) -> Usage:
    """The next sample."""
    usage: Usage = await anext(stream)
    return usage


def fast(measured: MeasuredHost) -> MeasuredHost:
    """With a shortest interval for tests."""
    config = decode_plugin(b"\x81\xaestats_interval\xa410ms")
    return MeasuredHost(config, measured.processes)


async def test_a_missing_rctl_is_a_failed_measurement(host: Any, clock: Any) -> None:
    """Nothing is thrown at the agent."""
    host.script("sysctl", "exit 1")

    usage = await Stats(clock).sample(MeasuredHost(decode_plugin(b""), Processes(str(host.bin))), COMPUTE, NAME)

    assert usage is None


async def test_a_stream_ends_with_its_pot(measured: MeasuredHost, clock: Any) -> None:
    """And asks for nothing afterwards."""
    lives = iter([True, True, True, True, False])
    stream = Stats(clock).stream(fast(measured), COMPUTE, NAME, 0.01, lambda: next(lives))

    async with asyncio.timeout(20):
        samples = [usage async for usage in stream]

    assert len(samples) == 2


async def test_a_closed_stream_measures_no_more(host: Any, measured: MeasuredHost, clock: Any) -> None:
    """The agent cancels it when a task is over."""
    stream = Stats(clock).stream(fast(measured), COMPUTE, NAME, 0.01, lambda: True)
    await anext(stream)
    await stream.aclose()
    before = len(host.calls())

    await asyncio.sleep(0.1)

    assert len(host.calls()) == before


async def test_a_stream_does_not_ask_more_often_than_the_floor(measured: MeasuredHost, clock: Any) -> None:
    """Whatever the agent's collection interval is."""
    measured.config = decode_plugin(b"\x81\xaestats_interval\xa5100ms")
    stream = Stats(clock).stream(measured, COMPUTE, NAME, 0.0, lambda: True)
    loop = asyncio.get_running_loop()
    began = loop.time()

    async with aclosing(stream):
        for _ in range(3):
            await anext(stream)

    assert loop.time() - began >= 0.2


# --- reading and reckoning


def test_rctl_output_is_read() -> None:
    """What is missing is unknown; without memory it is no reading."""
    full = rctl_readings("cputime=12\nmemoryuse=4096\nswapuse=0\nvmemoryuse=8192\npcpu=150\nwallclock=9\n", ["a"], 5.0)

    expected = Reading(
        cpu_s=12, cpu_step_s=1.0, percent=150, rss_bytes=4096, swap_bytes=0, virtual_bytes=8192, at_s=5.0
    )
    assert full == {"a": expected}
    assert rctl_readings("memoryuse=4096\n", ["a"], 0) == {"a": Reading(cpu_s=0, cpu_step_s=1.0, rss_bytes=4096)}
    assert rctl_readings("", ["a"], 0) == {}
    assert rctl_readings("rctl: RACCT/RCTL present, but disabled\n", ["a"], 0) == {}


def test_rctl_output_of_several_jails_is_read_in_order() -> None:
    """There is no name in it, so as many blocks as names there must be."""
    output = "".join(f"cputime={number}\nmemoryuse={number * 4096}\npcpu=0\n" for number in range(3))

    found = rctl_readings(output, ["a", "b", "c"], 0)

    assert [(name, reading.cpu_s, reading.rss_bytes) for name, reading in found.items()] == [
        ("a", 0, 0),
        ("b", 1, 4096),
        ("c", 2, 8192),
    ]
    assert rctl_readings(output, ["a", "b"], 0) == {}


@pytest.mark.parametrize(
    ("time", "seconds"), [("0:00.01", 0.01), ("123:45.60", 7425.6), ("0:01,25", 1.25), ("1:00:00", 3600.0)]
)
def test_ps_times_are_read(time: str, seconds: float) -> None:
    """FreeBSD prints minutes, seconds, hundredths, with the locale's point."""
    readings = ps_readings(f" 4 10  20 {time}\n", "4 a\n", ["a", "gone"], 0)

    assert readings == {"a": Reading(cpu_s=seconds, cpu_step_s=0.01, rss_bytes=10240, virtual_bytes=20480)}


def test_ps_without_processes_is_no_reading() -> None:
    """Neither are headers or errors."""
    assert ps_readings("", "4 a\n", ["a"], 0) == {}
    assert ps_readings("  JID RSS   VSZ TIME\nps: trouble\n", "4 a\n", ["a"], 0) == {}
    assert ps_readings(" 4 10 20 0:01.00\n", "", ["a"], 0) == {}


@given(
    rates=st.lists(st.floats(0, 8), min_size=2, max_size=60),
    guess=st.one_of(st.none(), st.floats(0, 1000)),
)
def test_cpu_percent_is_never_far_from_the_truth(rates: list[float], guess: float | None) -> None:
    """Of counted whole seconds, whatever the kernel estimates: off by at most a second and its rounding."""
    history: deque[tuple[float, float]] = deque()
    used, past = 0.0, [(0.0, 0.0)]
    for second, rate in enumerate(rates):
        reading = Reading(cpu_s=int(used), cpu_step_s=1.0, percent=guess, at_s=float(second))
        percent = cpu_percent(history, reading)
        past.append((float(second), used))
        assert percent >= 0
        if second:
            since, at_since = next(entry for entry in past[1:] if second - entry[0] <= WINDOW_S)
            truth = 100 * (used - at_since) / (second - since)
            assert abs(percent - truth) <= 100 * 2 / (second - since) + 1e-6
        used += rate
    assert len(history) <= WINDOW_S + 1


def test_the_kernels_estimate_is_finer_than_whole_seconds() -> None:
    """A pot that uses 3 % shows 3 %, and not 0 and then 10."""
    history: deque[tuple[float, float]] = deque()
    shown = [
        cpu_percent(history, Reading(cpu_s=int(second * 0.03), cpu_step_s=1.0, percent=3.0, at_s=float(second)))
        for second in range(1, 100)
    ]

    assert set(shown[1:]) == {3.0}


def test_processes_that_end_do_not_make_cpu_use_negative() -> None:
    """Their time is no longer in the sum that ps gives."""
    history: deque[tuple[float, float]] = deque()
    cpu_percent(history, Reading(cpu_s=100, cpu_step_s=0.01))

    assert cpu_percent(history, Reading(cpu_s=1, cpu_step_s=0.01, at_s=1.0)) == 0.0
