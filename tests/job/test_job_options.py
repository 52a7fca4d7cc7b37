"""Image, attributes, limits, user, and what nodes forbid."""

from __future__ import annotations

import pytest

from pot_driver.model import Resources


def argvs(job) -> list[tuple[str, ...]]:
    return [step.argv for step in job.plan().commands]


@pytest.mark.parametrize(
    ("image", "url"),
    [
        ("https://potluck.honeyguide.net/nginx-nomad/", "https://potluck.honeyguide.net/nginx-nomad"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("file:///mnt/images", "file:///mnt/images"),
    ],
)
def test_an_image_is_a_url(job, image, url):
    assert job.config_with(image=image).spec(look=False).image.url == url


def test_a_file_image_can_be_in_the_tasks_directory(job):
    (job.alloc_dir / "web/images").mkdir()

    assert job.config_with(image="file://./images").spec().image.url == f"file://{job.alloc_dir}/web/images"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"image": "/mnt/images"}, 'image: "/mnt/images" is not a URL of images'),
        ({"image": "ftp://x/y"}, "it does not begin with http://"),
        ({"image": "https://"}, "it names no host"),
        ({"image": "https://x/y?z=1"}, "no file name can be added behind a ?"),
        ({"image": "https://x:99999/"}, "is not a URL"),
        ({"image": "https://x/a b"}, "must write as %20"),
        ({"image": "file://../../../x"}, "leads out of the task's own directories"),
        ({"pot": "a/b"}, 'pot: "a/b" may have only letters'),
        ({"pot": "-x"}, 'pot: "-x" may have only letters'),
        ({"tag": "1.0 "}, 'tag: "1.0 " may have only letters'),
        ({"tag": "latest;id"}, 'tag: "latest;id"'),
    ],
)
def test_a_wrong_image_is_refused(job, options, words):
    assert words in job.config_with(**options).problem()


def test_a_password_in_the_url_is_shown_nowhere(job):
    job.config_with(image="https://me:s3cr3t@images.example.org/web")

    assert job.plan().image.url == "https://me:s3cr3t@images.example.org/web"
    assert not any("s3cr3t" in word for argv in argvs(job) for word in argv)
    assert "s3cr3t" not in job.plugin_with(allowed_image_urls=["https://other"]).problem()


@pytest.mark.parametrize(
    ("image", "allowed"),
    [
        ("https://a.example/x", True),
        ("https://a.example/x/y", True),
        ("https://a.example/xy", False),
        ("http://a.example/x", False),
        ("https://a.example/x/../z", False),
        ("https://a.example/x/%2e%2e/z", False),
        ("https://a.example.evil/x", False),
        ("file:///srv/images/x", True),
    ],
)
def test_nodes_can_say_where_images_come_from(job, image, allowed):
    job.plugin_with(allowed_image_urls=["https://a.example/x/", "file:///srv/images"], volumes={"enabled": False})

    assert (job.config_with(image=image).problems() == ()) == allowed


def test_a_signature_is_the_jobs_or_the_nodes(job):
    (job.local / "team.pub").write_text("x")
    assert job.plan().image.signature_pubkey is None
    job.plugin_with(signature_pubkey="/etc/node.pub")
    assert job.plan().import_image.argv[-2:] == ("-C", "/etc/node.pub")
    job.config_with(signature_pubkey="local/team.pub")
    assert job.plan().image.signature_pubkey == f"{job.local}/team.pub"


def test_a_node_that_requires_signatures_takes_no_other_key(job):
    (job.local / "team.pub").write_text("x")
    job.plugin_with(require_signature=True)
    assert "signature_pubkey: must be given" in job.problem()
    job.plugin_with(signature_pubkey="/etc/node.pub").config_with(signature_pubkey="local/team.pub")
    assert "only images signed with its own key" in job.problem()


def test_attributes_are_set_as_pot_stores_them(job):
    job.config_with(attributes=["devfs_ruleset:3", "raw_sockets: true", "sysvshm:inherit", "exec_stop:sh -c a:b"])

    conf = job.conf()

    assert conf["pot.attr.devfs_ruleset"] == ["3"]
    assert conf["pot.attr.raw_sockets"] == ["YES"]
    assert conf["pot.attr.sysvshm"] == ["inherit"]
    assert conf["pot.attr.exec_stop"] == ["sh -c a:b"]


def test_what_the_driver_relies_on_is_always_set(job):
    conf = job.conf()

    assert conf["pot.cmd"] == ["/bin/sh /.pot-driver/start.sh"]
    for name, value in (("persistent", "NO"), ("no-rc-script", "YES"), ("prunable", "NO"), ("no-tmpfs", "YES")):
        assert conf[f"pot.attr.{name}"] == [value]


