"""The port says what the project says, and documents name the packages that the driver needs."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from pot_driver import __version__
from pot_driver.requirements import REQUIREMENTS

ROOT = Path(__file__).parent.parent.parent
PORT = ROOT / "packaging/freebsd/sysutils/nomad-pot-driver"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ORDER = (  # the sections of a Makefile, as portlint wants them
    *("PORTNAME", "DISTVERSION", "CATEGORIES", "DISTNAME", "MAINTAINER", "COMMENT", "LICENSE", "LICENSE_FILE"),
    *("BUILD_DEPENDS", "RUN_DEPENDS", "USES", "USE_PYTHON", "NO_ARCH"),
)


@pytest.fixture
def makefile() -> dict[str, str]:
    """Its variables, in their order."""
    text = (PORT / "Makefile").read_text().replace("\\\n", " ")
    return {name: " ".join(value.split()) for name, value in re.findall(r"^([A-Z_]+)=\t+(.*)$", text, re.MULTILINE)}


def test_name_version_license_and_comment_are_the_projects(makefile: dict[str, str]) -> None:
    assert makefile["PORTNAME"] == "nomad-pot-driver"
    assert makefile["DISTVERSION"] == __version__
    assert makefile["DISTNAME"].replace("${DISTVERSION}", __version__) == f"pot_driver-{__version__}"
    assert (makefile["LICENSE"], PROJECT["license"]) == ("BSD2CLAUSE", "BSD-2-Clause")
    assert makefile["COMMENT"] == PROJECT["description"]
    assert f"python:{PROJECT['requires-python'].removeprefix('>=')}+" in makefile["USES"]


def test_the_packages_are_the_projects_of_the_flavour_that_is_built(makefile: dict[str, str]) -> None:
    wanted = [
        f"${{PYTHON_PKGNAMEPREFIX}}{one.package}>={one.at_least}{f'<{one.below}' * bool(one.below)}"
        f":devel/py-{one.package}@${{PY_FLAVOR}}"
        for one in REQUIREMENTS
    ]
    depends = makefile["RUN_DEPENDS"].split()

    assert [one for one in depends if "PYTHON" in one] == sorted(wanted)
    assert [one.rpartition(":")[2] for one in depends if "PYTHON" not in one] == ["sysutils/nomad", "sysutils/pot"]
    assert "hatchling" in makefile["BUILD_DEPENDS"]


def test_it_has_the_manners_that_portlint_asks_for(makefile: dict[str, str]) -> None:
    assert tuple(makefile) == ORDER
    assert len(makefile["COMMENT"]) <= 70
    assert makefile["COMMENT"][0].isupper()
    assert not makefile["COMMENT"].endswith(".")
    assert not makefile["COMMENT"].startswith(("A ", "An ", "The "))
    assert (PORT / "Makefile").read_text().endswith("\n.include <bsd.port.mk>\n")
    for file in PORT.iterdir():
        lines = file.read_text().splitlines()
        assert not [line for line in lines if line != line.rstrip()], file
        assert all(len(line) <= 80 for line in lines if file.name != "Makefile"), file
        assert not [line for line in lines if line.startswith("  ") and file.name == "Makefile"]


def test_the_link_in_the_agents_plugin_directory_belongs_to_the_package(makefile: dict[str, str]) -> None:
    link = "libexec/nomad/plugins/nomad-pot-driver"
    install = (PORT / "Makefile").read_text().partition("post-install:")[2]

    assert (PORT / "pkg-plist").read_text().splitlines() == [link]
    assert f"${{STAGEDIR}}${{PREFIX}}/{link}" in install
    assert "nomad-pot-driver" in PROJECT["scripts"]
    assert "autoplist" in makefile["USE_PYTHON"]


def test_the_message_tells_what_no_package_can_do() -> None:
    text = (PORT / "pkg-message").read_text()

    assert re.findall(r"type: (\w+)", text) == ["install", "upgrade", "remove"]
    assert text.count("<<EOM") == text.count("\nEOM\n") == 3
    for words in ('nomad_user="root" nomad_group="wheel"', 'plugin "nomad-pot-driver" {}', "pot-driver doctor"):
        assert words in text


@pytest.mark.parametrize("document", ["README.md", "docs/operating.md"])
def test_documents_name_every_package_in_one_command(document: str) -> None:
    commands = re.findall(r"^ +pkg install [^\\\n]*(?:\\\n.*)?$", (ROOT / document).read_text(), re.MULTILINE)
    named = [set(re.findall(r"py311-([a-z-]+)", command)) for command in commands]

    assert {one.package for one in REQUIREMENTS} | {"hatchling", "pip"} in named
