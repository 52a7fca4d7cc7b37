"""Options whose effect can only be seen from inside a pot, and what stands between a check and its use."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pot_driver import plan, spec, wire
from pot_driver.config import decode_plugin, decode_task
from pot_driver.model import Dns
from pot_driver.operator.agent import CallFailed
from pot_driver.operator.job import Group, Job, PortAsk, Task, TaskResources

pytestmark = [pytest.mark.namespaces, pytest.mark.slow]

TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=40)
NASTY = st.text(st.sampled_from(" \t\n\r'\"$`\\#*?;&|<>(){}[]~!%=-^äß漢\x01\x7f"), max_size=40)
NAME = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,12}", fullmatch=True).map("V_{}".format)


def one(node, config: dict[str, object] | None = None, *, ports=(), dns=None, **task: object) -> Job:
    """A job of one task that runs the app on the host's network, changed as told."""
    image = {"image": f"file://{node.images}", "pot": "app", "tag": "1"}
    whole = {**image, "command": "/usr/local/bin/cook", "network_mode": "host", **(config or {})}
    fields = {"name": "web", "config": {key: value for key, value in whole.items() if value is not None}, **task}
    return Job(id="job", groups=(Group(name="g", tasks=(Task(**fields),), ports=ports, dns=dns),))


class Noting:
    """A pot that notes what it is asked, and can be told to do something first."""

    def __init__(self, node, place: Path) -> None:
        self.notes = place / "noted"
        self.path = place / "noting-pot"
        self._pot = node.root / "bin/pot"
        self.config = {
            "pot": str(self.path),
            "pot_cache": f"{node.root}/var/cache/pot",
            "pot_tmp": f"{node.root}/tmp",
        }
        self.before("true")

    def before(self, words: str) -> None:
        note = f'for word; do printf "%s\\0" "$word"; done >>{shlex.quote(str(self.notes))}; echo >>{self.notes}'
        self.path.write_text(f'#!/bin/sh\n{note}\n{words}\nexec {self._pot} "$@"\n')
        self.path.chmod(0o755)

    def after_clone(self, words: str) -> None:
        """Have an image that is not as it should be."""
        pots = self._pot.parent.parent / "opt/pot/jails"
        self.before(f'POTS={pots}; case $1 in clone) {self._pot} "$@"; s=$?; {words}; exit $s ;; esac')

    @property
    def commands(self) -> list[tuple[str, ...]]:
        lines = self.notes.read_text().split("\n")[:-1]
        return [tuple(line.split("\0")[:-1]) for line in lines]


async def test_starttask_runs_exactly_the_planned_commands(a_client, node, tmp_path):
    noting = Noting(node, tmp_path)
    (tmp_path / "data").mkdir()
    config = {
        "network_mode": None, "copy": ["/etc/hostname:/etc/name"], "mount": [f"{tmp_path}/data:/data"],
        "attributes": ["children:1"], "extra_hosts": ["db:10.0.0.1"], "exec_stop": "true", "port_map": [{"http": "80"}],
    }  # fmt: skip
    job = one(node, config, ports=(PortAsk(label="http"),), resources=TaskResources(memory_mb=64))
    async with a_client(**noting.config) as client, client.running(job) as task:
        request = wire.task_config(task.request)
        planned = plan.build(spec.build(request, decode_task(request.driver_config), decode_plugin(b"")))
        ran = [command for command in noting.commands if command[0] not in {"version", "config", "exec"}]

    first = ran.index(planned.clone.argv)
    assert ran[first : first + 2] == [planned.clone.argv, planned.start.argv]
    assert planned.import_image.argv in [*ran[:first], planned.import_image.argv]


