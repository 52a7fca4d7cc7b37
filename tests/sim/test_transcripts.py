"""The recorded runs of the real pot judge the simulator: same command lines, same ends, same words, same files.

`fixtures/transcripts.json` is the record; `fixtures/stage.toml` tells what happened between the recorded commands.

Not here: what no record shows (`test_checklist.py`).
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import time
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pot_sim import epair, images, limits
from pot_sim.root import Root, set_boot

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Ended, Running, Simulator

pytestmark = pytest.mark.namespaces

_FIXTURES = Path(__file__).parent / "fixtures"
_RECORD: list[dict[str, Any]] = json.loads((_FIXTURES / "transcripts.json").read_text())
_STAGE: dict[str, Any] = tomllib.loads((_FIXTURES / "stage.toml").read_text())

LEFT_OUT = {
    (7, 18): "the app's whole environment as bash left it; test_point_49 has what counts",
    (10, 33): "the calls of logger(1), whose line format is the recorder's; test_point_69 has the lines",
    (12, 2): "no command line: the recorder's own words for what stage.toml does before item 3",
    (15, 10): "process ids of that machine; test_point_25 has the three processes",
    (15, 14): "an empty process list",
}

# Faults that the recorder switched on in the environment.
_FAULTS = {
    "POTREAL_ZFS_FAIL": "{value}",
    "POTREAL_JAIL_CREATE_FAIL": "jail",
    "POTREAL_PFCTL_FAIL": "pfctl",
    "POTREAL_EPAIR_FAIL": "epair",
    "POTREAL_RACCT": "racct",
    "POTREAL_CLOCKRATE": "clockrate",
}
_IN_ANY_ORDER = {(13, 9): "find(1) walks a directory as it lies on the disk"}

# Whose words on stderr are compared: pot's and the app's own. The rest are tools of FreeBSD's.
_COMPARED = re.compile(r"###>|=+>|to-stderr|err$|.*: illegal option -- |mktemp: |Interface ")


@pytest.mark.slow
@pytest.mark.parametrize("section", _RECORD, ids=[f"{each['number']:02}-{each['title']}" for each in _RECORD])
def test_the_simulator_does_as_recorded(section: dict[str, Any], sim: Simulator, image_dir: Path) -> None:
    """Each command of a section ends, and speaks, and leaves things, as the real one did."""
    stage = _Stage(sim, image_dir)
    before = _STAGE[str(section["number"])].get("before", {})
    for number, item in enumerate(section["items"]):
        for line in before.get(str(number), ()):
            stage.direct(line)
        if (section["number"], number) not in LEFT_OUT:
            stage.judge(item, in_any_order=(section["number"], number) in _IN_ANY_ORDER)


def test_what_is_left_out_is_in_the_record() -> None:
    """A reason for leaving something out names something that is there."""
    recorded = {(section["number"], number) for section in _RECORD for number in range(len(section["items"]))}

    assert recorded > set(LEFT_OUT)


class _Stage:
    """One section on its way."""

    def __init__(self, sim: Simulator, image_dir: Path) -> None:
        self._sim = sim
        self._images = image_dir
        self._background: dict[tuple[str, ...], Running] = {}
        self._newest: Running | None = None
        self._pot = ""  # whom a `pot.conf lines` is about

    # what happened in between

    def direct(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        do: dict[str, Callable[[str], object]] = {
            "pot": self._do_pot,
            "&": self._do_background,
            "others": self._do_others,
            "make": self._do_make,
            "cmd": self._do_cmd,
            "up": lambda name: self._until(lambda: self._sim.state(name) == "started"),
            "status": self._do_status,
            "jail": lambda name: self._until(lambda: self._sim.lives(name)),
            "gone": lambda name: self._until(lambda: not self._sim.lives(name)),
            "said": lambda text: self._until(lambda: text in self._run().out),
            "end": lambda _: [running.ended() for running in self._background.values()],
            "kill": lambda name: os.kill(self._run().process.pid, signal.Signals[f"SIG{name}"]),
            "killgroup": lambda name: os.killpg(self._run().process.pid, signal.Signals[f"SIG{name}"]),
            "fault": self._sim.fault,
            "write": self._do_write,
            "mkdir": lambda path: self._path(path).mkdir(parents=True),
            "rm": self._do_rm,
            "age": self._do_age,
            "booted": lambda seconds: set_boot(self._sim.root, int(time.time()) - int(seconds), "another"),
            "hide": lambda name: (self._sim.m(name) / ".host").write_text(""),
            "conf-": self._do_forget,
            "image": lambda text: self._do_image(*text.split()),
            "spoil": lambda text: self._do_spoil(*text.split()),
        }
        do[word](rest)

    def _run(self) -> Running:
        assert self._newest is not None
        return self._newest

    def _until(self, true: Callable[[], bool]) -> None:
        self._sim.until(true)

    def _do_pot(self, rest: str) -> None:
        ended = self._sim.pot(*(self._here(word) for word in shlex.split(rest)))
        assert ended.status == 0, (rest, ended)

    def _do_background(self, rest: str) -> None:
        words = shlex.split(rest)
        self._newest = self._sim.background(*(self._here(word) for word in words[1:]), LEAK="1")
        self._background[tuple(words)] = self._newest

    def _do_others(self, _: str) -> None:
        for name in ("ok", "okv"):
            self._do_make(name)
        for options in ("-a r.1_a1 -n dot.ted", "-a x -n t"):
            self._do_pot(f"prepare -U file:///images -p web -t 1.0 {options}")

    def _do_make(self, rest: str) -> None:
        name, _, command = rest.partition(" ")
        options, dashes, behind = command.partition(" -- ")
        command = behind if dashes else command
        more = ["-c", f'"{command}"'] if command else []
        image = (f"file://{self._images}", "-p", "web", "-t", "1.0", "-a", "r1_a1", "-n", name)
        ended = self._sim.pot("prepare", "-U", *image, *(options.split() if dashes else ()), *more)
        assert ended.status == 0, (rest, ended)

    def _do_cmd(self, rest: str) -> None:
        name, _, command = rest.partition(" ")
        assert self._sim.pot("set-cmd", "-p", f"{name}_r1_a1", "-c", f'"{command}"').status == 0

    def _do_status(self, rest: str) -> None:
        state, name = rest.split()
        self._until(lambda: self._sim.state(name) == state)

    def _do_write(self, rest: str) -> None:
        path, _, text = rest.partition(" ")
        if path == "/T/host/has":
            path, text = path + " space/x", text.partition(" ")[2]
        file = self._path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
        file.chmod(0o755)

    def _do_rm(self, path: str) -> None:
        file = self._path(path)
        if file.is_dir():
            shutil.rmtree(file)
        else:
            file.unlink(missing_ok=True)

    def _do_age(self, rest: str) -> None:
        seconds, path = rest.split()
        then = time.time() - int(seconds)
        os.utime(self._path(path), (then, then))

    def _do_forget(self, rest: str) -> None:
        name, key = rest.split()
        file = Path(self._sim.root.conf(name)) / "pot.conf"
        file.write_text("".join(line + "\n" for line in self._sim.conf(name) if not line.startswith(key)))

    def _do_image(self, name: str, tag: str) -> None:
        if not (self._images / f"{name}_{tag}.xz").exists():
            images.create(Root(str(self._images.parent)), name, tag)

    def _do_spoil(self, name: str, tag: str) -> None:
        with (self._images / f"{name}_{tag}.xz.skein").open("r+") as file:
            file.write("#")

    # what is compared

    def judge(self, item: dict[str, Any], *, in_any_order: bool) -> None:
        if "command" in item:
            self._judge_command(item, in_any_order=in_any_order)
        elif "state" in item:
            self._judge_state(item)
        elif "set_cmd" in item:
            self._pot = "q_r1_a1"
            assert self._sim.pot("set-cmd", "-p", self._pot, "-c", item["set_cmd"]).status == 0
        elif "sees" in item:
            self._judge_variable(item)
        else:
            self._judge_shown(item["shown"], item["lines"])

    def _judge_command(self, item: dict[str, Any], *, in_any_order: bool) -> None:
        words = item["command"]
        self._pot = _pot_of(words) or self._pot
        if item.get("background"):
            ended = self._background.pop(tuple(words)).ended()
        else:
            environment = self._environment(item.get("env", {}))
            stdin = b"from stdin\n" if words[-1] == "cat" else b""
            ended = self._sim.pot(*(self._here(word) for word in words[1:]), stdin=stdin, **environment)
        expected = item.get("stdout", [])
        found = self._recorded_words(ended.out)
        if in_any_order:
            expected, found = sorted(expected), sorted(found)
        what = (words, ended)
        assert ended.status == item["rc"], what
        assert _masked(_unfolded(found, expected)) == _masked(expected), what
        assert self._own_words(ended) == _masked(_own(item.get("stderr", []))), what

    def _own_words(self, ended: Ended) -> list[str]:
        return _masked(_own(self._recorded_words(ended.err)))

    def _judge_state(self, item: dict[str, Any]) -> None:
        name = item["state"]
        file = self._sim.tmp(f"pot_status_{name}")
        if item["jail"] == "gone":
            self._until(lambda: not self._sim.lives(name))
        found = {
            "file": file.read_text().rstrip("\n") if file.exists() else "(no status file)",
            "main_pid": "present" if self._sim.tmp(f"pot_main_pid_{name}").exists() else "absent",
            "jail": "alive" if self._sim.lives(name) else "gone",
        }
        expected = {key: item[key] for key in found}
        assert _masked(found.values()) == _masked(expected.values()), name

    def _judge_variable(self, item: dict[str, Any]) -> None:
        """One value through set-env and the pot's shell."""
        value = item.get("variable", re.sub(r"([\\$`])", r"\\\1", item.get("escaped", "")))
        seen = self._sim.m("v_r1_a1") / "root/seen"
        seen.unlink(missing_ok=True)
        assert self._sim.pot("set-env", "-p", "v_r1_a1", "-E", f"V={value}", "-E", "AFTER=1").status == 0

        ended = self._sim.pot("start", "v_r1_a1")

        assert ended.status == item.get("rc", 0), (value, ended)
        assert (seen.read_text() if seen.exists() else None) == item["sees"], (value, ended)

    def _judge_shown(self, what: str, lines: list[str]) -> None:
        if what == "pot.conf lines":
            found = self._recorded_words("\n".join(self._sim.conf(self._pot)))
            keys = {line.partition("=")[0] for line in lines}
            assert [line for line in found if line.partition("=")[0] in keys] == lines, self._pot
        elif what.startswith("/"):
            assert _masked(self._recorded_words(self._path(what).read_text())) == _masked(lines)
        elif what == "fscomp.conf after mount-out":
            file = Path(self._sim.root.conf(self._pot)) / "fscomp.conf"
            assert self._recorded_words(file.read_text()) == lines
        elif what.startswith("rctl rules"):
            kept = [rule.replace("64M", str(64 << 20)) for rule in json.loads("".join(lines))["rules"]]  # as racct does
            assert limits.rules(self._sim.root) == kept
        else:
            assert what.startswith("net state"), what
            self._judge_network(*lines)

    def _judge_network(self, interfaces: str, anchors: str) -> None:
        ends = [word.rstrip(",") for word in interfaces.split() if re.match("p4|epair", word)]
        rules = json.loads(anchors.partition(": ")[2])
        root = self._sim.root
        assert _masked(sorted(epair.interfaces(root))) == _masked(sorted(ends))
        assert {each: "".join(rule + "\n" for rule in epair.anchor(root, each)) for each in epair.anchors(root)} == {
            name.removeprefix("pot-rdr/"): text for name, text in rules.items()
        }

    # there and here

    def _environment(self, recorded: dict[str, str]) -> dict[str, str]:
        faults = [_FAULTS[key].format(value=value) for key, value in recorded.items() if key in _FAULTS]
        others = {key: value for key, value in recorded.items() if key not in _FAULTS}
        return others | ({"POT_SIM_FAULTS": ";".join(faults)} if faults else {})

    def _here(self, word: str) -> str:
        word = word.replace("file:///images", f"file://{self._images}").replace("/T/host", str(self._sim.host))
        return self._sim.root.tmp if word == "/tmp" else word

    def _path(self, recorded: str) -> Path:
        for there, here in (
            ("/T/host", str(self._sim.host)),
            ("/opt/pot", self._sim.root.fs),
            ("/tmp", self._sim.root.tmp),
        ):
            if recorded.startswith(there):
                return Path(here + recorded.removeprefix(there))
        raise AssertionError(recorded)

    def _recorded_words(self, text: str) -> list[str]:
        """Text from here, with the names of that machine (and without the terminal's carriage returns)."""
        text = text.replace("\r\n", "\n")
        for here, there in (
            (self._sim.root.fs, "/opt/pot"),
            (self._sim.root.cache, "/var/cache/pot"),
            (self._sim.root.tmp, "/tmp"),
            (self._sim.root.bin, "/usr/local/bin"),
            (str(self._images), "/images"),
            (str(self._sim.host), "/T/host"),
        ):
            text = text.replace(here, there)
        host = re.escape(os.uname().nodename)
        return re.sub(rf"(?<=[a-z0-9_])\.{host}\b", ".vm", text).removesuffix("\n").split("\n") if text else []


