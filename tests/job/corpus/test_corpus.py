"""The jobs that exist: each runs, and what it asks for is seen from inside the pot."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pot_driver.errors import ConfigError
from pot_driver.operator.agent import CallFailed

pytestmark = [pytest.mark.namespaces, pytest.mark.slow]


def host_file(client, path: str, text: str = "x") -> None:
    """A file of the host that the job names."""
    file = client.place / "host" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def host_directory(client, path: str) -> Path:
    directory = client.place / "host" / path
    directory.mkdir(parents=True)
    return directory


def config_of(job) -> dict[str, object]:
    return job.groups[0].tasks[0].config


async def test_01_nginx(a_client):
    """Single quotes shield the blank; one file copied, one directory mounted, one port mapped."""
    async with a_client() as client:
        host_file(client, "mnt/s3/web/nginx.conf", "worker_processes 1;\n")
        host_file(client, "mnt/s3/web/www/index.html", "hello\n")
        job = client.job("01")
        client.node.offer(config_of(job))
        async with client.running(job) as task:
            told = await task.told_by_port("http")
            assert told["argv"] == ["-g", "daemon off;"]
            assert told["cwd"] == "/"
            assert told["env"]["NOMAD_PORT_http"] == "80"
            assert await task.inside("cat", "/usr/local/etc/nginx/nginx.conf") == "worker_processes 1;\n"
            assert await task.inside("cat", "/mnt/index.html") == "hello\n"


async def test_02_one_argument_that_must_be_split(a_client):
    """A leading blank, a URL with a slash at the end, ports of the old kind."""
    async with a_client() as client:
        job = client.job("02")
        client.node.offer(config_of(job))
        async with client.running(job) as task:
            told = await task.told_by_port("http")
            assert told["argv"] == ["-g", "daemon off;"]
            assert told["env"]["NOMAD_PORT_http"] == "80"


async def test_03_the_images_own_command(a_client):
    async with a_client() as client:
        job = client.job("03")
        client.node.offer(config_of(job))
        async with client.running(job) as task:
            assert (await task.told_by_port("http"))["argv"] == ["-g", "daemon off;"]


async def test_04_the_whole_line_in_command_on_the_hosts_network(a_client):
    async with a_client() as client:
        job = client.job("04")
        client.node.offer(config_of(job))
        async with client.running(job) as task:
            assert (await task.told_by_port("http"))["argv"] == ["-g", "daemon off;"]


async def test_05_double_quotes_and_asterisks_without_any_network_block(a_client):
    async with a_client() as client:
        host_directory(client, "mnt/rsnapshot")
        for name in ("root/rsnapshot.conf", "root/.ssh/id_rsa", "root/.ssh/known_hosts"):
            host_file(client, name, name)
        job = client.job("05")
        client.node.offer(config_of(job))
        async with client.running(job) as task:
            assert (await task.told())["argv"] == ["-a", "40 23 * * 6"]
            assert await task.inside("cat", "/root/.ssh/id_rsa") == "root/.ssh/id_rsa"
            assert await task.inside("cat", "/usr/local/etc/rsnapshot.conf") == "root/rsnapshot.conf"
            await task.inside("mkdir", "/.snapshots/hourly.0")
        assert (client.place / "host/mnt/rsnapshot/hourly.0").is_dir()


async def test_06_commas_and_a_dollar_in_arguments(a_client):
    async with a_client() as client:
        host_directory(client, "mnt/postfix")
        job = client.job("06")
        client.node.offer(config_of(job))
        async with client.running(job) as task:
            assert (await task.told_by_port("smtp"))["argv"] == [
                "-n", "10.10.10.10/32", "-d", "example1.com, example2.com, example.de",
                "-h", "mx2.example1.com", "-b", "mx2.example1.com ESMTP \\$mail_name",
            ]  # fmt: skip


async def test_07_an_empty_argument_and_everything_by_the_environment(a_client):
    async with a_client() as client:
        job = client.job("07")
        client.node.offer(config_of(job))
        async with client.running(job) as task:
            told = await task.told()
            assert told["argv"] == []
            env = job.groups[0].tasks[0].env
            assert {name: told["env"][name] for name in env} == env
            assert env["PASSWORD"] == 'pa$$w0rd #1 "it\'s" `id` C:\\n'


async def test_08_sixteen_variables_and_three_ports(a_client):
    async with a_client() as client:
        host_file(client, "root/auth_key", "key")
        job = client.job("08")
        client.node.offer(config_of(job))
        async with client.running(job) as task:
            env = job.groups[0].tasks[0].env
            for label, port in {"http": "80", "https": "443", "matrix": "8448"}.items():
                told = await task.told_by_port(label)
                assert told["env"][f"NOMAD_PORT_{label}"] == port
            assert len(env) == 16
            assert {name: told["env"][name] for name in env} == env
            assert await task.inside("cat", "/root/importauthkey") == "key"


async def test_09_five_copies_and_two_mounts(a_client):
    async with a_client() as client:
        names = ["objectstore.config.php", "mysql.config.php", "custom.config.php", "caching.config.php", "rootca.crt"]
        for name in names:
            host_file(client, f"nextcloud/{name}", name)
        host_file(client, "mnt/nextcloud/filestore/file", "stored")
        host_directory(client, "mnt/nextcloud/www")
        job = client.job("09")
        client.node.offer(config_of(job))
        async with client.running(job) as task:
            assert (await task.told_by_port("http"))["argv"] == ["-d", "/mnt/filestore", "-s", "10.0.0.1:5432"]
            assert await task.inside("cat", *(f"/root/{name}" for name in names)) == "".join(names)
            assert await task.inside("cat", "/mnt/filestore/file") == "stored"


async def test_10_an_argument_with_a_blank_and_variables_from_a_template(a_client):
    async with a_client() as client:
        host_directory(client, "mnt/minio")
        job = client.job("10")
        client.node.offer(config_of(job))
        async with client.running(job) as task:
            told = await task.told_by_port("http")
            assert told["argv"] == ["server", "--config-dir", "/usr/local/etc/minio", "/minio"]
            assert told["env"]["MINIO_SECRET_KEY"] == "sec$ret"
            assert "MINIO_ACCESS_KEY" in await task.inside("cat", "/secrets/file.env")


async def test_11_a_flat_list_of_flags(a_client):
    async with a_client() as client:
        host_file(client, "path/to/access.log")
        host_directory(client, "mnt/certs")
        job = client.job("11")
        client.node.offer(config_of(job))
        async with client.running(job) as task:
            told = await task.told_by_port("https")
            assert told["argv"] == config_of(job)["args"]
            assert told["env"]["NOMAD_PORT_https"] == "443"


async def test_12_the_parents_of_a_copy_are_made(a_client):
    async with a_client() as client:
        host_file(client, "backuppc/id_rsa", "key")
        job = client.job("12")
        client.node.offer(config_of(job))
        async with client.running(job) as task:
            assert (await task.told_by_port("ssh"))["argv"] == []
            assert await task.inside("cat", "/home/backuppc/.ssh/id_rsa") == "key"


async def test_13_quoted_values_with_blanks(a_client):
    async with a_client() as client:
        job = client.job("13")
        client.node.offer(config_of(job))
        async with client.running(job) as task:
            assert (await task.told())["argv"] == ["-h", "Param 1", "-n", "Param 2"]


async def test_14_a_batch_job_fails_each_time(a_client):
    async with a_client() as client:
        job = client.job("14")
        client.node.offer(config_of(job))
        for _ in range(2):
            async with client.running(job) as task:
                ended = await task.ended()
                assert (ended.result.exit_code, ended.result.signal, ended.err) == (1, 0, "")


async def test_15_a_port_with_to_an_image_in_the_task_and_a_script_check(a_client):
    async with a_client() as client:
        job = client.job("15")

        def fetch_artifact(allocation) -> None:
            client.node.offer(config_of(job), allocation.dir / "hello" / "images")

        async with client.running(job, before=fetch_artifact) as task:
            told = await task.told_by_port("http")
            assert told["argv"] == []
            assert told["env"]["NOMAD_PORT_http"] == "20043"
            assert await task.inside("/bin/sh", "-c", "test -f /etc/passwd") == ""


async def test_16_a_port_map_on_the_hosts_network_does_no_harm(a_client):
    async with a_client() as client:
        job = client.job("16")
        client.node.offer(config_of(job))
        async with client.running(job) as task:
            told = await task.told_by_port("http")
            assert told["env"]["NOMAD_PORT_http"] == told["env"]["NOMAD_HOST_PORT_http"]
            assert any("forwards nothing" in event for event in client.events)


async def test_17_a_line_for_etc_hosts_and_an_attribute(a_client):
    async with a_client() as client:
        job = client.job("17")
        client.node.offer(config_of(job))
        async with client.running(job) as task:
            assert "192.168.0.1 artifactory.yourdomain.com\n" in await task.inside("cat", "/etc/hosts")
            assert "pot.attr.devfs_ruleset=3\n" in client.node.conf(task.request)


async def test_18_a_template_in_the_tasks_directory(a_client):
    async with a_client() as client:
        job = client.job("18")
        client.node.offer(config_of(job))
        async with client.running(job) as task:
            assert (await task.told())["argv"] == ["-f", "/local/environment"]
            assert await task.inside("cat", "/local/environment") == "GREETING=hello"


async def test_19_an_unknown_option_is_refused_by_name(a_client):
    async with a_client() as client:
        job = client.job("19")
        with pytest.raises((ConfigError, CallFailed), match="pot_name"):
            async with client.running(job):
                await asyncio.sleep(0)
