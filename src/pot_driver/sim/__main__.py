"""`pot-sim`: makes and tends a root, whose `bin` then holds `pot` and the host commands.

Not here: pot itself (`pot`), what a root consists of (`install`).
"""

from __future__ import annotations

import argparse
import os
import sys

from pot_driver.sim import images, install
from pot_driver.sim import root as roots

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
    except images.ImageError as error:
        print(f"pot-sim: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pot-sim", description="A pot on Linux namespaces: the same command line, files, states and faults."
    )
    parser.add_argument("--root", metavar="DIR", help=f"the root (default: ${roots.VARIABLE})")
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")
    verbs.add_parser("init", help="make a root, or bring its executables up to date").set_defaults(command=_init)
    verbs.add_parser("reset", help="end all pots and forget them; image files stay").set_defaults(command=_reset)
    verbs.add_parser("env", help="print what to put into a shell, and the driver's settings").set_defaults(command=_env)
    image = verbs.add_parser("image", help="image files").add_subparsers(required=True, metavar="ACTION")
    create = image.add_parser("create", help="make one, from a directory or from the host's own /usr")
    create.add_argument("name")
    create.add_argument("tag")
    create.add_argument("--from", dest="from_dir", metavar="DIR", help="its files")
    create.add_argument("--cmd", help="the command of pots that are given none")
    create.add_argument("--network", default="inherit", help="its network type (default: inherit)")
    create.add_argument("--depends", default=images.NO_DEPENDENCY, metavar="POT:TAG@SNAPSHOT", help="layered on this")
    create.set_defaults(command=_create_image)
    return parser


def _init(root: roots.Root, asked: argparse.Namespace) -> int:
    install.init(root)
    print(f"{root.path}: a root. `eval \"$(pot-sim --root {root.path} env)\"` puts its pot first on PATH")
    return 0


def _reset(root: roots.Root, asked: argparse.Namespace) -> int:
    install.reset(root)
    return 0


def _env(root: roots.Root, asked: argparse.Namespace) -> int:
    print(f"export {roots.VARIABLE}={root.path}")
    print(f"export PATH={root.bin}:$PATH")
    print(f'# plugin block: host_path = "{root.bin}:/usr/bin:/bin"')
    return 0


def _create_image(root: roots.Root, asked: argparse.Namespace) -> int:
    print(
        images.create(
            root,
            asked.name,
            asked.tag,
            from_dir=asked.from_dir,
            cmd=asked.cmd,
            network=asked.network,
            depends=asked.depends,
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
