"""The files that carry a task's command and environment into its pot, by way of the task's secrets directory.

    start.sh   the pot's command: marks that it runs, takes the task's log descriptors, becomes the command
    exec.sh    the same surroundings for a command of `nomad alloc exec` or a script check
    stop.sh    the job's `exec_stop`
    env.sh     the image's variables, and the task's

So no value passes through arguments, syslog, pot.conf or a log, and every byte arrives. Readable by root alone.

Not here: writing them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pot_driver.errors import ConfigError
from pot_driver.pot.parse import PotConf
from pot_driver.spec import TaskSpec
from pot_driver.spec.command import quoted
from pot_driver.spec.environment import listening
from pot_driver.spec.network import RESOLV_CONF

INSIDE = "/secrets/.pot"  # as the pot sees them
START = f"/bin/sh {INSIDE}/start.sh"
CHANGE_USER = ("/usr/sbin/chroot", "/usr/bin/id")  # what running as another user takes
STOP = f"/bin/sh {INSIDE}/stop.sh"

_HEAD = "# Written by the pot task driver for this run of the task.\n"
_MARK = f": >{INSIDE}/started\n"
# pot passes the descriptors of Nomad's logs on as 3 and 4; where they are closed, pot's own output takes the lines.
_LOGS = "if (: >&3) 2>/dev/null; then exec >&3 2>&4 3>&- 4>&-; fi\n"
_ENVIRONMENT = f". {INSIDE}/env.sh\n"
_LOOK = """\
look() {
    set -- "$1" "$2" $(/bin/ls -di "$1/.")
    [ "$2" = "$3" ] && return
    echo "pot driver: $1 is not the directory that was checked when the task was started" >&2
    exit 126
}
"""
_REFUSED = 126  # as a shell ends when a command may not be run


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFile:
    """A file in the task's secrets directory. `path` is the host's."""

    path: str
    content: bytes
    mode: int = 0o600


def task_files(spec: TaskSpec, image_command: str | None, conf: PotConf) -> tuple[TaskFile, ...]:
    """The files for one run. `image_command`: the image's own command line, for a job without one.

    `conf`: the prepared pot's: only then is known what the image brings.
    """
    variables = spec.environment.variables
    if spec.network.type is None and conf.network_type != "inherit":
        variables = listening(variables, spec.network.exports)
    files = {
        "env.sh": _env(conf.env, variables),
        "start.sh": _start(spec, image_command),
        "exec.sh": _HEAD + "cd /\n" + _as_user(spec.user, ' "$@"') + _ENVIRONMENT + 'exec "$@"\n',
    }
    if spec.exec_stop is not None:
        files["stop.sh"] = _HEAD + _ENVIRONMENT + spec.exec_stop + "\n"
    return tuple(_file(spec, name, text) for name, text in files.items())


def early_files(spec: TaskSpec) -> tuple[TaskFile, ...]:
    """What must be there before `pot prepare`: it copies the pot's resolv.conf."""
    content = spec.network.resolv_conf
    if content is None:
        return ()
    # pot copies its mode, too, and all users of a pot look names up.
    return (replace(_file(spec, RESOLV_CONF, content), mode=0o644),)


def _start(spec: TaskSpec, image_command: str | None) -> str:
    line = spec.command or image_command
    if not line or not line.strip():
        problem = f"command: not given, and image {spec.image.pot} {spec.image.tag} has none of its own"
        raise ConfigError([problem])
    run = f"exec {line}\n"
    if spec.user is not None:
        run = f'exec "$@" /bin/sh -c {quoted(f"exec {line}")}\n'
    return _HEAD + _MARK + _LOGS + _looks(spec) + _as_user(spec.user) + _ENVIRONMENT + run


def _looks(spec: TaskSpec) -> str:
    """A symlink put in place after the last check would be followed when pot mounts: only the pot can tell."""
    checks = [f"look {quoted(m.destination)} {m.source.inode}\n" for m in spec.mounts if m.checked_inside]
    return _LOOK + "".join(checks) if checks else ""


def _as_user(user: str | None, rest: str = "") -> str:
    """Put chroot(8) before the command: it takes user and groups and becomes the command, with the same pid."""
    if user is None:
        return ""
    name = quoted(user)
    return (
        f'set -- -u {name} -g "$(/usr/bin/id -g {name})" -G "$(set -- $(/usr/bin/id -G {name}); IFS=,; echo "$*")" /'
        f'{rest}\n[ -n "$4" ] || exit {_REFUSED}\nset -- /usr/sbin/chroot "$@"\n'
    )


def _env(image: Sequence[str], variables: Mapping[str, str]) -> str:
    lines = [*image, *(f"{name}={quoted(value)}" for name, value in variables.items())]
    return _HEAD + "".join(f"export {line}\n" for line in lines)


def _file(spec: TaskSpec, name: str, text: str) -> TaskFile:
    return TaskFile(path=f"{spec.task.secrets_dir}/.pot/{name}", content=text.encode())
