"""The heart of `pot start`: from a mounted pot to a jail with its command running, and to how that ended.

Not here: what is checked before (`commands/start`), the jail (`jail`), the network's state on the host (`uplink`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time

from pot_sim import (
    attributes,
    conf,
    epair,
    facts,
    faults,
    hooks,
    jail,
    mounted,
    mounts,
    pots,
    status,
    tinirc,
    uplink,
)
from pot_sim.commands.stop import main_pid_file
from pot_sim.shell import complain, unquoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pot_sim.session import Pot

APP_FAILED = 125

_BEFORE_PID_S = 0.5  # pot's own sleep between the command's start and the main pid's file

# Linux has no EMT and INFO, and numbers seven others in its own way; an exit code tells FreeBSD's.
_FREEBSD_NUMBERS = {
    signal.SIGBUS: 10,
    signal.SIGSYS: 12,
    signal.SIGURG: 16,
    signal.SIGSTOP: 17,
    signal.SIGTSTP: 18,
    signal.SIGCONT: 19,
    signal.SIGCHLD: 20,
    signal.SIGIO: 23,
    signal.SIGUSR1: 30,
    signal.SIGUSR2: 31,
}


_FREEBSD_WORDS = {  # where they are not Linux's
    signal.SIGABRT: "Abort trap",
    signal.SIGTRAP: "Trace/BPT trap",
    signal.SIGXCPU: "Cputime limit exceeded",
    signal.SIGXFSZ: "Filesize limit exceeded",
}


def cleanup(pot: Pot, name: str, interfaces: tuple[str, ...] = ()) -> None:
    """What a failed or ended start does: dead on arrival if it was starting, then pot's own stop."""
    status.change(pot, name, "doa")
    there = ":".join(each for each in interfaces if each and epair.exists(pot.root, each))
    pot.command("stop", "-p", name, *(["-i", there] if there else []), "-s")


def launch(pot: Pot, name: str) -> int:
    """0, 1 (pot's failure) or 125 (the command's)."""
    stack = conf.get(pot.root, name, "pot.stack") or pot.config["POT_NETWORK_STACK"]
    params = attributes.jail_params(pot.root, name)
    persistent = conf.get(pot.root, name, "pot.attr.persistent") != "NO"
    params.append("persist" if persistent else "nopersist")
    mounts.renew_tmpfs(pot.root, name)
    scripted = conf.get(pot.root, name, "pot.attr.no-rc-script") == "YES"
    if scripted:
        tinirc.begin(pot.root, name, stack)
    uplinks = uplink.prepare(pot, name, stack, params)
    if uplinks is None:
        cleanup(pot, name)
        return 1
    command = _write_command(pot, name, scripted=scripted)
    hooks.run(pot, name, "prestart", "pre-start")
    _forget_main_pid(pot, name)

    pot.info(f"Starting the pot {name}")
    pot.debug(f"Pot {name} jail params are: {' '.join(params)}")
    _create_jail(pot, name, params, uplinks, persistent=persistent)
    _mark_prunable(pot, name)
    _limit(pot, name)
    app = _run(pot, name, command)
    hooks.run(pot, name, "poststart", "post-start")
    time.sleep(_BEFORE_PID_S)
    _end_helper(pot, name)
    if not persistent:
        conf.write(main_pid_file(pot, name), [str(app.pid if app else os.getpid())])
    _started(pot, name, uplinks)

    code = _exit_code(app)
    _write_stats(pot, name, code)
    if persistent and pots.is_running(pot.root, name):
        return 0
    if not persistent:
        _forget_main_pid(pot, name)
        jail.settle(pot.root, name)
    return _ended(pot, name, uplinks, code, persistent=persistent)


def _write_command(pot: Pot, name: str, *, scripted: bool) -> list[str]:
    text = "\n".join(conf.get_lines(pot.root, name, "pot.cmd")) or "sh /etc/rc"
    pot.log("info", ("-E", "-p", name))  # whose output becomes part of the script
    if scripted:
        tinirc.environment(pot.root, name, facts.exports(pot, name))
        tinirc.finish(pot.root, name, text, bridged=conf.network_type(pot.root, name).endswith("-bridge"))
        return [tinirc.INSIDE]
    variables = ["export " + value for value in conf.get_lines(pot.root, name, "pot.env")]
    conf.write(mounts.tmp_directory(pot.root, name) + "/environment.sh", [*variables, *facts.exports(pot, name)])
    return unquoted(text).split()