def _pot_of(words: list[str]) -> str:
    options = dict(pairwise(words))
    if "prepare" in words[:2]:
        return f"{options.get('-n')}_{options.get('-a')}".replace(".", "_")
    return options.get("-p", options.get("start", ""))


def _own(stderr: list[str]) -> list[str]:
    return [line for line in stderr if _COMPARED.match(line)]


def _unfolded(found: list[str], expected: list[str]) -> list[str]:
    """`found`, with help texts and long lists told as short as the record tells them."""
    short: list[str] = []
    for line in expected:
        if folded := re.search(r"^(.*?)   <- help text, (\d+) lines in all$", line):
            short.append(f"{found[0]}   <- help text, {folded[2]} lines in all" if found else "(nothing)")
            found = found[int(folded[2]) :]
        elif cut := re.match(r"\.\.\. \((\d+) lines cut\)$", line):
            short.append(line)
            found = found[int(cut[1]) :]
        elif found:
            short.append(found[0])
            found = found[1:]
    return short + found


def _masked(lines: Any) -> list[str]:
    """Without what differs from run to run."""
    masks = (
        (r"\bp4[0-9a-f]{8,}", "p4TIME"),
        (r"\bepair\d+b", "epairNb"),
        (r"(?<![\w.])1[67]\d{8}\b", "SNAPSHOT"),
        (r"(_POT_JID=)\d+", r"\1JID"),
        (r"(copy-(?:in|out)\.)[A-Za-z0-9_]{8}", r"\1RANDOM"),
        (r"(usage|memory|MHz\)|spent\)|pcpu \(%\))( *:) [\d.]+[KMG]?", r"\1\2 N"),
        (r"(\"(?:RSS|Swap|TotalTicks|Percent)\" ?:) [\d.]+", r"\1 N"),
        (r"^\d{2,7}$", "PID"),
    )
    found = []
    for line in lines:
        masked = line
        for pattern, mask in masks:
            masked = re.sub(pattern, mask, masked)
        found.append(masked)
    return found
