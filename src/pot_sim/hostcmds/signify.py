"""signify(1): -V verifies a detached signature, -S makes one, -G makes keys without a passphrase.

Not here: embedded signatures (-e), gzip archives (-z), lists of checksums (-C), passphrases.
"""

from __future__ import annotations

import os
import sys

from pot_sim import faults, signify
from pot_sim import root as roots
from pot_sim.shell import Exit, Options, complain, end, write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

USAGE = """\
usage:\tsignify -G [-n] [-c comment] -p pubkey -s seckey
\tsignify -S [-n] [-x sigfile] -s seckey -m message
\tsignify -V [-q] [-p pubkey] [-x sigfile] -m message"""


def main() -> NoReturn:
    try:
        root = roots.of_executable(sys.argv[0])
        faults.delay(root, "signify")
        end(_run(sys.argv[1:]))
    except Exit as ended:
        end(ended.status)


def _run(args: list[str]) -> int:
    options = Options("signify", args, "GSVc:nqm:p:s:x:")
    found = dict(options)
    verbs = [letter for letter in "GSV" if letter in found]
    if "?" in found or len(verbs) != 1 or options.rest:
        return _usage()
    try:
        return {"G": _make_keys, "S": _sign, "V": _verify}[verbs[0]](found)
    except signify.NotVerified as error:
        complain(f"signify: {error}")
    except OSError as error:
        complain(f"signify: can't open {error.filename}: {error.strerror}")
    return 1


def _verify(found: dict[str, str]) -> int:
    key, message = found.get("p"), found.get("m")
    if not key or not message:
        return _usage("must specify message" if key else "must specify pubkey")
    signify.verify(key, found.get("x") or message + ".sig", message)
    if "q" not in found:
        write(1, "Signature Verified\n")
    return 0


def _sign(found: dict[str, str]) -> int:
    key, message = found.get("s"), found.get("m")
    if not key or not message:
        return _usage("must specify message and seckey")
    signify.sign(key, message, found.get("x") or message + ".sig")
    return 0


def _make_keys(found: dict[str, str]) -> int:
    public, secret = found.get("p", ""), found.get("s", "")
    if not public or not secret:
        return _usage("must specify pubkey and seckey")
    base = os.path.splitext(secret)[0]
    if (public, secret) != (f"{base}.pub", f"{base}.sec"):
        return _usage("please use naming scheme of keyname.pub and keyname.sec")
    signify.make_keys(base)
    return 0


def _usage(problem: str = "") -> int:
    complain(f"{problem}\n{USAGE}" if problem else USAGE)
    return 1
