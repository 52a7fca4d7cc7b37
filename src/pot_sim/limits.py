"""What a jail uses and the rules about that: racct's numbers, taken from /proc, and rctl's list of rules.

Rules stay when a jail has gone, as FreeBSD's do, until the next boot.

Not here: rctl's command line (`hostcmds/rctl`), keeping to a limit (`cgroups`), pot.conf's limits (`attributes`).
"""

from __future__ import annotations

import contextlib
import os

from pot_sim import faults, mutex, registry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pot_sim.root import Root

RESOURCES = tuple(
    "cputime datasize stacksize coredumpsize memoryuse memorylocked maxproc openfiles vmemoryuse pseudoterminals "  # noqa: SIM905
    "swapuse nthr msgqqueued msgqsize nmsgq nsem nsemop nshm shmsize wallclock pcpu readbps writebps readiops "
    "writeiops".split()
)
_UNITS = {unit: 1024**power for power, unit in enumerate("BKMGTPE")}
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_PCPU_S = 1.0  # the shortest time over which CPU use is told


def usage(root: Root, name: str) -> dict[str, str]:
    """What `rctl -u` tells of a jail, in its order: zeros for one that there is not."""
    if faults.on(root, "usage", name):
        return {}
    found = dict.fromkeys(RESOURCES, 0)
    record = registry.running(root.run, name)
    if record is not None:
        processes = [process for pid in registry.pids(record) if (process := _Process.read(pid))]
        for process in processes:
            process.add_to(found)
        ticks = sum(process.ticks for process in processes) + _orphans(record.pid)
        found["cputime"] = ticks // _TICKS
        found["pcpu"] = _percent(root, record, ticks)
    return {resource: str(amount) for resource, amount in found.items()}


class _Process:
    """One process of a jail."""

    def __init__(self, pid: int, stat: list[str], status: dict[str, str], files: int) -> None:
        self._stat, self._status, self._files = stat, status, files
        self.pid = pid
        self.ticks = sum(int(stat[field]) for field in (11, 12, 13, 14))  # its own and that of its ended children

    @classmethod
    def read(cls, pid: int) -> _Process | None:
        try:
            with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
                status = dict(line.split(":", 1) for line in file)
            files = len(os.listdir(f"/proc/{pid}/fd"))
        except OSError:  # it ended
            return None
        stat = registry.stat(pid)
        return cls(pid, stat, status, files) if stat else None

    def add_to(self, found: dict[str, int]) -> None:
        found["datasize"] += self._bytes("VmData")
        found["stacksize"] += self._bytes("VmStk")
        found["memorylocked"] += self._bytes("VmLck")
        found["swapuse"] += self._bytes("VmSwap")
        found["memoryuse"] += int(self._stat[21]) * _PAGE
        found["vmemoryuse"] += int(self._stat[20])
        found["nthr"] += int(self._stat[17])
        found["maxproc"] += 1
        found["openfiles"] += self._files
        found["wallclock"] += int(_uptime() - int(self._stat[19]) / _TICKS)

    def _bytes(self, field: str) -> int:
        return 1024 * int(self._status.get(field, "0 kB").split()[0])


def _orphans(first: int) -> int:
    """Ticks of processes that process 1 of the jail has reaped."""
    stat = registry.stat(first)
    return int(stat[13]) + int(stat[14]) if stat else 0


def _uptime() -> float:
    with open("/proc/uptime", encoding="ascii") as file:
        return float(file.read().split()[0])


def _percent(root: Root, record: registry.Record, ticks: int) -> int:
    """CPU use since the last time that somebody asked; at first, since the jail's start. 100 is one core."""
    path = f"{root.run}/pcpu/{record.jid}"
    now = _uptime()
    then, used, percent = int(record.fields["start"]) / _TICKS, 0, 0
    with contextlib.suppress(FileNotFoundError), open(path, encoding="ascii") as file:
        words = file.read().split()
        then, used, percent = float(words[0]), int(words[1]), int(words[2])
        if now - then < _PCPU_S:
            return percent
    if now > then:
        percent = max(0, round(100 * (ticks - used) / _TICKS / (now - then)))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(f"{path}.{os.getpid()}", "w", encoding="ascii") as file:
        file.write(f"{now} {ticks} {percent}")
    os.rename(file.name, path)
    return percent


def clock_rate() -> int:
    """hw.clockrate: MHz."""
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith("cpu MHz"):
                return round(float(line.partition(":")[2]))
    return 2000


def rules(root: Root) -> list[str]:
    """In rctl's own writing, in the order in which they were made."""
    try:
        with open(_rules_file(root), encoding="utf-8") as file:
            return file.read().splitlines()
    except FileNotFoundError:
        return []


def add_rule(root: Root, rule: str) -> None:
    """Add one, its amount written out; one that is there already stays the only one."""
    head, _, amount = rule.partition("=")
    number, slash, per = amount.partition("/")
    rule = f"{head}={plain(number)}{slash}{per}"
    with _rules_locked(root) as known:
        if rule not in known:
            known.append(rule)


def killing_above(root: Root, name: str) -> int | None:
    """Bytes beyond which a rule has the jail's processes killed; memoryuse:deny does nothing of the kind on FreeBSD."""
    rule = f"jail:{name}:memoryuse:sigkill="
    amounts = [int(each.removeprefix(rule).partition("/")[0]) for each in rules(root) if each.startswith(rule)]
    return min(amounts, default=None)


def obey(root: Root, name: str) -> None:
    """Make a jail that runs keep to its rules, where the host can; one that starts later does so by itself."""
    record, memory = registry.running(root.run, name), killing_above(root, name)
    if record is None or memory is None:
        return
    from pot_sim import cgroups  # noqa: PLC0415 (few jails have such a rule)

    cgroup = record.fields.get("cgroup", "")
    if cgroup:
        cgroups.change(cgroup, memory)
        return
    cgroup = cgroups.create(root.run, record.jid, record.pid, memory)
    if cgroup:
        registry.write(root.run, name, {**record.fields, "cgroup": cgroup})
        for pid in registry.pids(record):
            cgroups.enter(cgroup, pid)


def remove_rules(root: Root, wanted: str) -> bool:
    """Remove all that begin with the filter's words; False if there were none."""
    with _rules_locked(root) as known:
        kept = [rule for rule in known if not matches(rule, wanted)]
        removed = len(kept) < len(known)
        known[:] = kept
    return removed


def matches(rule: str, wanted: str) -> bool:
    """Whether a rule is one of those that a filter means; an empty part of a filter means any."""
    return all(not part or part == own for part, own in zip(_parts(wanted), _parts(rule), strict=False))


def plain(amount: str) -> int:
    """Write out an amount with a unit; ValueError if it is none."""
    unit = amount[-1:].upper()
    return int(amount[:-1]) * _UNITS[unit] if unit in _UNITS else int(amount)


def _parts(rule: str) -> list[str]:
    return rule.replace("=", ":").split(":")


def _rules_file(root: Root) -> str:
    return root.run + "/rctl"


@contextlib.contextmanager
def _rules_locked(root: Root) -> Iterator[list[str]]:
    with mutex.lock(root.run, "rctl"):
        known = rules(root)
        yield known
        temporary = f"{_rules_file(root)}.{os.getpid()}"
        with open(temporary, "w", encoding="utf-8") as file:
            file.writelines(rule + "\n" for rule in known)
        os.rename(temporary, _rules_file(root))
