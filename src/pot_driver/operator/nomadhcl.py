"""HCL read by Nomad itself: `nomad job run -output` makes the API's JSON of a job file, on this host, without a server.

Every function, `dynamic` block and variable is then what it is in the cluster, and so are the errors.

Not here: JSON → `Job` (see `jobfile`), HCL on hosts without Nomad (see `hcl`, with its limits).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from decimal import Decimal
from typing import TYPE_CHECKING

from pot_driver.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

EXECUTABLE = "nomad"
LIMIT_S = 60.0  # it reads one file, but `file(…)` in that may be anywhere
# Of what it may find in our environment: a token would come back in the job, an address is of no use.
_NOT_FOR_IT = ("VAULT_", "CONSUL_", "NOMAD_TOKEN", "NOMAD_ADDR", "NOMAD_REGION", "NOMAD_NAMESPACE")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_PLACE = re.compile(r"^(?:<nil>|(?P<file>[^:\s]+):(?P<line>\d+)(?:,(?P<column>\d+)(?:-\S+)?)?): (?P<words>.*)$")
_BANNER = re.compile(r"^(Error getting job struct|Failed to parse using HCL 2)\b.*", re.IGNORECASE)


def available() -> str | None:
    """Nomad's executable, None where there is none."""
    return shutil.which(EXECUTABLE)


def load(nomad: str, path: Path, variables: Mapping[str, str], files: Sequence[Path]) -> object:
    """The job in API form; ConfigError has all that Nomad finds wrong, with its places in the file."""
    argv = [nomad, "job", "run", "-output"]
    argv += [f"-var-file={file}" for file in files]
    argv += [f"-var={name}={value}" for name, value in variables.items()]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_FOR_IT)}
    try:
        done = subprocess.run(
            [*argv, str(path.resolve())],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=LIMIT_S,
        )
    except (OSError, subprocess.TimeoutExpired) as why:
        raise ConfigError([f"{path}: {nomad} cannot read it: {why}"]) from why
    if done.returncode:
        raise ConfigError(_problems(path, done.stderr.decode(errors="replace")))
    try:
        answer = json.loads(done.stdout, parse_float=Decimal)
        return answer["Job"]
    except (ValueError, TypeError, KeyError) as why:
        raise ConfigError([f"{path}: {nomad} job run -output does not print a job: {why}"]) from why


def _problems(path: Path, said: str) -> list[str]:
    """Nomad's words, one problem each, with the path that was asked for in the place of its base name."""
    lines = [_COLOUR.sub("", line).strip(" *\t") for line in said.splitlines()]
    found = list(_told(path, [line for line in lines if line and not _BANNER.match(line)]))
    words = [line for line in lines if line]
    return found or [f"{path}: {' '.join(words) or 'nomad job run -output failed and said nothing'}"]


def _told(path: Path, lines: Sequence[str]) -> Iterator[str]:
    for place in filter(None, map(_PLACE.match, lines)):
        if place["file"] in {None, path.name}:
            where = ":".join(filter(None, [str(path), place["line"], place["column"]]))
            yield f"{where}: {place['words']}"
        else:
            yield place[0]  # of a variables file
