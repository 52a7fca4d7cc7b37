"""`pot-driver`: the command line for people.

Not here: what the commands do (each has its room).
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from pot_driver import __version__
from pot_driver.errors import ConfigError, DriverError
from pot_driver.operator.console import TOLD

USAGE_ERROR = 2

_Error = TypeVar("_Error", bound=BaseException)


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line and do it; the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name in a job may need more than the terminal's encoding
    arguments = parser().parse_args(argv)
    try:
        status = int(arguments.command(arguments))
        sys.stdout.flush()
    except* BrokenPipeError:
        _write_nowhere()
        status = 1
    except* ConfigError as errors:
        _complain([problem for error in _untold(errors) for problem in error.problems])
        status = USAGE_ERROR
    except* (DriverError, OSError) as errors:
        _complain([str(error) or type(error).__name__ for error in _untold(errors)])
        status = 1
    except* (KeyboardInterrupt, asyncio.CancelledError):
        status = 130
    return status


def parser() -> argparse.ArgumentParser:
    """The commands with their arguments; man page and completion are made from it."""
    top = argparse.ArgumentParser(
        prog="pot-driver",
        description="Run, look at and try out Nomad jobs for FreeBSD pots, without Nomad.",
    )
    top.add_argument("--version", action="version", version=f"pot-driver {__version__}")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="run the pot tasks of a job file until they end")
    _job_arguments(run)
    _config_argument(run)
    _plain_argument(run)
    run.add_argument("--clean", action="store_true", help="first remove what killed runs have left")
    run.set_defaults(command=_run)

    ps = commands.add_parser("ps", help="list the tasks of this host, an agent's and those of `run`")
    _config_argument(ps)
    ps.add_argument("--watch", action="store_true", help="again every two seconds, until Ctrl-C")
    ps.add_argument("--json", action="store_true", help="for programs; with --watch a line each time")
    ps.set_defaults(command=_ps)

    plan = commands.add_parser("plan", help="print the pot commands of a job file, or what is wrong with it")
    _job_arguments(plan)
    _config_argument(plan)
    plan.add_argument("--json", action="store_true", help="for programs")
    plan.set_defaults(command=_plan)

    doctor = commands.add_parser("doctor", help="look at this host: what pots need, and what mends what is missing")
    _config_argument(doctor)
    doctor.add_argument("--json", action="store_true", help="for programs")
    _plain_argument(doctor)
    doctor.set_defaults(command=_doctor)

    demo = commands.add_parser("demo", help="show the whole life of a task on pot-sim")
    demo.add_argument("job", type=Path, metavar="JOB", help="examples/web.nomad.hcl")
    _plain_argument(demo)
    demo.set_defaults(command=_demo)

    version = commands.add_parser("version", help="print the version")
    version.set_defaults(command=_version)
    return top


def _job_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", type=Path, metavar="JOB", help="a job file: Nomad's JSON, or HCL")
    parser.add_argument(
        "--var",
        action="append",
        default=[],
        type=_assignment,
        metavar="NAME=VALUE",
        help="a value for a variable of the job file; may be repeated",
    )
    parser.add_argument(
        "--var-file",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="a file with values for variables; may be repeated",
    )


def _config_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help='an agent\'s configuration with plugin "nomad-pot-driver" (HCL or JSON)',
    )


def _plain_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--plain", action="store_true", help="no colours, one line per thing (also when not on a terminal)"
    )


def _assignment(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


# The rooms are imported when they are needed: `pot-driver version` has no use for gRPC.


def _run(arguments: argparse.Namespace) -> int:
    from pot_driver.operator import console, jobfile, run  # noqa: PLC0415

    terminal = console.Console(plain=arguments.plain)
    job = jobfile.read(arguments.job, dict(arguments.var), arguments.var_file)
    return asyncio.run(run.run(job, arguments.config, terminal, clean=arguments.clean))


def _ps(arguments: argparse.Namespace) -> int:
    from pot_driver.operator import ps  # noqa: PLC0415

    return asyncio.run(ps.run(arguments.config, as_json=arguments.json, watch=arguments.watch))


def _plan(arguments: argparse.Namespace) -> int:
    from pot_driver.operator import plan  # noqa: PLC0415

    return plan.run(arguments)


def _doctor(arguments: argparse.Namespace) -> int:
    from pot_driver.operator import console  # noqa: PLC0415
    from pot_driver.operator.doctor import report  # noqa: PLC0415

    terminal = console.Console(plain=arguments.plain)
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - no file
        return asyncio.run(report.run(arguments.config, terminal, as_json=arguments.json, nowhere=nowhere))


def _demo(arguments: argparse.Namespace) -> int:
    from pot_driver.operator import console, demo  # noqa: PLC0415

    terminal = console.Console(plain=arguments.plain, steps_only=True)
    return asyncio.run(demo.show(arguments.job, terminal))


def _version(_: argparse.Namespace) -> int:
    print(f"pot-driver {__version__}")
    return 0


def _untold(group: BaseExceptionGroup[_Error]) -> Iterator[_Error]:
    """The errors in it, but those that a step has shown already."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _untold(error)
        elif TOLD not in getattr(error, "__notes__", ()):
            yield error


def _write_nowhere() -> None:
    """The reader of our output has gone (`| head`): Python is not to complain of it at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _complain(problems: Sequence[str]) -> None:
    for problem in dict.fromkeys(problems):
        print(f"pot-driver: {problem}", file=sys.stderr)
