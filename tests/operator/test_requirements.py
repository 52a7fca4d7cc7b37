"""A package that is missing, too old or broken is told in one line by every command, before it is imported."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest

from pot_driver.operator import hclog
from pot_driver.operator.host import PLUGIN_ENV
from pot_driver.requirements import REQUIREMENTS

ROOT = Path(__file__).parent.parent.parent
SITE = Path(sysconfig.get_path("purelib"))
FLAVOUR = f"py{sys.version_info.major}{sys.version_info.minor}"
WAYS = {
    "nomad-pot-driver": ("plugin", ()),
    "pot-driver": ("operator", ("version",)),
    "pot-driver doctor": ("operator", ("doctor",)),
}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """All packages of this environment, each of which can be taken away."""
    for entry in SITE.iterdir():
        (tmp_path / entry.name).symlink_to(entry)
    return tmp_path


def take_away(site: Path, package: str, module: str) -> None:
    for entry in [*site.glob(f"{package.replace('-', '_')}-*"), *site.glob(module), *site.glob(f"{module}.py")]:
        entry.unlink()


def pretend(site: Path, package: str, version: str) -> None:
    for entry in site.glob(f"{package}-*"):
        entry.unlink()
    info = site / f"{package}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")


def start(site: Path, way: str) -> subprocess.CompletedProcess[str]:
    """The command, launched as an agent launches the plugin, with these packages and no others."""
    function, arguments = WAYS[way]
    call = f"import sys; from pot_driver.__main__ import {function}; sys.exit({function}())"
    return subprocess.run(
        [sys.executable, "-S", "-c", call, *arguments],
        env={**os.environ, **PLUGIN_ENV, "PYTHONPATH": f"{site}:{ROOT / 'src'}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def refused(site: Path, way: str) -> str:
    """The one line, which an agent's log shows as an error."""
    done = start(site, way)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    entry = hclog.parse(line)
    assert entry.level == "error"
    return entry.message


@pytest.mark.parametrize("way", WAYS)
def test_without_typing_extensions_every_command_says_so_in_one_line(site: Path, way: str) -> None:
    take_away(site, "typing-extensions", "typing_extensions")

    said = refused(site, way)

    assert said.startswith(way.split(maxsplit=1)[0] + ": ")
    assert "typing-extensions>=4.12 (not installed)" in said
    assert f"pkg install {FLAVOUR}-typing-extensions" in said


def test_all_that_is_missing_is_told_at_once(site: Path) -> None:
    take_away(site, "grpcio", "grpc")
    take_away(site, "protobuf", "google")
    take_away(site, "structlog", "structlog")

    said = refused(site, "nomad-pot-driver")

    assert f"pkg install {FLAVOUR}-grpcio {FLAVOUR}-protobuf {FLAVOUR}-structlog" in said


@pytest.mark.parametrize(
    ("package", "version", "words"),
    [
        ("grpcio", "1.75.1", "grpcio>=1.76 (1.75.1 is too old)"),
        ("protobuf", "6.31.0", "protobuf>=6.31.1,<8 (6.31.0 is too old)"),
        ("protobuf", "8.0.1", "protobuf>=6.31.1,<8 (8.0.1 is too new)"),
    ],
)
def test_a_package_of_a_wrong_version_is_told_with_both_versions(
    site: Path, package: str, version: str, words: str
) -> None:
    pretend(site, package, version)

    said = refused(site, "nomad-pot-driver")

    assert words in said
    assert f"pkg install {FLAVOUR}-{package}" in said


@pytest.mark.parametrize("way", ["nomad-pot-driver", "pot-driver doctor"])
def test_a_package_that_is_there_and_cannot_be_imported_is_no_traceback(site: Path, way: str) -> None:
    for entry in site.glob("grpc"):
        entry.unlink()
    (site / "grpc").mkdir()
    (site / "grpc/__init__.py").write_text("from grpc import cython_extension_of_another_python\n")

    said = refused(site, way)

    assert "cython_extension_of_another_python" in said
    assert f"pkg install -f {FLAVOUR}-grpcio" in said


def test_with_all_of_them_nothing_is_said(site: Path) -> None:
    done = start(site, "pot-driver")

    assert (done.returncode, done.stderr) == (0, "")


def test_what_is_asked_for_is_what_the_distribution_declares() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert sorted(project["dependencies"]) == sorted(requirement.specifier for requirement in REQUIREMENTS)
