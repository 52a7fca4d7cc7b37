"""The files that carry a task's command and environment into its pot.

    start.sh    the pot's command: says that it runs, takes the task's log descriptors, becomes the command
    command.sh  the task's variables and its command
    exec.sh     the same surroundings for a command of `nomad alloc exec` or a script check
    with-env.sh the task's variables and that command
    stop.sh     the job's `exec_stop`, in the same surroundings
    on-stop.sh  the task's variables and exec_stop
    env.sh      the image's variables, and the task's

They lie in a directory that only the host's root can write, and the pot sees it read-only. So no value passes through
arguments, syslog, pot.conf or a log, every byte arrives, and no task can have others run in their place. Whoever the
task runs as: nothing of its environment is read before the user has changed.

Not here: writing them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pot_driver.errors import ConfigError
from pot_driver.pot.parse import PotConf
from pot_driver.spec import TaskSpec
from pot_driver.spec import line as shell_line
from pot_driver.spec.command import quoted
from pot_driver.spec.environment import listening

INSIDE = "/.pot-driver"  # as the pot sees them
START = f"/bin/sh {INSIDE}/start.sh"
CHANGE_USER = ("/usr/sbin/chroot", "/usr/bin/id")  # what running as another user takes
STOP = f"/bin/sh {INSIDE}/stop.sh"

EXEC = f"{INSIDE}/exec.sh"

_HEAD = "# Written by the pot task driver for this run of the task.\n"
# pot passes the keeper's descriptors on: 5 takes one byte when the script runs.
_MARK = "if (: >&5) 2>/dev/null; then echo >&5; exec 5>&-; fi\n"
# 3 and 4 are Nomad's logs; where they are closed, pot's own output takes the lines.
_LOGS = "if (: >&3) 2>/dev/null; then exec >&3 2>&4 3>&- 4>&-; fi\n"
_ENVIRONMENT = f". {INSIDE}/env.sh\n"
_FIRST = frozenset({"start.sh", "exec.sh", "stop.sh"})  # still run as the pot's root
_REFUSED = 126  # as a shell ends when a command may not be run


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFile:
    """A file of a task's scripts. `of_user`: it is the task's user who reads it, and nobody else may."""

    name: str
    content: bytes
    of_user: bool


def task_files(
    spec: TaskSpec, image_command: str | None, image_env: Sequence[str], conf: PotConf
) -> tuple[TaskFile, ...]:
    """The files for one run.

    `image_command`: the image's own command line, for a job without one; `image_env`: its variables, as a shell reads
    them; `conf`: the cloned pot's: only then is known how the pot is connected.
    """
    variables = spec.environment.variables
    if spec.network.type is None and conf.network_type != "inherit":
        variables = listening(variables, spec.network.exports)
    files = {
        "env.sh": _env(image_env, variables),
        "command.sh": _HEAD + _ENVIRONMENT + f"exec {_line(spec, image_command)}\n",
        "with-env.sh": _HEAD + _ENVIRONMENT + 'exec "$@"\n',
        "start.sh": _HEAD + _MARK + _LOGS + _become(spec.user, "command.sh"),
        "exec.sh": _HEAD + "cd /\n" + _become(spec.user, "with-env.sh"),
    }
    if spec.exec_stop is not None:
        files["on-stop.sh"] = _HEAD + _ENVIRONMENT + spec.exec_stop + "\n"
        files["stop.sh"] = _HEAD + _become(spec.user, "on-stop.sh")
    return tuple(TaskFile(name=name, content=text.encode(), of_user=name not in _FIRST) for name, text in files.items())


def _line(spec: TaskSpec, image_command: str | None) -> str:
    line = spec.command or image_command
    if not line or not line.strip():
        problem = f"command: not given, and image {spec.image.pot} {spec.image.tag} has none of its own"
        raise ConfigError([problem])
    if spec.command is None and (found := shell_line.fault(line)) is not None:
        whose = f"that of image {spec.image.pot} {spec.image.tag}"
        place = f"{found.what} (character {found.at + 1})"
        raise ConfigError(
            [f"command: not given, and {whose} has {place}: the pot's shell would not become it; give one"]
        )
    return line


def _become(user: str | None, script: str) -> str:
    """Go on as another script, with the same arguments, as the task's user.

    chroot(8) takes user and groups and becomes the script, with the same pid.
    """
    run = f"/bin/sh {INSIDE}/{script}"
    if user is None:
        return f'exec {run} "$@"\n'
    name = quoted(user)
    return (
        f'set -- -u {name} -g "$(/usr/bin/id -g {name})" -G "$(set -- $(/usr/bin/id -G {name}); IFS=,; echo "$*")" /'
        f' {run} "$@"\n[ -n "$4" ] || exit {_REFUSED}\nexec /usr/sbin/chroot "$@"\n'
    )


def _env(image: Sequence[str], variables: Mapping[str, str]) -> str:
    lines = [*image, *(f"{name}={quoted(value)}" for name, value in variables.items())]
    return _HEAD + "".join(f"export {line}\n" for line in lines)
