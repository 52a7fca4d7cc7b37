"""The `pot` executable: finds its root, reads its settings, hands over to one command.

Not here: the commands (`commands/`), what a session is (`session`).
"""

from __future__ import annotations

import sys

from pot_sim import root as roots
from pot_sim import session
from pot_sim.shell import end, guarded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

COMMANDS = (
    *("show", "version", "config", "list", "info", "ps", "top", "init", "de-init", "vnet-start", "create-base"),
    *("create-fscomp", "create", "create-private-bridge", "copy-in", "copy-out", "mount-in", "mount-out", "prune"),
    *("set-hook", "destroy", "add-dep", "set-rss", "get-rss", "set-cmd", "set-env", "set-hosts", "export", "import"),
    *("prepare", "export-ports", "set-attribute", "get-attribute", "start", "stop", "term", "rename", "clone"),
    *("clone-fscomp", "promote", "snapshot", "revert", "purge-snapshots", "update-config", "last-run-stats"),
    *("signal", "exec", "set-status"),
)


def main() -> NoReturn:
    end(guarded(lambda: _run(sys.argv[1:])))


def _run(args: list[str]) -> int:
    pot = session.open_session(sys.argv[0], roots.of_executable(sys.argv[0]))
    if not args:
        pot.help("")
        return 1
    verb, *rest = args
    verb = session.ALIASES.get(verb, verb)
    if verb == "help":
        if rest and rest[0]:
            return pot.command("help", rest[0])
        pot.help("")
        return 0
    if verb == "run":
        return pot.command("term", "-f", *rest)
    if verb in COMMANDS:
        return pot.command(verb, *rest)
    pot.help("")
    return 1
