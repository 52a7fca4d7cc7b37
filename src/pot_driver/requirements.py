"""Which packages the driver needs, and whether this Python has them: asked before any of them is imported.

An agent whose plugin ends with a traceback does not start at all, and shows the traceback at DEBUG only. So what is
missing is said in one line, with the command that mends it.

Versions are read from the names of the directories that pip and pkg leave beside a package: importlib.metadata would
tell them, too, and takes longer to import than all the rest of a look.

Not here: packages that only some commands need (python-hcl2, pot-sim).
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Requirement:
    """A package of `pyproject.toml`. `at_least` and `below` are versions, the latter may be empty."""

    package: str
    module: str
    at_least: str
    below: str = ""

    @property
    def specifier(self) -> str:
        """As pip takes it."""
        return f"{self.package}>={self.at_least}" + f",<{self.below}" * bool(self.below)

    @property
    def port(self) -> str:
        """FreeBSD's package for the Python that runs."""
        return f"py{sys.version_info.major}{sys.version_info.minor}-{self.package}"


REQUIREMENTS = (
    Requirement("grpcio", "grpc", "1.76"),
    Requirement("protobuf", "google.protobuf", "6.31.1", "8"),
    Requirement("msgpack", "msgpack", "1.1"),
    Requirement("structlog", "structlog", "25.1"),
    Requirement(
        "typing-extensions", "typing_extensions", "4.12"
    ),  # grpc.aio needs it; FreeBSD's grpcio does not bring it
)


def unmet() -> dict[Requirement, str]:
    """The requirements that this Python does not meet, each with what there is instead."""
    states = {requirement: _state(requirement) for requirement in REQUIREMENTS}
    return {requirement: state for requirement, state in states.items() if state}


def complaint() -> str:
    """One line that names what is not met and the command that mends it; empty if all is well."""
    missing = unmet()
    if not missing:
        return ""
    python = f"Python {sys.version_info.major}.{sys.version_info.minor}"
    wants = "; ".join(f"{requirement.specifier} ({state})" for requirement, state in missing.items())
    return f"packages that {python} needs here: {wants}; {_remedy(missing)}"


def broken(error: ImportError) -> str:
    """One line for a package that is there and cannot be imported."""
    names = {requirement.module.partition(".")[0]: requirement for requirement in REQUIREMENTS}
    top = (error.name or "").partition(".")[0]
    packages = [names[top]] if top in names else list(REQUIREMENTS)
    words = " ".join(str(error).split())
    return f"a package cannot be imported: {words}; {_remedy(packages, again=True)}"


def _remedy(requirements: dict[Requirement, str] | list[Requirement], *, again: bool = False) -> str:
    ports = " ".join(requirement.port for requirement in requirements)
    command = f"pkg install {'-f ' * again}{ports}"
    if sys.platform.startswith("freebsd"):
        return f"run: {command}"
    specifiers = " ".join(f"'{requirement.specifier}'" for requirement in requirements)
    return f"on FreeBSD run: {command}; elsewhere: {sys.executable} -m pip install {specifiers}"


def _state(requirement: Requirement) -> str:
    """Empty if it is met, or if it can be imported and does not tell its version."""
    try:
        spec = find_spec(requirement.module)
    except ModuleNotFoundError:  # of the package above it
        spec = None
    if spec is None:
        return "not installed"
    version = _version(requirement, spec)
    if not version:
        return ""
    if _numbers(version) < _numbers(requirement.at_least):
        return f"{version} is too old"
    if requirement.below and _numbers(version) >= _numbers(requirement.below):
        return f"{version} is too new"
    return ""


def _version(requirement: Requirement, spec: ModuleSpec) -> str:
    """The version of the distribution beside the module, empty if there is none."""
    if not spec.origin or not Path(spec.origin).is_absolute():
        return ""
    levels = requirement.module.count(".") + (spec.submodule_search_locations is not None)
    package = requirement.package.replace("-", "[-_.]")
    name = re.compile(rf"{package}-(\d[^-]*)(?:-.+)?\.(?:dist|egg)-info", re.IGNORECASE)
    try:
        beside = list(Path(spec.origin).parents[levels].iterdir())
    except OSError:  # in an archive
        return ""
    found = [match[1] for entry in beside if (match := name.fullmatch(entry.name))]
    return max(found, key=_numbers, default="")


def _numbers(version: str) -> tuple[int, ...]:
    release = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, release[0].split("."))) if release else ()