async def test_a_port_that_is_forwarded_to_two_tasks_of_a_group_is_told(a_client, node):
    """Without `ports` both have the group's ports that say `to`."""
    ports = (PortAsk(label="http", to=80), PortAsk(label="dns", to=53))
    job = one(node, {"network_mode": None, "port_map": [{"http": "80"}]}, ports=ports)
    side = Task(name="side", config={**job.groups[0].tasks[0].config, "port_map": None}, logs_disabled=True)
    job = replace(job, groups=(replace(job.groups[0], tasks=(*job.groups[0].tasks, side)),))
    async with a_client() as client, client.running(job) as web:
        assert not [event for event in client.events if "too" in event]
        request = web.allocation.task_config(side, client.agent.task_schema)
        await client.agent.start_task(request)
        await client.agent.destroy_task(request.id)
        (told,) = [event for event in client.events if "too" in event]

    (port,) = [port.value for port in web.allocation.ports if port.label == "http"]
    assert told.startswith(f'port {port} of the host is forwarded to task "web", too')


async def test_a_minimal_job_runs_at_most_three_pot_commands(a_client, node, tmp_path):
    noting = Noting(node, tmp_path)
    job = one(node, {"network_mode": None}, resources=TaskResources(memory_mb=64))
    async with a_client(**noting.config) as client:
        asked = len(noting.commands) if noting.notes.exists() else 0
        await client.agent.fingerprint()
        async with client.running(job):
            ran = [command[0] for command in noting.commands[asked:] if command[0] not in {"version", "config"}]

    assert [verb for verb in ran if verb != "import"] == ["clone", "start"]
    assert len(ran) <= 3


async def test_every_value_arrives_through_a_real_pot(a_client, node):
    """Fifty sets of nasty values each: more is tested without a pot."""
    examples = st.lists(st.tuples(NAME, NASTY | TEXT), min_size=50, max_size=50, unique_by=lambda pair: pair[0])
    drawn: list[list[tuple[str, str]]] = []

    @given(examples)
    @settings(max_examples=3, phases=[Phase.generate], suppress_health_check=list(HealthCheck), database=None)
    def draw(values: list[tuple[str, str]]) -> None:
        drawn.append(values)

    draw()
    async with a_client() as client:
        for values in drawn:
            env = dict(values)
            args = [value for _, value in values]
            written = [value.replace("${", "$${").replace("%{", "%%{") for value in args]  # else Nomad's own
            async with client.running(one(node, {"args": written, "args_mode": "exec"}, env=env)) as task:
                told = await task.told()
                assert told["argv"] == args
                assert {name: told["env"].get(name) for name in env} == env


async def test_the_pot_has_the_host_name_that_the_job_gives(a_client, node):
    async with a_client() as client, client.running(one(node, {"hostname": "web1.example"})) as task:
        assert (await task.told())["name"] == "web1.example"


async def test_another_user_runs_the_command_and_what_is_executed(a_client, node):
    async with (
        a_client() as client,
        client.running(one(node, {"args": ["'a b'", "$X"]}, user="www", env={"X": "y"})) as task,
    ):
        told = await task.told()
        assert (told["ids"], told["argv"], told["cwd"]) == ([80, 80, 6, 80], ["a b", "y"], "/")
        assert await task.inside("id", "-u") == "80\n"
        assert await task.inside("id", "-G") == "80 6\n"
        await task.agent.stop_task(task.request.id, 20, "SIGTERM")
        ended = await task.ended()
        assert (ended.result.exit_code, ended.result.signal) == (0, 0)


async def test_a_user_that_the_image_does_not_know_is_refused_by_name(a_client, node):
    async with a_client() as client:
        with pytest.raises(CallFailed, match=r'user: the pot has no user "nobody-here"; it has root, .*www'):
            async with client.running(one(node, user="nobody-here")):
                pass


async def test_a_user_of_an_image_without_accounts_is_refused(a_client, node, tmp_path):
    noting = Noting(node, tmp_path)
    noting.after_clone('for pot in "$POTS"/web_*_*; do : >"$pot/m/etc/passwd"; done')
    async with a_client(**noting.config) as client:
        with pytest.raises(CallFailed, match='user: the pot has no user "www"; it has none that can be read'):
            async with client.running(one(node, user="www")):
                pass


async def test_dns_of_the_group_is_the_pots_resolv_conf(a_client, node):
    dns = Dns(servers=("192.0.2.53",), searches=("a.example",))
    async with a_client() as client, client.running(one(node, dns=dns)) as task:
        assert await task.inside("cat", "/etc/resolv.conf") == "nameserver 192.0.2.53\nsearch a.example\n"


