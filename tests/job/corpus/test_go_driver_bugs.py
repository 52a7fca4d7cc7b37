"""What went wrong in nomad-pot-driver 0.10.0, one test for each (the numbers are of the list of its bugs)."""

from __future__ import annotations

import asyncio

import pytest

from pot_driver._proto.plugins.base.proto import base_pb2
from pot_driver._proto.plugins.drivers.proto import driver_pb2
from pot_driver.operator.agent import CallFailed
from pot_driver.operator.job import Group, Job, PortAsk, Task, TaskResources

pytestmark = [pytest.mark.namespaces, pytest.mark.slow]

COOK = "/usr/local/bin/cook"


def one(client, config: dict[str, object] | None = None, *, ports: tuple[PortAsk, ...] = (), **task: object) -> Job:
    """A job of one task that runs the app on the host's network, changed as told."""
    image = {"image": f"file://{client.node.images}", "pot": "app", "tag": "1"}
    whole = {**image, "command": COOK, "network_mode": "host", **(config or {})}
    fields = {"name": "web", "config": {key: value for key, value in whole.items() if value is not None}, **task}
    return Job(id="job", groups=(Group(name="g", tasks=(Task(**fields),), ports=ports),))


async def refused(client, job: Job, *, change=None) -> str:
    """Why StartTask does not take it; nothing of the pot is left and the plugin lives."""
    before = client.node.all_pots()
    with pytest.raises(CallFailed) as caught:
        async with client.running(job, change=change):
            await asyncio.sleep(0)
    assert client.node.all_pots() == before
    assert (await client.agent.plugin.base.PluginInfo(base_pb2.PluginInfoRequest())).name == "pot"
    return str(caught.value)


async def test_b01_a_failing_import_is_told_in_pots_words(a_client):
    async with a_client() as client:
        job = one(client, {"pot": "b01"})
        client.node.offer(job.groups[0].tasks[0].config)
        client.node.fault("receive pot=b01*")

        text = await refused(client, job)

    assert "cannot receive" in text
    assert "<nil>" not in text


async def test_b02_a_failing_step_is_told_in_pots_words(a_client):
    async with a_client() as client:
        client.node.fault("mount")

        text = await refused(client, one(client))

    assert "the jail did not start" in text
    assert "mount_nullfs" in text


async def test_b03_without_its_mount_a_task_does_not_start(a_client):
    async with a_client() as client:
        client.node.fault("mount")
        text = await refused(client, one(client, {"mount": ["/etc:/x"]}))

    assert "mount" in text


async def test_b04_a_clone_that_only_says_success_is_noticed(a_client):
    async with a_client() as client:
        client.node.fault("clone")

        text = await refused(client, one(client))

    assert "pot clone failed" in text
    assert "cannot clone" in text


async def test_b05_without_pot_there_is_an_error_and_the_plugin_lives(a_client):
    async with a_client(host_path="/nonexistent") as client:
        text = await refused(client, one(client))
        assert "pot is not" in (await client.agent.fingerprint()).health_description

    assert "pot" in text


async def test_b06_labels_may_have_any_letters_and_unknown_ones_are_named(a_client):
    async with a_client() as client:
        ports = (PortAsk(label="my-port"),)
        bridged = {"network_mode": None, "port_map": [{"my-port": "80"}]}
        async with client.running(one(client, bridged, ports=ports)) as task:
            assert (await task.told_by_port("my-port"))["env"]["NOMAD_PORT_my_port"] == "80"

        text = await refused(client, one(client, {"port_map": [{"http": "80"}]}, ports=ports))

    assert 'port_map: there is no port with the label "http" in the group\'s network; known: my-port' in text


async def test_b07_a_dot_in_a_tasks_name_leaves_nothing_behind(a_client):
    async with a_client() as client:
        before = client.node.all_pots()
        async with client.running(one(client, name="web.v1")) as task:
            assert (await task.told())["env"]["NOMAD_TASK_NAME"] == "web.v1"
            assert any(pot.startswith("web_v1_") for pot in client.node.all_pots())

        assert client.node.all_pots() == before


@pytest.mark.parametrize("name", ["x'; touch {}; '", "x';id;'", "$(touch {})", "`touch {}`", "x*", 'x"y'])
async def test_b08_a_tasks_name_is_never_read_by_a_shell_of_the_host(a_client, tmp_path, name):
    trap = tmp_path / "pwned"
    async with a_client() as client:
        text = await refused(client, one(client, name=name.format(trap).replace("/", "_")))

    assert "because of the task's name" in text
    assert not trap.exists()


async def test_b09_any_task_id_will_do(a_client):
    async with a_client() as client:

        def odd(request: driver_pb2.TaskConfig) -> None:
            request.id = "no slashes in it"

        async with client.running(one(client), change=odd) as task:
            assert (await task.told())["argv"] == []


