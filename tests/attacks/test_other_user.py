"""A task that runs as another user than root stays that user, and nothing of its environment is read before."""

from __future__ import annotations

import pytest

from pot_driver.operator.agent import CallFailed
from pot_driver.operator.job import Group, Job, Task

pytestmark = [pytest.mark.namespaces, pytest.mark.slow]

TRICKS = """\
mkdir -p /secrets/.pot
echo 'id -u >/alloc/data/taken' >/secrets/.pot/exec.sh
cp /secrets/.pot/exec.sh /secrets/.pot/stop.sh
for file in start exec stop command env with-env on-stop; do
    (echo 'id -u >/alloc/data/taken' >/.pot-driver/$file.sh) 2>/dev/null && echo written
    rm -f /.pot-driver/$file.sh 2>/dev/null && echo removed
done
mv /.pot-driver /tmp/x 2>/dev/null && echo moved
mkdir /.pot-driver/x 2>/dev/null && echo made
id -u
"""


def job(node, **task: object) -> Job:
    config = {
        "image": f"file://{node.images}",
        "pot": "app",
        "tag": "1",
        "network_mode": "host",
        "command": "/usr/local/bin/cook",
        "exec_stop": "id -u >/alloc/data/stopped",
    }
    return Job(id="job", groups=(Group(name="g", tasks=(Task(name="web", config=config, user="www", **task),)),))


def open_data(allocation) -> None:
    (allocation.dir / "alloc/data").chmod(0o777)


async def test_attack_11_a_task_of_another_user_cannot_have_others_run_in_place_of_its_scripts(a_client, node):
    async with a_client() as client, client.running(job(node), before=open_data) as task:
        await task.told()
        data = task.allocation.dir / "alloc/data"

        assert await task.inside("/bin/sh", "-c", TRICKS) == "80\n"
        assert await task.inside("id", "-u") == "80\n"
        await task.agent.stop_task(task.request.id, 10, "")
        assert (data / "stopped").read_text() == "80\n"
        assert not (data / "taken").exists()


async def test_attack_11_no_process_of_the_pots_root_reads_the_tasks_environment(a_client, node):
    """The dynamic linker leaves a file for each program that it starts with these variables."""
    env = {
        "LD_DEBUG": "files",
        "LD_DEBUG_OUTPUT": "/alloc/data/ld",
        "PATH": "/local:/bin:/usr/bin",
        "ENV": "/local/env",
    }
    async with a_client() as client, client.running(job(node, env=env), before=open_data) as task:
        await task.told()
        data = task.allocation.dir / "alloc/data"
        await task.inside("id", "-u")
        await task.agent.stop_task(task.request.id, 10, "")

        owners = {path.stat().st_uid for path in data.glob("ld.*")}
        assert (data / "stopped").read_text() == "80\n"
        assert owners == {80}


async def test_attack_11_the_environment_is_readable_for_its_user_alone(a_client, node):
    async with a_client() as client, client.running(job(node, env={"TOKEN": "s3cr3t"}), before=open_data) as task:
        await task.told()
        (scripts,) = [path.parent for path in (node.root / "driver").rglob("env.sh")]

        modes = {path.name: (path.stat().st_uid, path.stat().st_mode & 0o777) for path in scripts.iterdir()}
        assert modes["env.sh"] == (80, 0o400)
        assert all(mode == (0, 0o400) for name, mode in modes.items() if name in {"start.sh", "exec.sh", "stop.sh"})
        assert (scripts.stat().st_uid, scripts.stat().st_mode & 0o022) == (0, 0)


async def test_attack_11_a_users_name_that_is_no_name_is_refused(a_client, node):
    async with a_client() as client:
        for name in ("www; id", "$(id)", "-u", "../root", "www:wheel", "80,0"):
            wrong = Job(id="job", groups=(Group(name="g", tasks=(Task(**{**_fields(node), "user": name}),)),))
            with pytest.raises(CallFailed, match="user"):
                async with client.running(wrong):
                    pass


def _fields(node) -> dict[str, object]:
    (task,) = job(node).groups[0].tasks
    return {"name": task.name, "config": task.config}
