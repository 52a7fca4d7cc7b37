"""Where pot keeps its files.

Not here: what is in them (see `parse`), changing them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_ASSIGNMENT = re.compile(r"""^\s*(POT_[A-Z_]+)=(?:"([^"$`\\]*)"|'([^']*)'|([^\s"'$`\\;#]*))\s*(?:#.*)?$""")
HOOKS = ("prestart.sh", "poststart.sh", "prestop.sh", "poststop.sh")


@dataclass(frozen=True, slots=True, kw_only=True)
class PotPaths:
    """The paths of one host. `fs_root` is POT_FS_ROOT, `tmp` POT_TMP, `cache` POT_CACHE."""

    fs_root: Path
    tmp: Path = Path("/tmp")  # noqa: S108 - pot's default
    cache: Path = Path("/var/cache/pot")

    def pot(self, name: str) -> Path:
        """All of one pot."""
        return self.fs_root / "jails" / name

    def root(self, name: str) -> Path:
        """The pot's own root directory."""
        return self.pot(name) / "m"

    def conf_dir(self, name: str) -> Path:
        """Configuration and hooks."""
        return self.pot(name) / "conf"

    def conf(self, name: str) -> Path:
        """The pot's configuration."""
        return self.conf_dir(name) / "pot.conf"

    def fscomp(self, name: str) -> Path:
        """The pot's mounts."""
        return self.conf_dir(name) / "fscomp.conf"

    def last_run_stats(self, name: str) -> Path:
        """The exit code of the last run."""
        return self.conf_dir(name) / ".last_run_stats"

    def status(self, name: str) -> Path:
        """The pot's state."""
        return self.tmp / f"pot_status_{name}"

    def main_pid(self, name: str) -> Path:
        """The pid of the command, from half a second after its start."""
        return self.tmp / f"pot_main_pid_{name}"

    def image_file(self, image: str, tag: str) -> Path:
        """The cached image; beside it `.meta`, `.skein` and `.skein.sig`."""
        return self.cache / f"{image}_{tag}.xz"


def image_pot(image: str, tag: str) -> str:
    """The name under which pot imports an image."""
    return f"{image}_{tag}".replace(".", "_")


def settings(pot_executable: Path) -> dict[str, str]:
    """The plain `POT_…=value` lines of pot's two configuration files, the later one winning.

    They lie beside the real executable. pot has them read by a shell: what needs one is not found here.
    """
    etc = pot_executable.resolve().parent.parent / "etc" / "pot"
    found: dict[str, str] = {}
    for file in (etc / "pot.default.conf", etc / "pot.conf"):
        try:
            lines = file.read_text(errors="replace").splitlines()
        except OSError:
            continue
        for match in map(_ASSIGNMENT.match, lines):
            if match:
                found[match[1]] = next((value for value in match.groups()[1:] if value is not None), "")
    return found
