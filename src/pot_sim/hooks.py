"""A pot's hook scripts, run on the host, as root, with the caller's environment and the pot's `_POT_*`.

Not here: how they come into a pot (`commands/set_hook`).
"""

from __future__ import annotations

import os

from pot_sim import facts
from pot_sim.shell import complain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pot_sim.session import Pot

KINDS = ("prestart", "poststart", "prestop", "poststop")


def run(pot: Pot, name: str, kind: str, called: str) -> None:
    """Waits for it; what it prints goes where pot's output goes, its status is ignored."""
    script = f"{pot.root.conf(name)}/{kind}.sh"
    if not os.access(script, os.X_OK):
        return
    pot.info(f"Executing the {called} script for the pot {name}")
    environment = {**os.environ, **_facts(pot, name)}
    child = os.fork()
    if child == 0:
        try:
            _become(script, environment)
        finally:
            os._exit(126)
    os.waitpid(child, 0)


def _become(script: str, environment: dict[str, str]) -> None:
    try:
        os.execve(script, [script], environment)
    except OSError as error:
        if error.errno != 8:  # ENOEXEC: no `#!`, so the shell reads it
            complain(f"{script}: {error.strerror}")
            return
        os.execve("/bin/sh", ["sh", script], environment)


def _facts(pot: Pot, name: str) -> dict[str, str]:
    """The real pot asks for them with `pot info -E`, found by PATH; without pot there the hook does not learn them."""
    directories = os.environ.get("PATH", os.defpath).split(":")
    if not any(os.access(f"{directory}/pot", os.X_OK) for directory in directories):
        complain("pot: not found")
        return {}
    return {key: value.replace("\\ ", " ") for key, value in facts.of(pot, name)}
