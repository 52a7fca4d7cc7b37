"""What syslog would hold: pot logs the full argument list of nearly every command, values and secrets included.

Not here: which commands log (`session`).
"""

from __future__ import annotations

import os
import time

from pot_sim.shell import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pot_sim.root import Root


def log(root: Root, priority: str, message: str) -> None:
    """One line as FreeBSD's `syslogd -vv` writes it; a newline becomes a blank.

    Lost for those who may look at a root of somebody else's and not write to it, where syslogd would take theirs.
    """
    now = time.localtime()
    stamp = time.strftime("%b ", now) + f"{now.tm_mday:2} " + time.strftime("%H:%M:%S", now)
    line = f"{stamp} <{priority}> {os.uname().nodename} pot: {message}".replace("\n", " ")
    try:
        descriptor = os.open(root.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except PermissionError:
        return
    try:
        os.write(descriptor, encode(line + "\n"))
    finally:
        os.close(descriptor)
