"""One run of `pot`: its root, its settings, how talkative it is, and how its commands call each other.

Not here: finding the root and the first dispatch (`pot`), what each command does (`commands/`).
"""

from __future__ import annotations

import os
from importlib import import_module

from pot_sim import faults, settings
from pot_sim import root as roots
from pot_sim.root import Root
from pot_sim.shell import Exit, Options, complain, write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

VERSION = "0.16.0"  # what pot 0.16.1 says of itself

ALIASES = {
    "ls": "list",
    "rollback": "revert",
    "snap": "snapshot",
    "set-attr": "set-attribute",
    "get-attr": "get-attribute",
}
LOCKED = ("create", "import", "clone", "create-private-bridge", "prepare", "copy-in")
SILENT = ("config", "get-rss", "info", "last-run-stats", "list", "ps", "show", "top")
ROOTLESS = ("init", "de-init", "version")

ERROR, INFO, DEBUG = 0, 1, 2

_COMMANDS = os.path.dirname(__file__) + "/commands"


class Pot:
    """What pot keeps in shell variables while it runs."""

    __slots__ = ("_muted", "config", "operands", "program", "root", "verbosity")

    def __init__(self, program: str, root: Root, config: dict[str, str]) -> None:
        self.program = program
        self.root = root
        self.config = config
        self.verbosity = 1
        self.operands: list[str] = []
        self._muted = False

    # what it says

    def echo(self, text: str) -> None:
        if not self._muted:
            write(1, text + "\n")

    def error(self, *words: str) -> None:
        self._message(ERROR, "###> ", words)

    def info(self, *words: str) -> None:
        self._message(INFO, "===> ", words)

    def debug(self, *words: str) -> None:
        self._message(DEBUG, "=====> ", words)

    def error_on_stderr(self, text: str) -> None:
        complain("###>  " + text)

    def debug_on_stderr(self, text: str) -> None:
        if self.verbose:
            complain("=====>  " + text)

    def not_found(self, text: str) -> None:
        """An error of the checks that take a `quiet` parameter: empty, it leaves a third blank."""
        self.error("", text)

    @property
    def verbose(self) -> bool:
        return self.verbosity > INFO

    def _message(self, level: int, prefix: str, words: tuple[str, ...]) -> None:
        if level <= self.verbosity:
            self.echo(" ".join((prefix, *words)))

    def mute(self, *, on: bool) -> None:
        """`>/dev/null` around a part of a command."""
        self._muted = on

    # what it is told

    def options(
        self, command: str, args: Sequence[str], spec: str, *, lenient: bool = False
    ) -> Iterator[tuple[str, str]]:
        """The options of a command but -h and -v, which mean the same everywhere, and bad ones, which end it.

        What follows them is in `operands` then. Lenient: a bad one ends the options only.
        """
        found = Options(self.program, args, spec)
        for letter, value in found:
            self.operands = found.rest
            if letter == "h":
                self.help(command)
                raise Exit(0)
            if letter == "v":
                self.verbosity += 1
            elif letter != "?":
                yield letter, value
            elif lenient:
                return
            else:
                raise Exit(self.usage_error(command))
        self.operands = found.rest

    def help(self, command: str) -> None:
        from pot_sim import help as texts  # noqa: PLC0415 (long, and rarely wanted)

        self.echo(texts.of(command))

    def usage_error(self, command: str, text: str = "") -> int:
        """The error, the command's help, exit status 1."""
        if text:
            self.error(text)
        self.help(command)
        return 1

    def is_root(self) -> bool:
        if os.geteuid() == 0 and roots.is_mighty():
            return True
        from pot_sim import privilege  # noqa: PLC0415 (root needs none)

        if privilege.is_offered(self.root):
            problem = privilege.gain(self.root)
            if not problem:
                return True
            complain(f"pot-sim: {problem}")
        self.error("", "This operation needs 'root' privilegies")
        return False

    def must_be_root(self) -> None:
        if not self.is_root():
            raise Exit(1)

    # how commands call each other

    def command(self, verb: str, *args: str) -> int:
        """Run one of pot's commands in this process; `Exit` goes through, as in pot."""
        if verb not in ROOTLESS:
            self._check_fs_root()
        faults.delay(self.root, verb)
        if verb in LOCKED and os.environ.get("_POT_RECURSIVE") != "1":
            from pot_sim import locks  # noqa: PLC0415 (six commands of fifty)

            return locks.run_locked(self.root, lambda: self.command(verb, *args))
        self.log(verb, args)
        name = "import_" if verb == "import" else verb.replace("-", "_")
        if not os.path.exists(f"{_COMMANDS}/{name}.py"):
            self.error(f"Fatal error! {verb} implementation not found!")
            raise Exit(1)
        module = import_module("pot_sim.commands." + name)
        status: int = module.run(self, list(args))
        return status

    def _check_fs_root(self) -> None:
        fs = self.root.fs
        if not os.path.isdir(fs) or faults.on(self.root, "unmounted"):
            self.error_on_stderr(f"{fs} does not exist, please run 'pot init'")
            raise Exit(1)
        if not os.access(fs, os.R_OK):
            self.error_on_stderr(f"Current user has no read access to {fs}")
            raise Exit(1)

    def log(self, verb: str, args: Sequence[str]) -> None:
        silent = verb in SILENT
        if silent and not self.verbose:
            return
        from pot_sim import syslog  # noqa: PLC0415 (the silent commands are the frequent ones)

        priority = f"{self.config['POT_LOG_FACILITY']}.{'debug' if silent else 'info'}"
        syslog.log(self.root, priority, f"pot-{verb} {' '.join(args)}")


def open_session(script: str, root: Root) -> Pot:
    config = settings.read(root.etc)
    if config is None:
        write(1, f"###>  Fatal error! Not able to find default configuration file on {root.etc}\n")
        raise Exit(1)
    known = dict(settings.DEFAULTS)
    known.update(config)
    place = Root(
        root.path,
        fs=known.get("POT_FS_ROOT", ""),
        tmp=known.get("POT_TMP", "") or "/tmp",
        cache=known.get("POT_CACHE", ""),
    )
    _forget_coerced_locale()
    os.environ["IFCONFIG_FORMAT"] = "addr:default"  # pot exports it, so its apps see it
    return Pot(script, place, known)


def _forget_coerced_locale() -> None:
    """Python sets LC_CTYPE for itself where there is no locale; pot's apps must not see that."""
    if os.environ.get("LC_CTYPE") == "C.UTF-8":
        with open("/proc/self/environ", "rb") as file:
            if b"LC_CTYPE=" not in file.read():
                del os.environ["LC_CTYPE"]
