"""Whatever a dead plugin has left on disk, the next one reads the truth from it, and every later one the same."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pot_driver.clock import SystemClock
from pot_driver.config import decode_plugin
from pot_driver.driver import ends
from pot_driver.driver.ends import Fate
from pot_driver.driver.host import Host
from pot_driver.keeper import record
from pot_driver.model import BootId, ExitResult, TaskRecord
from pot_driver.pot.cli import Pot
from pot_driver.pot.jails import Jails
from pot_driver.tasks import Task

POT = "web_01234567_00000000-0000-0000-0000-000000000000"
RECORD = TaskRecord(id="a/web/01234567", name="web", alloc_id="a", pot_name=POT, started_at_s=1, boot=BootId())

codes = st.integers(0, 255)
stats = st.one_of(
    st.none(),
    codes.map(lambda code: f'{{ "ExitCode": {code} }}'),
    st.sampled_from(("", "{}", "{", '{ "ExitCode": }', '{ "ExitCode": -1 }', "\0\0\0", "ExitCode 0")),
)


@st.composite
def records(draw: st.DrawFn) -> str | None:
    """What a keeper wrote, the disk being full after some of it."""
    status = draw(st.sampled_from((0, 1, 125, 127, 129, 137, 143, 255)))
    text = f"status={status}\nstats={draw(stats) or ''}\nend\n".replace("\0", "")
    cut = draw(st.none() | st.integers(0, len(text)))
    return draw(st.sampled_from((text[:cut], None)))


@dataclass(frozen=True)
class Disk:
    """All that is known of a task whose plugin has died."""

    has_home: bool
    kept: bool  # a keeper lives
    record: str | None
    stats: str | None
    jail_polls: int  # for how many questions the jail still lives
    words: str
    pot_there: bool

    @property
    def written(self) -> record.ExitRecord | None:
        return record.parse(self.record or "") if self.has_home else None

    @property
    def saw_the_end(self) -> bool:
        return self.written is not None and self.written.start_status <= 128

    @property
    def known(self) -> int | None:
        """The app's own code, if anybody has it: the keeper, or pot, which is asked where it may know more."""
        if self.written is not None and self.written.exit_code is not None:
            return self.written.exit_code
        asked = self.pot_there and not self.saw_the_end
        match = re.fullmatch(r'\{ "ExitCode": (-?\d+) \}', self.stats or "")
        return int(match[1]) if asked and match else None


disks = st.builds(
    Disk,
    has_home=st.sampled_from((True, True, True, False)),
    kept=st.booleans(),
    record=records(),
    stats=stats,
    jail_polls=st.integers(0, 2),
    words=st.sampled_from(("", "###>  Mount failed\n", "===>  Starting the pot web\npf enabled\n", "\xff")),
    pot_there=st.sampled_from((True, True, False)),
)


class QuietJails(Jails):
    """Are there for some looks: nothing is started."""

    polls = 0

    async def exists(self, name: str) -> bool:
        assert name == POT
        self.polls -= 1
        return self.polls >= 0

    async def names(self) -> frozenset[str]:
        return frozenset()


class QuietPot(Pot):
    """Answers from the disk: nothing is started."""

    root = ""

    async def fs_root(self) -> str:
        return self.root


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(ends, "JAIL_POLL_S", 0.001)
    monkeypatch.setattr(ends, "LATE_CODE_S", 0.003)
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "pot").touch(0o755)
    return tmp_path


def host_of(place: Path, disk: Disk) -> Host:
    """As a new plugin process sees it."""
    host = Host(decode_plugin(msgpack.packb({"host_path": f"{place}/bin", "state_dir": f"{place}/homes"})))
    host.pot = QuietPot(host.processes, host.config.timeouts)
    host.jails = QuietJails(host.processes, host.config.timeouts.quick)
    host.jails.polls, host.pot.root = disk.jail_polls, f"{place}/fs"
    return host


async def look(place: Path, disk: Disk, *, stop_wanted: bool) -> tuple[Fate, ExitResult]:
    """What a plugin that comes now makes of it."""
    host, task = host_of(place, disk), Task(RECORD)
    task.stop_wanted = stop_wanted
    found = await ends.fate(host, RECORD)
    result, at_s = await ends.result(host, task, SystemClock())
    assert at_s > 0
    return found, result


def write(place: Path, disk: Disk) -> int | None:
    """Make the disk so; the descriptor that a living keeper would hold."""
    for name in ("fs", "homes"):
        shutil.rmtree(place / name, ignore_errors=True)
    if disk.pot_there:
        conf = place / "fs/jails" / POT / "conf"
        conf.mkdir(parents=True)
        if disk.stats is not None:
            (conf / ".last_run_stats").write_text(disk.stats + "\n")
    if not disk.has_home:
        return None
    home = place / "homes" / POT
    home.mkdir(parents=True)
    os.mkfifo(home / "alive")
    (home / "start.log").write_text(disk.words)
    if disk.record is not None:
        (home / "exit").write_text(disk.record)
    return os.open(home / "alive", os.O_RDWR) if disk.kept else None


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(disks, st.booleans())
def test_the_truth_is_read_from_whatever_is_left(place: Path, disk: Disk, stop_wanted: bool) -> None:
    held = write(place, disk)
    if held is not None:
        assert asyncio.run(ends.fate(host_of(place, disk), RECORD)) is Fate.KEPT
        os.close(held)  # the keeper ends, with the record that it has written
    fate, result = asyncio.run(look(place, disk, stop_wanted=stop_wanted))
    known = disk.known

    assert asyncio.run(look(place, disk, stop_wanted=stop_wanted)) == (fate, result)
    assert result.successful == (known == 0)
    assert result.err or result.exit_code == known
    if known is not None:
        assert result.exit_code == known
    if disk.saw_the_end:
        assert fate is Fate.ENDED
    elif disk.jail_polls:
        assert fate is Fate.ORPHANED
    else:
        assert fate is (Fate.LOST if disk.written is None and known is None else Fate.ENDED)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(disks)
def test_whose_will_an_end_was_changes_words_and_no_code(place: Path, disk: Disk) -> None:
    held = write(place, disk)
    if held is not None:
        os.close(held)
    _, ours = asyncio.run(look(place, disk, stop_wanted=True))
    _, another = asyncio.run(look(place, disk, stop_wanted=False))

    assert (ours.exit_code, ours.signal) == (another.exit_code, another.signal)
    assert ours.successful == another.successful