async def test_exec_stop_runs_in_the_pot_with_the_tasks_environment(a_client, node):
    job = one(node, {"exec_stop": 'echo "$GREETING" >/alloc/data/stopped; A=1'}, env={"GREETING": "it's over"})
    async with a_client() as client, client.running(job) as task:
        await task.told()
        await task.agent.stop_task(task.request.id, 10, "")
        assert (task.allocation.dir / "alloc/data/stopped").read_text() == "it's over\n"


@pytest.mark.parametrize("mode", [0o777, 0o775])
async def test_a_mount_that_others_can_exchange_for_a_symlink_is_refused(a_client, node, tmp_path, mode):
    """pot mounts by path, long after the check."""
    shared = tmp_path / "shared"
    (shared / "x").mkdir(parents=True)
    shared.chmod(mode)
    job = one(node, {"mount": [f"{shared}/x:/x"]})
    async with a_client(volumes={"allowed_paths": [str(shared), str(node.images)]}) as client:
        with pytest.raises(CallFailed, match="others than root can rename what lies in"):
            async with client.running(job):
                pass


async def test_traps_that_an_earlier_run_left_in_the_secrets_harm_nothing(a_client, node, tmp_path):
    trap = tmp_path / "trap"
    trap.mkdir()

    def leave(allocation) -> None:
        (allocation.dir / "web/secrets/.pot").symlink_to(trap)

    async with a_client() as client, client.running(one(node), before=leave) as task:
        await task.told()
        assert not any(trap.iterdir())


async def test_a_mount_works_twice_and_below_another(a_client, node, tmp_path):
    for name in ("data/sub", "x/data"):
        (tmp_path / name).mkdir(parents=True)
    data = tmp_path / "data"
    (data / "note").write_text("n")
    mounts = [f"{data}:/one", f"{data}:/two:ro", f"{tmp_path}/x/data:/one/sub"]
    async with a_client() as client, client.running(one(node, {"mount": mounts})) as task:
        assert await task.inside("cat", "/one/note", "/two/note") == "nn"
        await task.inside("mkdir", "/one/sub/made")
        assert (tmp_path / "x/data/made").is_dir()


async def test_a_directory_is_copied_whole_and_added_to_one_of_the_image(a_client, node, tmp_path):
    (tmp_path / "tree/deep").mkdir(parents=True)
    (tmp_path / "tree/deep/file").write_text("here")
    async with a_client() as client:
        async with client.running(one(node, {"copy": [f"{tmp_path}/tree:/srv/new/tree"]})) as task:
            assert await task.inside("cat", "/srv/new/tree/deep/file") == "here"
        async with client.running(one(node, {"copy": [f"{tmp_path}/tree:/usr/local"]})) as task:
            assert await task.inside("cat", "/usr/local/deep/file") == "here"
            assert (await task.told())["env"]["NOMAD_TASK_NAME"] == "web"


async def test_no_program_of_the_image_runs_before_its_jail(a_client, node, tmp_path):
    noting = Noting(node, tmp_path)
    noting.after_clone('rm "$POTS"/web_*/m/bin/realpath "$POTS"/web_*/m/bin/cp')
    job = one(node, {"copy": ["/etc/hostname:/etc/name"], "mount": ["local:/data"]})
    async with a_client(**noting.config) as client, client.running(job) as task:
        assert (await task.told())["env"]["NOMAD_TASK_NAME"] == "web"


async def test_a_mount_that_would_cover_the_root_is_noticed(a_client, node, tmp_path):
    """An image can make a mount point a symlink to its root."""
    noting = Noting(node, tmp_path)
    noting.after_clone('for pot in "$POTS"/web_*; do ln -s / "$pot/m/data"; done')
    (tmp_path / "data").mkdir()
    async with a_client(**noting.config) as client:
        with pytest.raises(CallFailed, match="in the image /data is a link to /"):
            async with client.running(one(node, {"mount": [f"{tmp_path}/data:/data"]})):
                pass