@pytest.mark.parametrize(
    ("attribute", "words"),
    [
        ("raw_sockets", 'attributes: "raw_sockets" is not "NAME:VALUE"'),
        ("raw_sockets:maybe", '"maybe" for "raw_sockets" must be yes or no'),
        ("devfs_ruleset:-1", "must be a number"),
        ("sysvshm:on", "must be new, inherit or disable"),
        ("exec_stop:A=1 foo", 'one line without "="; the option exec_stop takes any command'),
        ("nonsense:1", 'pot has no attribute "nonsense"; known: children, devfs_ruleset'),
        ("persistent:yes", '"persistent" cannot be set by a job: the pot must end when its command ends'),
        ("prunable:yes", "cannot be set by a job"),
        ("start-at-boot:yes", "Nomad decides when a task starts"),
        ("x\ny:1", "pot has no attribute"),
    ],
)
def test_wrong_attributes_are_refused(job, attribute, words):
    assert words in job.config_with(attributes=[attribute]).problem()


def test_an_attribute_given_twice_is_refused(job):
    problem = job.config_with(attributes=["children:1", "children:2"]).problem()

    assert problem == 'attributes: "children" is given twice, as 1 and as 2'


def test_stop_timeout_is_told_to_come_from_kill_timeout(job):
    spec = job.config_with(attributes=["stop_timeout:60"]).spec()

    assert spec.attributes == ()
    assert "kill_timeout" in spec.warnings[0]


def test_nodes_can_say_which_attributes_jobs_may_set(job):
    job.plugin_with(allowed_attributes=["raw_sockets"])

    assert job.config_with(attributes=["raw_sockets:yes"]).problems() == ()
    assert (
        "not one of this node's allowed_attributes: raw_sockets" in job.config_with(attributes=["mlock:yes"]).problem()
    )


def test_exec_stop_takes_any_command(job):
    job.config_with(exec_stop="A=1; echo \"$A\"\necho 'done'")

    assert job.conf()["pot.attr.exec_stop"] == ["/bin/sh /.pot-driver/stop.sh"]
    assert job.script("on-stop.sh").endswith(". /.pot-driver/env.sh\nA=1; echo \"$A\"\necho 'done'\n")


@pytest.mark.parametrize(
    ("resources", "limits"),
    [
        (Resources(), None),
        (Resources(memory_mb=64), ("64M", None)),
        (Resources(memory_mb=64, memory_max_mb=128), ("128M", None)),
        (Resources(memory_mb=64, memory_max_mb=-1), None),
        (Resources(memory_mb=64, cpuset_cpus="2,3"), ("64M", "2")),
        (Resources(cpuset_cpus="0-3,7"), (None, "5")),
        (Resources(memory_mb=64, memory_max_mb=-1, cpuset_cpus="1"), (None, "1")),
    ],
)
def test_limits_are_those_of_the_resources(job, resources, limits):
    conf = job.task_with(resources=resources).conf()

    found = tuple(conf.get(key, [None])[0] for key in ("pot.rss.memory", "pot.rss.cpus"))
    assert found == (limits or (None, None))


def test_root_needs_no_change_of_user(job):
    for user in ("", "root", "0"):
        assert "chroot" not in job.task_with(user=user).script("start.sh")


def test_another_user_is_taken_on_before_the_command_and_by_alloc_exec(job):
    job.task_with(user="www")

    assert "set -- -u 'www'" in job.script("start.sh")
    assert "set -- -u 'www'" in job.script("exec.sh")
    assert job.plan().programs == ("/bin/sh", "/usr/sbin/chroot", "/usr/bin/id")


def test_nothing_of_a_tasks_environment_is_read_before_its_user_has_changed(job):
    job.task_with(user="www", env={"LD_PRELOAD": "/local/x.so"}).config_with(exec_stop="x")

    for name in ("start.sh", "exec.sh", "stop.sh"):
        text = job.script(name)
        assert "/env.sh" not in text
        assert text.endswith('exec /usr/sbin/chroot "$@"\n')


@pytest.mark.parametrize("user", ["-x", "a b", "www:www", "$(id)", "x" * 33])
def test_a_wrong_user_is_refused(job, user):
    assert "user:" in job.task_with(user=user).problem()


def test_everything_wrong_comes_at_once(job):
    job.config_with(
        image="x", tag="/", network_mode="alias", mount=["a"], copy=["b"], attributes=["c"], extra_hosts=["d"],
        port_map=[{"e": "80"}], args=["x\ny"], hostname="_", ports=["f"],
    )  # fmt: skip

    options = {problem.partition(":")[0] for problem in job.problems()}

    assert options >= {
        "image", "tag", "network_mode", "mount", "copy", "attributes", "extra_hosts", "ports", "args", "hostname",
    }  # fmt: skip


def test_what_cannot_be_read_and_what_does_not_fit_come_in_one_message(job):
    del job.config["image"]
    problems = job.config_with(
        network_mode="bogus", mount=["nocolon"], extra_hosts=["x"], port_map={"no": "80"}
    ).problems()

    assert [problem.partition(":")[0].partition("[")[0] for problem in problems[:2]] == ["image", "network_mode"]
    assert sorted({problem.partition(":")[0].partition("[")[0] for problem in problems[2:]}) == [
        "extra_hosts",
        "mount",
        "port_map",
    ]
