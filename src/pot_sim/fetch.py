"""fetch(1), as far as pot uses it: one URL into one file, over file, http and https.

Not here: which files an image has (`commands/import_`).
"""

from __future__ import annotations

import os
import time
import urllib.error
import urllib.request

from pot_sim import faults
from pot_sim.shell import complain, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pot_sim.root import Root

_QUIET_S = 120  # fetch's own -T is off by default; a dead server must not hang a test for ever
_BLOCK = 1 << 16


def fetch(root: Root, url: str, output: str) -> bool:
    """False, with fetch's words on stderr, and without a file, if it fails."""
    pot = os.path.basename(url).partition(".xz")[0]
    pause = faults.value(root, "fetch-slow", pot)
    if pause is not None:
        time.sleep(float(pause))
    try:
        _refuse(root, pot)
        total = _copy(url, output)
    except urllib.error.HTTPError as error:
        return _failed(output, url, error.reason)
    except urllib.error.URLError as error:
        reason = error.reason
        return _failed(output, url, reason.strerror or str(reason) if isinstance(reason, OSError) else str(reason))
    except ValueError:
        return _failed(output, url, "URL is malformed")
    except OSError as error:
        return _failed(output, url, error.strerror or str(error))
    complain(f"{os.path.basename(output):<50} {total:>6}  B")
    if faults.on(root, "corrupt", pot) and output.endswith(".xz"):
        with open(output, "ab") as file:
            file.write(b"\0")
    return True


def _refuse(root: Root, pot: str) -> None:
    failure = faults.value(root, "fetch", pot)
    if failure is not None:
        raise OSError(5, failure or "Connection refused")
    if faults.on(root, "disk-full", pot):
        raise OSError(28, os.strerror(28))


def _copy(url: str, output: str) -> int:
    total = 0
    with urllib.request.urlopen(url, timeout=_QUIET_S) as source:
        with open(output, "wb") as file:
            while block := source.read(_BLOCK):
                file.write(block)
                total += len(block)
        expected = source.headers.get("Content-Length")
    if expected is not None and total < int(expected):
        raise OSError(5, f"transfer truncated: expected {expected} bytes, got {total}")
    return total


def _failed(output: str, url: str, reason: object) -> bool:
    complain(encode(f"fetch: {url}: {reason}").decode("utf-8", "surrogateescape"))
    if os.path.lexists(output):
        os.unlink(output)
    return False