async def test_b10_halves_of_pairs_are_refused_and_ro_is_read_only(a_client):
    async with a_client() as client:
        halves = {"copy": ["/etc/x"], "mount": ["a"], "attributes": ["raw_sockets"]}
        text = await refused(client, one(client, halves))
        assert all(f"{option}: " in text for option in halves)

        directory = client.place / "ro"
        directory.mkdir()
        async with client.running(one(client, {"mount": [f"{directory}:/x:ro"]})) as task:
            assert "refused" in await task.inside("/bin/sh", "-c", "mkdir /x/y 2>/dev/null || echo refused")
        colons = {"attributes": ["exec_stop:sh -c a:b"]}
        async with client.running(one(client, colons)) as task:
            assert "pot.attr.exec_stop=sh -c a:b\n" in client.node.conf(task.request)


async def test_b11_a_line_break_in_an_argument_stays_in_the_argument(a_client):
    nasty = "one\npot.attr.raw_sockets=YES\npot.cmd=id"
    async with a_client() as client:
        for config in ({"args": [f"'{nasty}'"]}, {"args": [nasty], "args_mode": "exec"}):
            async with client.running(one(client, config)) as task:
                assert (await task.told())["argv"] == [nasty]
                conf = client.node.conf(task.request)
                assert "raw_sockets=YES" not in conf
                assert "pot.cmd=/bin/sh /.pot-driver/start.sh\n" in conf
        assert "line break outside quotes" in await refused(client, one(client, {"args": [nasty]}))


async def test_b12_network_modes_have_what_they_need_or_are_refused(a_client):
    async with a_client() as client:
        asked = client.node.asked()
        for mode, words in {"bridge": "is not one of", "alias": "needs ip", "private-bridge": "needs bridge"}.items():
            assert words in await refused(client, one(client, {"network_mode": mode}))
        assert client.node.asked() == asked

        client.node.pot("create-private-bridge", "-B", "b12", "-S", "4")
        private = {"network_mode": "private-bridge", "bridge": "b12", "ports": ["http"]}
        async with client.running(one(client, private, ports=(PortAsk(label="http", to=80),))) as task:
            assert (await task.told_by_port("http"))["env"]["NOMAD_PORT_http"] == "80"
            assert "network_type=private-bridge\n" in client.node.conf(task.request)


async def test_b13_ports_of_the_group_are_exported_and_the_network_is_told(a_client):
    async with a_client() as client:
        ports = (PortAsk(label="http", to=80), PortAsk(label="other"))
        async with client.running(one(client, {"network_mode": None}, ports=ports)) as task:
            told = await task.told_by_port("http")
            assert told["env"]["NOMAD_PORT_http"] == "80"
            network = task.started.network_override
            assert dict(network.port_map) == {"http": 80}
            assert f"ip={network.addr}\n" in client.node.conf(task.request)


async def test_b14_b42_every_value_arrives_and_odd_names_are_told(a_client):
    pem = "-----BEGIN KEY-----\nab+/=\n\n  indented\t\n-----END KEY-----\n\n"
    env = {"PW": "pa$$w0rd", "CMD": "a`id`b$(id)", "WIN": "C:\\n\\", "PEM": pem, "Q": '"\'\\"', "U": "größe漢", "E": ""}
    odd = {"my.key": "1", "BASH_FUNC_x%%": "() { :; }"}
    big = {"BIG": "x'$" * 34_000}
    async with a_client() as client:
        async with client.running(one(client, env={**env, **odd, **big})) as task:
            told = (await task.told())["env"]
            assert {name: told.get(name) for name in (*env, *big)} == {**env, **big}
            assert not set(odd) & set(told)
            assert await task.inside("/bin/sh", "-c", 'echo "$PEM"; exit') == f"{pem}\n"
        assert all(any(name in event for event in client.events) for name in odd)


async def test_b15_b16_nothing_of_the_agent_is_in_the_pot(a_client, monkeypatch):
    for name in ("VAULT_TOKEN", "CONSUL_HTTP_TOKEN", "AWS_SECRET_ACCESS_KEY", "PAGER", "TMUX"):
        monkeypatch.setenv(name, "of the agent")
    async with a_client() as client, client.running(one(client)) as task:
        told = (await task.told())["env"]
        assert (told["NOMAD_SECRETS_DIR"], told["NOMAD_TASK_DIR"], told["NOMAD_ALLOC_DIR"]) == (
            "/secrets", "/local", "/alloc",
        )  # fmt: skip
    assert "of the agent" not in told.values()
    others = {name for name in told if not name.startswith(("NOMAD_", "_POT_"))}
    assert others <= {"PATH", "HOME", "LANG", "TERM", "PWD", "OLDPWD", "SHLVL", "_", "LC_CTYPE", "IFCONFIG_FORMAT"}
    assert not {name for name in told if "PLUGIN" in name}


