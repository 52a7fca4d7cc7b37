"""The ways in: `nomad-pot-driver` (what Nomad launches), `pot-driver` (for people), `python -m pot_driver` (either).

What must happen before gRPC is imported happens here: to see that it can be.

Not here: anything else.
"""

from __future__ import annotations

import os
import signal
import sys

from pot_driver import __version__, handshake, requirements


def plugin() -> int:
    """Serve the agent that launched us."""
    if problem := requirements.complaint():
        return _refuse("nomad-pot-driver", problem)
    if not handshake.invited(os.environ):
        if sys.argv[1:] in (["--version"], ["--help"], ["-h"]):
            return _introduce(sys.argv[1])
        sys.stderr.write(
            'This is a plugin: Nomad launches it to run tasks with driver = "pot". For people there is pot-driver.\n'
        )
        return 1
    _hear_no_terminal()
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    _forks_without_grpc()
    try:
        from pot_driver import logs  # noqa: PLC0415 - not for people who start us by hand

        logs.configure(2)

        import asyncio  # noqa: PLC0415

        from pot_driver import app  # noqa: PLC0415 - imports gRPC
    except ImportError as error:
        return _refuse_import("nomad-pot-driver", error)
    return asyncio.run(app.serve(os.environ))


def operator() -> int:
    """The command line for people."""
    if problem := requirements.complaint():
        return _refuse("pot-driver", problem)
    _forks_without_grpc()
    try:
        from pot_driver.operator.cli import main as command_line  # noqa: PLC0415 - the plugin starts without it

        return command_line()
    except ImportError as error:
        return _refuse_import("pot-driver", error)


def main() -> int:
    """The plugin if a host launched us, else the command line."""
    return plugin() if handshake.invited(os.environ) else operator()


def _introduce(asked: str) -> int:
    """For people who ask what this is."""
    usage = (
        "usage: nomad-pot-driver [--version] [--help]\n\n"
        'Nomad\'s task driver "pot". A Nomad agent launches it from its plugin_dir and configures it by a block\n'
        'plugin "nomad-pot-driver"; by hand there is nothing to do with it. For people there is pot-driver.\n'
    )
    sys.stdout.write(f"nomad-pot-driver {__version__}\n" if asked == "--version" else usage)
    return 0


def _refuse(program: str, problem: str) -> int:
    """Say why nothing can be done, on one line that an agent logs as an error: by default it logs no other."""
    sys.stderr.write(f"[ERROR] {program}: {problem}\n")
    return 1


def _refuse_import(program: str, error: ImportError) -> int:
    """The same for a package that is there and does not work. A module of our own that is not there is a bug."""
    if (error.name or "").startswith(__package__ or "pot_driver"):
        raise error
    return _refuse(program, requirements.broken(error))


def _hear_no_terminal() -> None:
    """Ctrl-C and hang-up at the agent's terminal reach us, too, and the agent needs us to stop its tasks.

    A handler and not SIG_IGN, which children would inherit: a job's kill_signal may be SIGINT. So what we were started
    to ignore (`nohup nomad agent`) gets one as well, or no shell in a pot could trap its SIGHUP.
    """
    restored_by_popen = {signal.SIGPIPE, signal.SIGXFSZ}
    ignored = {number for number in signal.valid_signals() if signal.getsignal(number) is signal.SIG_IGN}
    for number in ignored - restored_by_popen | {signal.SIGINT, signal.SIGHUP}:
        signal.signal(number, lambda *_: None)


def _forks_without_grpc() -> None:
    """Where Python forks (FreeBSD), gRPC's fork handlers write to stderr for every child, and can hang it."""
    os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "false"


if __name__ == "__main__":
    sys.exit(main())