def _create_jail(pot: Pot, name: str, params: list[str], uplinks: uplink.Uplinks, *, persistent: bool) -> None:
    """Failing is no reason for pot to stop: the command will not find its jail."""
    refused = faults.value(pot.root, "jail", name)
    if refused is not None:
        complain(f"jail: {refused or 'jail_set: Invalid argument'}")
        return
    mounted_at = [mounts.real_target(pot.root, name, entry.target) for entry in mounts.entries(pot, name)]
    if pot.root.m(name) in mounted_at:
        # A directory of the host covers the pot's root, and has no place for devfs.
        complain(f"jail: {name}: mount.devfs: {pot.root.m(name)}/dev: No such file or directory")
        return
    memory, cpus = attributes.limits(pot.root, name)
    spec = jail.JailSpec(
        name=name,
        path=pot.root.m(name),
        hostname=conf.get(pot.root, name, "host.hostname"),
        mounts=_mounts(pot, name),
        network=uplinks.network,
        persist=persistent,
        params=attributes.as_mapping(params),
        memory_bytes=memory,
        cpus=cpus,
    )
    try:
        jail.create(pot.root, spec)
    except jail.JailError as error:
        complain(str(error))
        return
    for parameter, inside in (("mount.devfs", "/dev"), ("mount.procfs", "/proc")):
        if parameter in params:
            mounted.note(pot.root, name, pot.root.m(name) + inside)


def _mark_prunable(pot: Pot, name: str) -> None:
    if conf.get(pot.root, name, "pot.attr.prunable") == "YES":
        with contextlib.suppress(FileNotFoundError):  # destroyed meanwhile
            conf.replace(pot.root, name, "pot.attr.to-be-pruned", ["YES"])


def _limit(pot: Pot, name: str) -> None:
    """The rule that nobody will remove; keeping to it is the jail's own business here."""
    memory = conf.get(pot.root, name, "pot.rss.memory")
    if not memory or not pots.is_running(pot.root, name):
        return
    if faults.on(pot.root, "racct"):
        pot.info("memory constraint cannot be applies because rctl is not enabled - ignoring")
        return
    from pot_sim import limits  # noqa: PLC0415 (only for pots with a limit)

    limits.add_rule(pot.root, f"jail:{name}:memoryuse:deny={memory}")


def _mounts(pot: Pot, name: str) -> tuple[jail.Mount, ...]:
    places = {mounts.TMPFS: mounts.tmp_directory(pot.root, name)}
    return tuple(
        jail.Mount(source=places.get(entry.source, entry.source), target=target, readonly=mounts.is_readonly(entry))
        for entry in mounts.entries(pot, name)
        if (target := mounts.real_target(pot.root, name, entry.target))
    )


def _run(pot: Pot, name: str, command: list[str]) -> subprocess.Popen[bytes] | None:
    """A background job of a shell without job control: no stdin, deaf to SIGINT and SIGQUIT; all else is inherited."""
    sys.stdout.flush()
    try:
        return jail.attach(
            pot.root,
            name,
            command,
            env=os.environ,
            stdin=subprocess.DEVNULL,
            pass_fds=_inherited(),
            ignored=(signal.SIGINT, signal.SIGQUIT),
        )
    except jail.JailError as error:
        complain(str(error))
        return None


def _inherited() -> tuple[int, ...]:
    """The descriptors beyond stderr that the caller handed over."""
    found = []
    for number in map(int, os.listdir("/proc/self/fd")):
        try:
            if number > 2 and os.get_inheritable(number):
                found.append(number)
        except OSError:
            continue  # the one that listed the directory
    return tuple(found)


def _end_helper(pot: Pot, name: str) -> None:
    if pots.is_running(pot.root, name):
        jail.end_helper(pot.root, name)
    else:
        complain(f"pkill: Invalid jail ID or name `{name}'")


def _started(pot: Pot, name: str, uplinks: uplink.Uplinks) -> None:
    result, _ = status.change(pot, name, "started", uplinks.for_status)
    if result == status.ALREADY:
        pot.info(f"pot {name} is already started (???)")
    elif result == status.REFUSED:
        pot.error(f"pot {name} is not in a state where it can be started")


def _exit_code(app: subprocess.Popen[bytes] | None) -> int:
    if app is None:
        return 1
    return as_exit_status(app.wait())


def as_exit_status(code: int) -> int:
    """A Popen status as FreeBSD's sh tells it, which also names the signal."""
    if code >= 0:
        return code
    if -code not in (signal.SIGINT, signal.SIGPIPE):
        complain(_FREEBSD_WORDS.get(signal.Signals(-code)) or signal.strsignal(-code) or "")
    return 128 + _FREEBSD_NUMBERS.get(signal.Signals(-code), -code)


def _write_stats(pot: Pot, name: str, code: int) -> None:
    path = pot.root.conf(name) + "/.last_run_stats"
    try:
        conf.write(path, [f'{{ "ExitCode": {code} }}'])
    except OSError as error:
        complain(f"cannot create {path}: {error.strerror}")


def _ended(pot: Pot, name: str, uplinks: uplink.Uplinks, code: int, *, persistent: bool) -> int:
    result, interfaces = status.change(pot, name, "stopping")
    if result == status.ALREADY:
        pot.debug(f"pot {name} is already stopping (maybe by a pot stop{'?' if persistent else ''})")
        return 0
    if result == status.REFUSED:
        pot.error(f"pot {name} is not in a state where it can be stopped")
        return 1
    pot.echo(interfaces)
    cleanup(pot, name, uplinks.ours)
    if persistent:
        return 1
    return APP_FAILED if code else 0


def _forget_main_pid(pot: Pot, name: str) -> None:
    path = main_pid_file(pot, name)
    if os.path.lexists(path):
        os.unlink(path)