async def test_b17_no_secret_is_in_arguments_logs_or_pot_conf(a_client):
    async with a_client() as client:
        task_ = {"env": {"TOKEN": "s3cr3t-1"}}
        job = one(client, {"args": ["--password", "s3cr3t-2"], "exec_stop": "echo s3cr3t-3"}, **task_)
        async with client.running(job) as task:
            assert (await task.told())["argv"] == ["--password", "s3cr3t-2"]
            conf = client.node.conf(task.request)
            places = [conf, client.node.asked(), *(f"{line.message} {line.fields}" for line in client.log)]
            assert not any(f"s3cr3t-{n}" in place for n in (1, 2, 3) for place in places)
            (scripts,) = (client.node.root / "driver").glob("web_*/scripts")
            assert {file.stat().st_mode & 0o777 for file in scripts.glob("*.sh")} == {0o400}
            assert not list((client.place / "allocs").rglob("*.sh"))


async def test_b18_memory_max_and_cores_are_limits(a_client):
    async with a_client() as client:
        resources = TaskResources(memory_mb=64, memory_max_mb=128, cores=1)
        async with client.running(one(client, resources=resources)) as task:
            conf = client.node.conf(task.request)
            assert "pot.rss.memory=128M\n" in conf
            assert "pot.rss.cpus=1\n" in conf


async def test_b19_what_tasks_share_is_in_alloc(a_client):
    async with a_client() as client, client.running(one(client)) as task:
        await task.inside("/bin/sh", "-c", "echo from the pot >/alloc/data/note")
        note = task.allocation.dir / "alloc/data/note"
        assert note.read_text() == "from the pot\n"


async def test_b20_volumes_are_mounted_and_devices_refused(a_client):
    async with a_client() as client:
        for name in ("db", "ca"):
            (client.place / name).mkdir()

        def with_volumes(request: driver_pb2.TaskConfig) -> None:
            request.mounts.add(task_path="/db", host_path=f"{client.place}/db")
            request.mounts.add(task_path="/etc/ca", host_path=f"{client.place}/ca", readonly=True)

        async with client.running(one(client), change=with_volumes) as task:
            await task.inside("/bin/sh", "-c", "echo kept >/db/row")
            assert "refused" in await task.inside("/bin/sh", "-c", "mkdir /etc/ca/x 2>/dev/null || echo refused")
        assert (client.place / "db/row").read_text() == "kept\n"

        def with_device(request: driver_pb2.TaskConfig) -> None:
            request.devices.add(task_path="/dev/gpu", host_path="/dev/gpu0")

        text = await refused(client, one(client), change=with_device)

    assert 'device: "/dev/gpu0" cannot be given to a pot' in text


async def test_b40_relative_paths_are_in_the_tasks_directory(a_client):
    async with a_client() as client:

        def files(allocation) -> None:
            local = allocation.dir / "web/local"
            (local / "www").mkdir()
            (local / "www/index.html").write_text("hello")
            (local / "app.conf").write_text("on")
            client.node.offer({"pot": "b40", "tag": "1"}, local / "img")

        config = {
            "image": "file://./local/img",
            "pot": "b40",
            "mount": ["local/www:/www"],
            "copy": ["local/app.conf:/etc/app.conf"],
        }
        async with client.running(one(client, config), before=files) as task:
            assert await task.inside("cat", "/www/index.html", "/etc/app.conf") == "helloon"


async def test_b41_only_allowed_host_paths_are_open(a_client, node, tmp_path):
    for name in ("open", "closed"):
        (tmp_path / name).mkdir()
    (tmp_path / "open/way-out").symlink_to(tmp_path / "closed")
    async with a_client(volumes={"allowed_paths": [f"{tmp_path}/open", str(node.images)]}) as client:
        asked = client.node.asked()
        for source in (f"{tmp_path}/closed", f"{tmp_path}/open/../closed", f"{tmp_path}/open/way-out", "/root/.ssh"):
            for config in ({"mount": [f"{source}:/x"]}, {"copy": [f"{source}:/x"]}):
                assert "is not below one of this node's allowed_paths" in await refused(client, one(client, config))
        assert client.node.asked() == asked
        async with client.running(one(client, {"mount": [f"{tmp_path}/open:/x"]})) as task:
            assert "way-out" in await task.inside("ls", "/x")


async def test_b44_whether_memory_is_limited_is_told_by_the_node(a_client):
    async with a_client() as client:
        assert (await client.agent.fingerprint()).attributes["driver.pot.racct"].bool_val
    client.node.fault("racct")
    async with a_client() as client:
        assert not (await client.agent.fingerprint()).attributes["driver.pot.racct"].bool_val
        async with client.running(one(client, resources=TaskResources(memory_mb=64))) as task:
            assert (await task.told())["argv"] == []
