"""ps(1) as FreeBSD's: every process of this machine belongs to a jail of this root or to the host, jid 0.

Not here: what only a kernel debugger wants to know; threads (-H) and environments (-e).
"""

from __future__ import annotations

import os
import sys

from pot_sim import faults, registry
from pot_sim import root as roots
from pot_sim.shell import Exit, Options, complain, end, write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from pot_sim.root import Root

USAGE = "usage: ps [-aCcdeHhjlmrSTuvwXxZ] [-O fmt | -o fmt] [-J jid | jail] [-p pid] [-U user] [-N system]"
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024
_DEFAULT = "pid,tt,state,time,command"
_LONG = "uid,pid,ppid,cpu,pri,nice,vsz,rss,mwchan,state,tt,time,command"
_USER = "user,pid,%cpu,%mem,vsz,rss,tt,state,start,time,command"
_JOB = "user,pid,ppid,pgid,sid,jobc,state,tt,time,command"
_ALIASES = {
    "args": "command", "cmd": "command", "cputime": "time", "ni": "nice", "pcpu": "%cpu", "pmem": "%mem",
    "stat": "state", "tty": "tt", "vsize": "vsz", "ucomm": "comm", "login": "user", "wchan": "mwchan",
}  # fmt: skip
_LEFT = {"command": "COMMAND", "comm": "COMMAND", "user": "USER", "tt": "TT", "state": "STAT", "start": "STARTED",
         "lstart": "STARTED", "jail": "JAIL", "mwchan": "MWCHAN"}  # fmt: skip
_RIGHT = {"pid": "PID", "ppid": "PPID", "pgid": "PGID", "sid": "SID", "jid": "JID", "uid": "UID", "gid": "GID",
          "rss": "RSS", "vsz": "VSZ", "time": "TIME", "etime": "ELAPSED", "etimes": "ELAPSED", "%cpu": "%CPU",
          "%mem": "%MEM", "nice": "NI", "pri": "PRI", "nlwp": "NLWP", "jobc": "JOBC", "cpu": "C"}  # fmt: skip


