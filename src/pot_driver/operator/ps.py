"""`pot-driver ps`: the tasks of this host, from the driver's state directory, pot's files and the kernel.

No plugin is asked, and nothing is locked or written. What a record of an older driver does not have is left empty.

Not here: Nomad's view of a task, which has what no client's host knows, such as the number of its restarts.
"""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pot_driver import files, schema, task_state
from pot_driver.clock import SystemClock
from pot_driver.config import PLUGIN_OPTIONS, decode_plugin
from pot_driver.errors import DriverError, PotFailed
from pot_driver.keeper.home import Homes
from pot_driver.operator import agentfile, installation
from pot_driver.operator.hclspec import encode
from pot_driver.pot import layout, parse
from pot_driver.pot.jails import Jails
from pot_driver.process import CommandMissing, Processes
from pot_driver.stats.readings import read_all

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pot_driver.model import TaskRecord
    from pot_driver.stats.reckoning import Reading

COMMAND_S = 10.0
EVERY_S = 2.0
_CLEAR = "\x1b[H\x1b[2J"
_COLUMNS = ("JOB", "GROUP", "TASK", "ALLOCATION", "POT", "STATE", "SINCE", "ADDRESS", "PORTS", "CPU", "MEMORY")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One task. `state`: running, ended (not destroyed yet), or damaged (its record cannot be read)."""

    pot: str
    state: str
    job: str = ""
    group: str = ""
    task: str = ""
    allocation: str = ""
    since: str = ""
    address: str = ""
    ports: tuple[str, ...] = ()  # "20900:8080", host and pot
    cpu_s: float | None = None
    memory_bytes: int | None = None
    problem: str = ""


async def run(config: Path | None, *, as_json: bool, watch: bool) -> int:
    """Print the tasks, again and again with `watch`; the status to exit with."""
    plugin = agentfile.plugin_config(config)
    found = installation.find(plugin)
    options = decode_plugin(encode(schema.spec(PLUGIN_OPTIONS), found.plugin_config))
    agents = decode_plugin(encode(schema.spec(PLUGIN_OPTIONS), plugin))
    places = dict.fromkeys([Path(agents.state_dir), Path(options.state_dir)])  # and that of `run`
    processes = Processes(options.host_path)
    while True:
        lines = await _lines(processes, list(places), options.pot)
        if as_json:
            print(json.dumps([asdict(line) for line in lines], indent=None if watch else 2), flush=True)
        else:
            print((_CLEAR if watch else "") + _table(lines), flush=True)
        if not watch:
            return 0
        await asyncio.sleep(EVERY_S)


async def _lines(processes: Processes, places: Sequence[Path], pot: str) -> list[Line]:
    homes = [home for place in places if _readable(place) for home in Homes(place).all()]
    alive = await Jails(processes, COMMAND_S).names()
    records = {home.path.name: home.load() or b"" for home in homes}
    running = [name for name in records if name in alive]
    readings = await read_all(processes, running, SystemClock().monotonic_s()) if running else {}
    try:
        settings = layout.settings(Path(processes.find(pot)))
    except CommandMissing:
        settings = {}
    paths = layout.PotPaths(fs_root=Path(settings.get("POT_FS_ROOT", "/opt/pot")))
    return [
        _line(name, state, paths, readings.get(name), alive=name in alive) for name, state in sorted(records.items())
    ]


def _readable(place: Path) -> bool:
    """Whether there is something to read; DriverError where this user may not."""
    if not os.access(place.parent, os.X_OK) or not place.exists():
        return False
    if not os.access(place, os.R_OK | os.X_OK):
        raise DriverError(f"{place} can be read by its owner only: run this as root")
    return True


def _line(
    pot: str, state: bytes, paths: layout.PotPaths, reading: Reading | DriverError | None, *, alive: bool
) -> Line:
    try:
        record = task_state.decode_record(state)
    except PotFailed as error:
        return Line(pot=pot, state="damaged", problem=str(error))
    exports = parse.pot_conf(files.text(paths.conf(pot))).export_ports
    usage = None if isinstance(reading, DriverError) else reading
    return Line(
        pot=pot,
        state="running" if alive else "ended",
        job=record.job,
        group=record.group,
        task=record.name,
        allocation=record.alloc_id,
        since=datetime.fromtimestamp(record.started_at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        address=record.network.addr if record.network else "",
        ports=tuple(_host_first(export) for export in exports) or _ports(record),
        cpu_s=usage.cpu_s if usage else None,
        memory_bytes=usage.rss_bytes if usage else None,
    )


def _ports(record: TaskRecord) -> tuple[str, ...]:
    """Where pot forwards nothing: the task's own."""
    ports: Mapping[str, int] = record.network.port_map if record.network else {}
    return tuple(str(port) for port in ports.values())


def _host_first(export: str) -> str:
    """Pot's "80:20900" and "udp:53:20901", with the host's port before the pot's."""
    *protocol, inside, outside = export.split(":")
    return ":".join([*protocol, outside, inside])


def _table(lines: Iterable[Line]) -> str:
    """Columns as wide as what stands in them: nothing is cut."""
    rows = [_COLUMNS, *(_cells(line) for line in lines)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _cells(line: Line) -> tuple[str, ...]:
    return (
        line.job or "-",
        line.group or "-",
        line.task or "-",
        line.allocation or "-",
        line.pot,
        line.state,
        line.since or "-",
        line.address or "-",
        ",".join(line.ports) or "-",
        "-" if line.cpu_s is None else f"{line.cpu_s:.1f}s",
        "-" if line.memory_bytes is None else f"{line.memory_bytes / 2**20:.1f}M",
    )
