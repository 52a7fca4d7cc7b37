"""A task's directories and a job in one line.

Not here: running pots (see the corpus).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import msgpack
import pytest

from pot_driver import plan, spec
from pot_driver.config import decode_plugin
from pot_driver.errors import ConfigError
from pot_driver.model import Port, Resources, TaskConfig
from pot_driver.plan import Plan, compose
from pot_driver.pot.parse import PotConf
from pot_driver.spec import TaskSpec

ALLOC = "0f8e1d2c-0000-4000-8000-00000000aa01"
MINIMAL = {"image": "https://images.example.org/web", "pot": "web", "tag": "1.0", "command": "/bin/web"}


@dataclass
class Job:
    """One task: change what a test is about, then `spec()`, `plan()` or `problems()`."""

    alloc_dir: Path
    config: dict[str, object] = field(default_factory=lambda: dict(MINIMAL))
    plugin: dict[str, object] = field(default_factory=dict)
    task: dict[str, object] = field(default_factory=dict)

    def config_with(self, **options: object) -> Job:
        self.config |= options
        return self

    def task_with(self, **fields: object) -> Job:
        self.task |= fields
        return self

    def plugin_with(self, **options: object) -> Job:
        self.plugin |= options
        return self

    def with_ports(self, *ports: Port) -> Job:
        return self.task_with(resources=Resources(ports=ports))

    @property
    def local(self) -> Path:
        return self.alloc_dir / "web" / "local"

    @property
    def request(self) -> TaskConfig:
        name = self.task.get("name", "web")
        fields = {
            "id": f"{ALLOC}/{name}/1a2b3c4d",
            "alloc_id": ALLOC,
            "name": name,
            "alloc_dir": str(self.alloc_dir),
            "driver_config": msgpack.packb(self.config),
        }
        return TaskConfig(**{**fields, **self.task})

    def spec(self, *, look: bool = True) -> TaskSpec:
        return spec.read(self.request, decode_plugin(msgpack.packb(self.plugin)), look=look)

    def plan(self) -> Plan:
        return plan.build(self.spec())

    def problems(self) -> tuple[str, ...]:
        try:
            self.spec()
        except ConfigError as err:
            return err.problems
        return ()

    def problem(self) -> str:
        (only,) = self.problems()
        return only

    def script(self, name: str, image_command: str | None = None, network_type: str = "public-bridge") -> str:
        files = plan.task_files(self.spec(), image_command, (), PotConf(network_type=network_type))
        (content,) = [file.content for file in files if file.name == name]
        return content.decode()

    def conf(self) -> dict[str, list[str]]:
        """What the driver would write to pot.conf: the values of each key."""
        found: dict[str, list[str]] = {}
        for line in compose.preview(self.spec()).pot_conf.splitlines():
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
        return found

    def fscomp(self) -> list[str]:
        """What the driver would write to fscomp.conf, but for its own scripts."""
        return compose.preview(self.spec()).fscomp_conf.splitlines()[1:]


def make_alloc_dir(path: Path) -> Path:
    """What Nomad makes before it starts a task."""
    for directory in ("web/local", "web/secrets", "web/tmp", "web/private", "alloc/data", "alloc/logs"):
        (path / directory).mkdir(parents=True)
    return path


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """The smallest job: image, pot, tag, command."""
    return Job(make_alloc_dir(tmp_path / "alloc-0f8e1d2c"))


@pytest.fixture(scope="module")
def still_job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A job for tests that only read it, many times."""
    return Job(make_alloc_dir(tmp_path_factory.mktemp("still") / "alloc"))
