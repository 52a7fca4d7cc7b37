"""Flavours: files of pot commands, and scripts to run in a pot, that `create -f` and `clone -f` apply.

Not here: the commands (`commands/`).
"""

from __future__ import annotations

import os

from pot_sim import conf, mounts, zfs
from pot_sim.shell import Exit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pot_sim.session import Pot

_ALLOWED = (
    "add-dep",
    "set-attribute",
    "copy-in",
    "copy-in-flv",
    "mount-in",
    "set-rss",
    "export-ports",
    "set-cmd",
    "set-env",
)


def checked(pot: Pot, name: str) -> str:
    if not _script(pot, name) and not _commands(pot, name):
        pot.error(f"Flavour {name} not found")
        pot.debug(f"Looking in the flavour dir {_directory(pot)}")
        raise Exit(1)
    return name


def apply(pot: Pot, name: str, flavour: str) -> bool:
    pot.debug(f"Flavour: {flavour}")
    commands, script = _commands(pot, flavour), _script(pot, flavour)
    if commands and not _run_commands(pot, name, flavour, commands):
        return False
    if not script:
        pot.debug(f"No shell script available for the flavour {flavour}")
        return True
    return _run_script(pot, name, flavour, script)


def _run_commands(pot: Pot, name: str, flavour: str, file: str) -> bool:
    pot.debug(f"Executing {flavour} pot commands on {name}")
    for line in conf.lines(file):
        words = line.split()
        if not words or words[0] not in _ALLOWED:
            pot.error(f"Flavor {flavour}: line {line} not valid - ignoring")
        elif words[0] == "set-cmd":
            if not line.startswith("set-cmd -c "):
                pot.error("In flavour only 'set-cmd -c ' is supported")
                return False
            from pot_sim.commands import set_cmd  # noqa: PLC0415

            set_cmd.store(pot, name, line.removeprefix("set-cmd -c "))
        elif not _run_command(pot, name, file, words):
            return False
    return True


def _run_command(pot: Pot, name: str, file: str, words: list[str]) -> bool:
    verb, before = words[0], os.getcwd()
    if verb == "copy-in-flv":
        os.chdir(os.path.dirname(file))
        verb = "copy-in"
    try:
        return pot.command(verb, *words[1:], "-p", name) == 0
    finally:
        os.chdir(before)


def _run_script(pot: Pot, name: str, flavour: str, script: str) -> bool:
    """In the pot, which is started for it, as a persistent one."""
    from pot_sim import jail  # noqa: PLC0415

    pot.debug(f"Starting {name} pot for the initial bootstrap")
    passing = conf.get(pot.root, name, "pot.attr.persistent") == "NO"
    if passing:
        pot.debug(f"Setting pot {name} temporarily to persistent")
        pot.command("set-attribute", "-A", "persistent", "-V", "YES", "-p", name)
    pot.command("start", name)
    base = os.path.basename(script)
    inside, place = f"/tmp/{base}", f"{mounts.tmp_directory(pot.root, name)}/{base}"
    zfs.copy(script, place)
    os.chmod(place, 0o755)
    pot.echo(f"'{script}' -> '{pot.root.m(name)}{inside}'")  # cp -v
    pot.debug(f"Executing {flavour} script on {name}")
    try:
        status = jail.attach(pot.root, name, [inside, name], env=dict(os.environ)).wait()
    except jail.JailError:
        status = 1
    if status:
        pot.error(f"create: flavour {flavour} failed (script)")
        return False
    pot.command("stop", name)
    if passing:
        pot.debug(f"Reverting pot {name} to non-persistent")
        pot.command("set-attribute", "-A", "persistent", "-V", "NO", "-p", name)
    return True


def _script(pot: Pot, name: str) -> str:
    candidates = [name] if name.endswith(".sh") else []
    candidates += [f"{name}.sh", f"{_directory(pot)}/{name}.sh"]
    return next((each for each in candidates if os.path.isfile(each)), "")


def _commands(pot: Pot, name: str) -> str:
    if name.endswith(".sh"):
        return ""
    return next((each for each in (name, f"{_directory(pot)}/{name}") if os.path.isfile(each)), "")


def _directory(pot: Pot) -> str:
    return pot.root.etc + "/flavours"
