"""Which pot there is: the host's own on FreeBSD, elsewhere pot-sim's, whose root is made when it is missing.

Not here: simulating pot (a distribution of its own, `pot_sim`).
"""

from __future__ import annotations

import asyncio
import os
import platform
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from pot_driver.errors import DriverError

ROOT_VARIABLE = "POT_SIM_ROOT"
_POT_SIM = (sys.executable, "-m", "pot_sim")
# Not the agent's: two plugins that keep house in one place would clean up after each other.
_FREEBSD_STATE = "/var/run/pot-driver-run"


class NoPot(DriverError):  # noqa: N818 - what is the matter
    """There is no pot here, and none can be simulated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """A pot and the plugin block that points the driver to it."""

    label: str
    plugin_config: Mapping[str, object]
    bin: Path | None = None  # the simulator's executables
    launcher: tuple[str, ...] = ()  # before the plugin's argv: the plugin must be root

    @property
    def state_dir(self) -> Path:
        """Where the plugin keeps what it knows of its tasks."""
        return Path(str(self.plugin_config["state_dir"]))

    @property
    def simulated(self) -> bool:
        """Whether this is pot-sim."""
        return self.bin is not None


def find(plugin_config: Mapping[str, object]) -> Installation:
    """The pot of this host, or a simulated one, with this plugin block as far as it does not point elsewhere."""
    if platform.system() == "FreeBSD":
        found = Installation(label="the pot of this host", plugin_config={"state_dir": _FREEBSD_STATE})
    else:
        found = simulated(default_root())
    return replace(found, plugin_config={**plugin_config, **found.plugin_config})


def default_root() -> Path:
    """Where the simulator's pots and images lie when POT_SIM_ROOT does not say."""
    given = os.environ.get(ROOT_VARIABLE)
    return Path(given) if given else Path(tempfile.gettempdir()) / f"pot-sim-{os.getuid()}"


def require_simulator() -> None:
    """NoPot where it is not installed."""
    if find_spec("pot_sim") is None:
        raise NoPot(
            f"this host is {platform.system()}, and pot-sim, which simulates pot on Linux, is not installed: "
            "pip install 'pot-driver[sim]' brings it (in a checkout: pip install ./src/pot_sim)"
        )


def simulated(root: Path) -> Installation:
    """The simulator's installation below `root`, made if it is not there."""
    require_simulator()
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    if root.stat().st_uid != os.getuid():
        raise NoPot(f"{root} belongs to someone else; set {ROOT_VARIABLE} to a directory of your own")
    pot_sim(root, "init")  # makes what is missing
    return Installation(
        label=f"pot-sim in {root}, a simulated pot: this host is {platform.system()}",
        plugin_config={"host_path": f"{root}/bin:/usr/bin:/bin", "state_dir": f"{root}/driver"},
        bin=root / "bin",
        launcher=() if os.geteuid() == 0 else (*_POT_SIM, "--root", str(root), "as-root"),
    )


def pot_sim(root: Path, *arguments: str) -> str:
    """Run the simulator's own command, which a Ctrl-C does not reach; its words are the error."""
    done = subprocess.run(
        [*_POT_SIM, *arguments],
        env={**os.environ, ROOT_VARIABLE: str(root)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        start_new_session=True,
    )
    return _said(arguments, done.returncode, done.stdout, done.stderr)


async def pot_sim_while_listening(root: Path, *arguments: str) -> str:
    """The same for what takes long: one who is cancelled ends the command first."""
    process = await asyncio.create_subprocess_exec(
        *_POT_SIM,
        *arguments,
        env={**os.environ, ROOT_VARIABLE: str(root)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        stdout, stderr = await process.communicate()
    except asyncio.CancelledError:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        raise
    return _said(arguments, await process.wait(), stdout, stderr)


def _said(arguments: Sequence[str], status: int, stdout: bytes, stderr: bytes) -> str:
    said, complaint = stdout.decode(errors="replace"), stderr.decode(errors="replace")
    if status:
        words = (complaint.strip() or said.strip()).splitlines()
        raise NoPot(f"pot-sim {' '.join(arguments)}: {' / '.join(words[-3:]) or 'it failed'}")
    return said