class _Process:
    """One line."""

    def __init__(self, pid: int, stat: list[str], jail: tuple[int, str]) -> None:
        self.pid, self.stat, (self.jid, self.jail) = pid, stat, jail
        self.uid = os.stat(f"/proc/{pid}").st_uid

    def cell(self, keyword: str) -> str:
        stat = self.stat
        ticks = int(stat[11]) + int(stat[12])
        match keyword:
            case "pid" | "jid" | "uid" | "jail":
                return str(getattr(self, keyword))
            case "ppid" | "pgid" | "sid":
                return stat[{"ppid": 1, "pgid": 2, "sid": 3}[keyword]]
            case "rss":
                return str(int(stat[21]) * _PAGE_KIB)
            case "vsz":
                return str(int(stat[20]) // 1024)
            case "time":
                hundredths = ticks * 100 // _TICKS
                return f"{hundredths // 6000}:{hundredths // 100 % 60:02}.{hundredths % 100:02}"
            case "state":
                return {"S": "S", "D": "D", "R": "R", "Z": "Z", "T": "T", "t": "T", "I": "I"}.get(stat[0], stat[0])
            case "nice" | "pri" | "nlwp":
                return stat[{"nice": 16, "pri": 15, "nlwp": 17}[keyword]]
            case "etime":
                return _elapsed(self.age)
            case "etimes":
                return str(int(self.age))
            case "%cpu":
                return f"{100 * ticks / _TICKS / max(self.age, 0.01):.1f}"
            case "%mem":
                return f"{100 * int(stat[21]) / os.sysconf('SC_PHYS_PAGES'):.1f}"
            case "comm":
                return self._file("comm").rstrip("\n")
            case "command":
                words = self._file("cmdline").split("\0")[:-1]
                return " ".join(words).replace("\n", "\\n") or f"[{self._file('comm').rstrip()}]"
            case "start" | "lstart":
                return self._started(keyword)
            case "tt":
                return _terminal(int(stat[4]))
            case "user":
                return _user(self.uid)
            case "gid":
                return str(os.stat(f"/proc/{self.pid}").st_gid)
            case "jobc" | "cpu":
                return "0"
            case _:
                return "-"

    @property
    def age(self) -> float:
        with open("/proc/uptime", encoding="ascii") as file:
            return float(file.read().split()[0]) - int(self.stat[19]) / _TICKS

    def _started(self, keyword: str) -> str:
        import time  # noqa: PLC0415 (rarely wanted)

        began = time.localtime(time.time() - self.age)
        return time.strftime("%c" if keyword == "lstart" else "%H:%M", began)

    def _file(self, name: str) -> str:
        try:
            with open(f"/proc/{self.pid}/{name}", encoding="utf-8", errors="surrogateescape") as file:
                return file.read()
        except OSError:
            return ""


def main() -> NoReturn:
    try:
        root = roots.of_executable(sys.argv[0])
        faults.delay(root, "ps")
        end(_run(root, sys.argv[1:]))
    except Exit as ended:
        end(ended.status)


def _run(root: Root, args: list[str]) -> int:
    flags: set[str] = set()
    columns: list[tuple[str, str]] = []
    jids: set[int] = set()
    pids: set[int] = set()
    options = Options("ps", _with_dash(args), "aACcdefHhjJ:lmN:O:o:p:rSTt:U:uvwXxZ")
    for letter, value in options:
        flags.add(letter)
        match letter:
            case "?":
                raise Exit(_usage())
            case "o":
                columns += _keywords(value)
            case "O":
                columns += [*_keywords("pid"), *_keywords(value), *_keywords("tt,state,time,command")]
            case "J":
                jids |= {_jid(root, word) for word in _words(value)}
            case "p":
                pids |= {int(word) for word in _words(value) if word.isdecimal()}
    pids |= {int(word) for word in options.rest if word.isdecimal()}
    columns = columns or _keywords(
        next((f for o, f in (("j", _JOB), ("l", _LONG), ("u", _USER)) if o in flags), _DEFAULT)
    )
    if jids or pids:
        found = [p for p in _processes(root) if p.jid in jids or p.pid in pids]
    else:
        every, no_terminal = bool(flags & {"a", "A"}), bool(flags & {"x", "A"})
        found = [
            p for p in _processes(root)
            if (every or p.uid == os.getuid()) and (no_terminal or p.cell("tt") != "-")
        ]  # fmt: skip
    _print(found, columns)
    return 0 if found else 1


def _with_dash(args: list[str]) -> list[str]:
    """`ps ax` means `ps -ax`."""
    if args and args[0] and not args[0].startswith("-") and not args[0].isdecimal():
        return ["-" + args[0], *args[1:]]
    return args


def _usage() -> int:
    complain(USAGE)
    return 1


def _words(value: str) -> list[str]:
    return value.replace(",", " ").split()


def _keywords(value: str) -> list[tuple[str, str]]:
    """(keyword, header); behind `=` stands the header, to the end of the word."""
    head, equals, header = value.partition("=")
    found = []
    words = _words(head)
    for number, word in enumerate(words, 1):
        keyword = _ALIASES.get(word, word)
        if keyword not in _LEFT and keyword not in _RIGHT:
            complain(f"ps: {word}: keyword not found")
            complain("ps: no valid keywords; valid keywords:")
            complain(" ".join(sorted({*_LEFT, *_RIGHT, *_ALIASES})))
            raise Exit(1)
        own = equals and number == len(words)
        found.append((keyword, header if own else _LEFT.get(keyword) or _RIGHT[keyword]))
    return found


def _jid(root: Root, word: str) -> int:
    if word.isdecimal():
        return int(word)
    record = registry.running(root.run, word)
    if record is None:
        complain(f"ps: Invalid jail id: {word}")
        raise Exit(_usage())
    return record.jid


def _processes(root: Root) -> list[_Process]:
    """In the order of their pids; each jail's process 1 is not FreeBSD's and stays unseen."""
    jails: dict[int, tuple[int, str]] = {}
    hidden = set()
    for name in registry.recorded(root.run):
        record = registry.running(root.run, name)
        if record is not None:
            hidden.add(record.pid)
            jails[os.stat(f"/proc/{record.pid}/ns/pid").st_ino] = (record.jid, name)
    found = []
    for pid in sorted(int(entry) for entry in os.listdir("/proc") if entry.isdigit()):
        stat = registry.stat(pid)
        if not stat or pid in hidden:
            continue
        try:
            namespace = os.stat(f"/proc/{pid}/ns/pid").st_ino if jails else 0
            found.append(_Process(pid, stat, jails.get(namespace, (0, "-"))))
        except OSError:  # it ended meanwhile
            continue
    return found


def _print(processes: list[_Process], columns: list[tuple[str, str]]) -> None:
    rows = [[process.cell(keyword) for keyword, _ in columns] for process in processes]
    headers = [header for _, header in columns]
    widths = [
        max(len(header), *(len(row[number]) for row in rows), 0) if rows else len(header)
        for number, header in enumerate(headers)
    ]
    for row in ([headers] if any(headers) else []) + rows:
        cells = []
        for number, (cell, (keyword, _)) in enumerate(zip(row, columns, strict=True)):
            last = number == len(columns) - 1
            cells.append(
                cell if keyword in _LEFT and last else f"{cell:{'<' if keyword in _LEFT else '>'}{widths[number]}}"
            )
        write(1, " ".join(cells).rstrip(" ") + "\n")


def _elapsed(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    day = f"{days}-" if days else ""
    return f"{day}{hours:02}:{minutes:02}:{rest:02}" if hours or days else f"{minutes:02}:{rest:02}"


def _terminal(number: int) -> str:
    """Only pseudo-terminals have a name here, as FreeBSD shortens it."""
    major, minor = os.major(number), os.minor(number)
    return str(minor + 256 * (major - 136)) if 136 <= major < 144 else "v0" if number else "-"


def _user(uid: int) -> str:
    import pwd  # noqa: PLC0415 (rarely wanted)

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
