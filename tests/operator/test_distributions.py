"""What is installed: two distributions that are built the same everywhere, and work in environments of their own."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from email import message_from_string
from pathlib import Path

import pytest

from pot_driver import __version__

pytestmark = pytest.mark.slow
pytest.importorskip("hatchling", reason="hatchling, which builds the distributions, is not installed")

ROOT = Path(__file__).parent.parent.parent
PARTS = ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE", "share", "src")
LIMIT = 310_000  # bytes of the wheel that production hosts install
DISTRIBUTIONS = {"pot-driver": ".", "pot-sim": "src/pot_sim"}


def build(tree: Path, into: Path) -> dict[str, Path]:
    """Both wheels."""
    for project in DISTRIBUTIONS.values():
        subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", into],
            cwd=tree / project,
            capture_output=True,
            check=True,
        )
    return {name: next(into.glob(f"{name.replace('-', '_')}-*.whl")) for name in DISTRIBUTIONS}


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return build(ROOT, tmp_path_factory.mktemp("wheels"))


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A new environment, which finds what the distributions require among the tests' own packages, but not these."""
    venv.create(tmp_path / "venv", with_pip=True, symlinks=True)
    (site,) = (tmp_path / "venv/lib").glob("python*/site-packages")
    # What a .pth file names is a place for modules alone: the tests' editable installations are not found through it.
    (site / "required.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return tmp_path / "venv/bin"


def install(environment: Path, wheel: Path) -> None:
    words = [
        "-m",
        "pip",
        "--quiet",
        "--disable-pip-version-check",
        "install",
        "--no-index",
        "--no-deps",
        "--no-compile",
    ]
    subprocess.run([environment / "python", *words, wheel], capture_output=True, check=True)


def said(environment: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [environment / words[0], *words[1:]],
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_production_wheel_has_the_driver_alone_and_is_small(wheels: dict[str, Path]) -> None:
    names = zipfile.ZipFile(wheels["pot-driver"]).namelist()

    own = f"pot_driver-{__version__}"
    assert {name.split("/")[0] for name in names} == {"pot_driver", f"{own}.dist-info", f"{own}.data"}
    pages = {name.partition("/data/share/")[2] for name in names if "/data/" in name}
    assert {"man/man1/pot-driver.1", "man/man8/nomad-pot-driver.8", "zsh/site-functions/_pot-driver"} < pages
    assert not [name for name in names if "sim" in name.split("/")[-2:-1] or "test" in name.lower()]
    assert wheels["pot-driver"].stat().st_size < LIMIT


def test_they_are_built_the_same_from_another_copy_of_the_tree(wheels: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, tmp_path / "tree" / part)
    for path in (tmp_path / "tree").rglob("*.py"):
        os.utime(path, (1_000_000_000, 1_000_000_000))

    again = build(tmp_path / "tree", tmp_path / "again")

    for name, wheel in wheels.items():
        assert again[name].name == wheel.name
        assert again[name].read_bytes() == wheel.read_bytes()


def test_the_metadata_are_fit_for_an_index(wheels: dict[str, Path]) -> None:
    archive = zipfile.ZipFile(wheels["pot-driver"])
    metadata = message_from_string(archive.read(f"pot_driver-{__version__}.dist-info/METADATA").decode())

    assert metadata["Version"] == __version__
    assert metadata["Author"] == "The pot_driver project"
    assert metadata["License-Expression"] == "BSD-2-Clause"
    assert metadata["Requires-Python"] == ">=3.11"
    assert "Operating System :: POSIX :: BSD :: FreeBSD" in metadata.get_all("Classifier")
    description = str(metadata.get_payload())
    assert "# pot_driver" in description
    assert "](docs/" not in description  # a link that leads nowhere


@pytest.mark.skipif(platform.system() == "FreeBSD", reason="where there is a pot, none is simulated")
def test_without_the_simulator_the_driver_works_and_says_how_to_get_it(wheels: dict[str, Path], empty: Path) -> None:
    install(empty, wheels["pot-driver"])
    job = str(ROOT / "examples/batch.nomad.hcl")

    version, plan = said(empty, "pot-driver", "version"), said(empty, "pot-driver", "plan", job)
    plugin = said(empty, "nomad-pot-driver")
    where = said(empty, "python", "-c", "import pot_driver; print(pot_driver.__file__)")
    tries = [said(empty, "pot-driver", *words) for words in (("run", job), ("demo", job), ("doctor",))]

    assert version.stdout == f"pot-driver {__version__}\n"
    assert plan.returncode == 0, plan.stderr
    assert (plugin.returncode, plugin.stderr.split(":")[0]) == (1, "This is a plugin")
    assert where.stdout.startswith(str(empty.parent))
    for done in tries:
        assert done.returncode == 1
        assert "pip install 'pot-driver[sim]'" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.namespaces
def test_with_the_simulator_a_job_runs(wheels: dict[str, Path], empty: Path, tmp_path: Path) -> None:
    for wheel in wheels.values():
        install(empty, wheel)
    root = tmp_path / "pots"

    for words in (("init",), ("image", "create", "shell", "1.0")):
        assert said(empty, "pot-sim", *words, POT_SIM_ROOT=str(root)).returncode == 0
    images = f"images=file://{root}/images"
    job = str(ROOT / "examples/batch.nomad.hcl")
    ran = said(empty, "pot-driver", "run", "--plain", job, "--var", images, POT_SIM_ROOT=str(root))

    assert ran.returncode == 3, ran.stdout + ran.stderr


def test_the_bill_of_materials_names_what_the_driver_runs_with() -> None:
    done = subprocess.run([sys.executable, ROOT / "scripts/sbom"], capture_output=True, text=True, check=True)
    bill = json.loads(done.stdout)

    assert (bill["bomFormat"], bill["metadata"]["component"]["name"]) == ("CycloneDX", "pot-driver")
    assert {"grpcio", "msgpack", "protobuf", "structlog", "typing-extensions"} <= {
        component["name"] for component in bill["components"]
    }
    assert all(component["purl"].startswith("pkg:pypi/") for component in bill["components"])
