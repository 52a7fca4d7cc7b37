"""`pot-sim`: makes and tends a root, whose `bin` then holds `pot` and the host commands.

Not here: pot itself (`pot`), what a root consists of (`install`).
"""

from __future__ import annotations

import argparse
import os
import sys

from pot_sim import __version__, addresses, doctor, faults, images, install, privilege, signify
from pot_sim import root as roots

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def main(argv: Sequence[str] | None = None) -> int:
    asked = _parser().parse_args(argv)
    root = roots.Root(os.path.realpath(asked.root)) if asked.root else roots.from_environment()
    if root is None:
        print(f"pot-sim: which root? Set {roots.VARIABLE} to a directory, or give --root DIR", file=sys.stderr)
        return 2
    if asked.command is not _init and not os.path.exists(root.bin + "/pot"):
        print(f"pot-sim: {root.path} is not a root yet: run `pot-sim init` first", file=sys.stderr)
        return 2
    command: Callable[[roots.Root, argparse.Namespace], int] = asked.command
    try:
        return command(root, asked)
    except (images.ImageError, signify.NotVerified, ValueError, OSError) as error:
        print(f"pot-sim: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pot-sim", description="A pot on Linux namespaces: the same command line, files, states and faults."
    )
    parser.add_argument("--version", action="version", version=f"pot-sim {__version__}")
    parser.add_argument("--root", metavar="DIR", help=f"the root (default: ${roots.VARIABLE})")
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")
    init = verbs.add_parser("init", help="make a root, or bring its executables up to date")
    init.add_argument("--ncat", action="store_true", help="as on a host with the nmap package")
    init.set_defaults(command=_init)
    for name, command, text in (
        ("env", _env, "print what to put into a shell, and the driver's setting"),
        ("reset", _reset, "end all pots and forget them; image files stay"),
        ("doctor", _doctor, "can this machine run pots, and what is left of those that ran?"),
    ):
        verbs.add_parser(name, help=text).set_defaults(command=command)
    reboot = verbs.add_parser("reboot", help="as if the machine had lost its power and come up again")
    reboot.add_argument(
        "--cleanvar", action="append", default=[], metavar="DIR",
        help="a directory of /var/run: rc.d/cleanvar deletes its files and sockets, and leaves directories and FIFOs",
    )  # fmt: skip
    reboot.add_argument("--clear-tmp", action="store_true", help="with clear_tmp_enable=YES: POT_TMP is emptied")
    reboot.set_defaults(command=_reboot)
    become = verbs.add_parser(
        "as-root", help="run a command as the user who is root here, if need be in a user namespace"
    )
    become.add_argument("argv", nargs=argparse.REMAINDER, metavar="COMMAND")
    become.set_defaults(command=_as_root)
    _add_image(verbs.add_parser("image", help="image files").add_subparsers(required=True, metavar="ACTION"))
    key = verbs.add_parser("key", help="make BASE.sec and BASE.pub, to sign images with")
    key.add_argument("base")
    key.set_defaults(command=_make_keys)
    fault = verbs.add_parser("fault", help="switch faults on and off; without a name, list them")
    fault.add_argument("name", nargs="?", choices=faults.NAMES, metavar="NAME", help=" ".join(faults.NAMES))
    fault.add_argument("value", nargs="*", help="what the fault takes, if anything")
    fault.add_argument("--pot", metavar="PATTERN", help="only for pots, or images, of such a name")
    fault.add_argument("--clear", action="store_true", help="all off first")
    fault.set_defaults(command=_fault)
    return parser


def _add_image(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    create = actions.add_parser("create", help="make one, from a directory or from the host's own /usr")
    create.add_argument("name")
    create.add_argument("tag")
    create.add_argument("--from", dest="from_dir", metavar="DIR", help="its files")
    create.add_argument("--cmd", help="the command of pots that are given none")
    create.add_argument(
        "--network", default="inherit", choices=addresses.TYPES, help="its network type (default: inherit)"
    )
    create.add_argument("--depends", default=images.NO_DEPENDENCY, metavar="POT:TAG@SNAPSHOT", help="layered on this")
    create.add_argument("--sign", metavar="KEY.sec", help="sign it with this key")
    create.set_defaults(command=_create_image)


def _init(root: roots.Root, asked: argparse.Namespace) -> int:
    install.init(root)
    if asked.ncat:
        install.add_ncat(root)
    if doctor.incapable():
        return _doctor(root, asked)
    print(f'{root.path}: a root. eval "$(pot-sim --root {root.path} env)" puts its pot first on PATH')
    return 0


def _env(root: roots.Root, _: argparse.Namespace) -> int:
    print(f"export {roots.VARIABLE}={root.path}")
    print(f"export PATH={root.bin}:$PATH")
    print(f'# plugin block: host_path = "{root.bin}:/usr/bin:/bin"')
    return 0


def _reset(root: roots.Root, _: argparse.Namespace) -> int:
    install.reset(root)
    return 0


def _reboot(root: roots.Root, asked: argparse.Namespace) -> int:
    install.reboot(root, var_run=asked.cleanvar, clear_tmp=asked.clear_tmp)
    return 0


def _as_root(root: roots.Root, asked: argparse.Namespace) -> int:
    if problem := privilege.gain(root):
        raise ValueError(problem)
    os.execvp(asked.argv[0], asked.argv)


def _doctor(root: roots.Root, _: argparse.Namespace) -> int:
    """Status 1 for a machine that cannot, and for leftovers while nothing runs."""
    problem = doctor.incapable()
    print(f"pots can run here: {'no: ' + problem if problem else 'yes'}")
    left = doctor.leftovers(root)
    for line in left:
        print(line)
    return 1 if problem or left else 0


def _create_image(root: roots.Root, asked: argparse.Namespace) -> int:
    if asked.sign:
        signify.read_secret(asked.sign)  # before the work
    archive = images.create(
        root,
        asked.name,
        asked.tag,
        from_dir=asked.from_dir,
        cmd=asked.cmd,
        network=asked.network,
        depends=asked.depends,
    )
    if asked.sign:
        signify.sign(asked.sign, archive + images.HASH, archive + images.SIGNATURE)
    print(archive)
    return 0


def _make_keys(_: roots.Root, asked: argparse.Namespace) -> int:
    signify.make_keys(asked.base)
    print(f"{asked.base}.sec {asked.base}.pub")
    return 0


def _fault(root: roots.Root, asked: argparse.Namespace) -> int:
    if asked.clear:
        faults.clear(root)
    if asked.name:
        pattern = [f"pot={asked.pot}"] if asked.pot else []
        faults.add(root, " ".join([asked.name, *asked.value, *pattern]))
    for line in faults.switched_on(root):
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
