"""Which jails there are: one record per jail below the root, believed only while its first process lives.

`jls` and `pot info` do nothing but this, thousands of times, so only `os` is imported.

Not here: making and ending jails (see `jail`).
"""

from __future__ import annotations

import os

_EXITING = 0x4  # PF_EXITING: pid 1 of a jail stays in this state until its last zombie is reaped


class Record:
    """What is known of a jail; the keys are those of the file."""

    __slots__ = ("fields",)

    def __init__(self, fields: dict[str, str]) -> None:
        self.fields = fields

    @property
    def jid(self) -> int:
        """The jail's number."""
        return int(self.fields["jid"])

    @property
    def pid(self) -> int:
        """The host's pid of the jail's first process, which holds its namespaces."""
        return int(self.fields["pid"])

    @property
    def is_pid_its_own(self) -> bool:
        """The pid has not become another process's meanwhile."""
        return start_time(self.pid) == self.fields["start"]

    @property
    def alive(self) -> bool:
        """The jail has not ended."""
        return is_alive(self.pid, self.fields["start"])


def directory(run: str) -> str:
    return run + "/jails"


def read(run: str, name: str) -> Record | None:
    """The record of a jail, which may have ended."""
    if "/" in name or name in ("", ".", ".."):
        return None
    try:
        with open(f"{directory(run)}/{name}", encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return Record(dict(line.split("=", 1) for line in lines))


def write(run: str, name: str, fields: dict[str, str]) -> None:
    os.makedirs(directory(run), exist_ok=True)
    path = f"{directory(run)}/{name}"
    temporary = f"{run}/jails.{name}.{os.getpid()}"
    with open(temporary, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.writelines(f"{key}={value}\n" for key, value in fields.items())
    os.rename(temporary, path)


def remove(run: str, name: str) -> None:
    try:
        os.unlink(f"{directory(run)}/{name}")
    except FileNotFoundError:
        return


def recorded(run: str) -> list[str]:
    """The names of all records, those of ended jails included."""
    try:
        return sorted(os.listdir(directory(run)))
    except FileNotFoundError:
        return []


def running(run: str, name: str) -> Record | None:
    """The record of a jail that lives."""
    record = read(run, name)
    return record if record is not None and record.alive else None


def pids(record: Record) -> list[int]:
    """The host's pids of a jail's processes, without its process 1, which FreeBSD has no need of."""
    try:
        wanted = os.stat(f"/proc/{record.pid}/ns/pid").st_ino
    except OSError:
        return []
    if not record.is_pid_its_own:  # or the host itself would be taken for the jail
        return []
    found = []
    for pid in (int(entry) for entry in os.listdir("/proc") if entry.isdigit()):
        try:
            inside = pid != record.pid and os.stat(f"/proc/{pid}/ns/pid").st_ino == wanted
        except OSError:  # it ended meanwhile
            continue
        if inside and is_alive(pid, start_time(pid)):
            found.append(pid)
    return sorted(found)


def start_time(pid: int) -> str:
    """The clock tick in which a process began: with its pid it names the process for ever. Empty: it is gone."""
    fields = stat(pid)
    return fields[19] if fields else ""


def is_alive(pid: int, start: str) -> bool:
    fields = stat(pid)
    return bool(fields) and fields[19] == start and fields[0] not in "ZX" and not int(fields[6]) & _EXITING


def stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on (field 3 is number 0)."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read().decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text[text.rindex(")") + 2 :].split()
