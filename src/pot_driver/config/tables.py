"""The tables of options: name, HCL type, default, meaning, check.

Not here: decoding, checks that need more than one option.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pot_driver.config import checks, values

Check = Callable[[object], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One attribute. `type` is an HCL type expression, `default` an HCL literal that is also JSON.

    `check` turns a value of that type into the one that is kept; `field` is that one's name where it
    differs from the option's.
    """

    name: str
    type: str
    default: str | None = None
    required: bool = False
    doc: str
    example: str = ""
    check: Check | None = None
    field: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A block that may be left out; then every option in it has its default. `make` builds its value.

    With a `label` there may be several, each with a label of its own that `check` keeps as that option; their values
    are a tuple.
    """

    name: str
    label: str = ""
    check: Check | None = None
    options: tuple[Option | Block, ...]
    doc: str
    make: Callable[..., object]


def _text(name: str, doc: str, *, default: str | None = None, example: str = "", check: Check | None = None) -> Option:
    return Option(name=name, type="string", doc=doc, default=default, example=example, check=check)


def _texts(name: str, doc: str, *, default: str | None = None, example: str = "", check: Check | None = None) -> Option:
    return Option(name=name, type="list(string)", doc=doc, default=default, example=example, check=check)


def _time(name: str, doc: str, *, default: str, field: str = "") -> Option:
    return Option(name=name, type="string", doc=doc, default=default, check=checks.duration, field=field)


def _count(name: str, doc: str, *, default: str) -> Option:
    return Option(name=name, type="number", doc=doc, default=default, check=checks.at_least_one)


def _size(name: str, doc: str, *, field: str, default: str | None = None) -> Option:
    return Option(name=name, type="string", doc=doc, default=default, check=checks.size, field=field)


def _flag(name: str, default: str, doc: str) -> Option:
    return Option(name=name, type="bool", default=default, doc=doc)


TASK_OPTIONS: tuple[Option, ...] = (
    Option(
        name="image",
        type="string",
        required=True,
        doc="Where images lie: `http(s)://…`, `file:///…`, or `file://./…` in the task directory. "
        "The file that is fetched is `<image>/<pot>_<tag>.xz`.",
        example='image = "https://potluck.honeyguide.net/nginx-nomad"',
        check=checks.filled,
    ),
    Option(
        name="pot",
        type="string",
        required=True,
        doc="The image's name.",
        example='pot = "nginx-nomad-amd64-14_1"',
        check=checks.filled,
    ),
    Option(
        name="tag",
        type="string",
        required=True,
        doc="The image's tag. What is on the host is not asked for again: use a new tag, or `force_pull`.",
        example='tag = "1.1.13"',
        check=checks.filled,
    ),
    _text(
        "command",
        "What runs in the pot. Unset: the image's own command.",
        example='command = "nginx"',
    ),
    _texts(
        "args",
        "Its arguments.",
        example="""args = ["-g", "'daemon off;'"]""",
    ),
    _text(
        "args_mode",
        "`shell`: command and arguments are one line for the pot's shell. "
        "`exec`: each argument arrives exactly as written.",
        default='"shell"',
        example='args_mode = "exec"',
        check=checks.one_of("shell", "exec"),
    ),
    _text(
        "network_mode",
        "`public-bridge` (default), `private-bridge` (with `bridge`), `alias` (with `ip`), `host` "
        "(also written `inherit`), or `image`: what the image was built with.",
        example='network_mode = "host"',
        check=checks.one_of("public-bridge", "private-bridge", "alias", "host", "inherit", "image"),
    ),
    _text(
        "network_stack",
        "`ipv4`, `ipv6` or `dual`. Unset: the image's.",
        example='network_stack = "dual"',
        check=checks.one_of("ipv4", "ipv6", "dual"),
    ),
    _texts(
        "ip",
        'Addresses for `network_mode = "alias"`, each `ADDRESS` or `NIC|ADDRESS`.',
        example='ip = ["em0|10.0.0.5"]',
    ),
    _text(
        "bridge",
        'The existing bridge for `network_mode = "private-bridge"`.',
        example='bridge = "backend"',
    ),
    Option(
        name="port_map",
        type="list(map(string))",
        doc='Port label → port inside the pot, `"udp:53"` for UDP. The label is one of the group\'s ports.',
        example='port_map = { http = "80", dns = "udp:53" }',
    ),
    _texts(
        "ports",
        "Labels of the group's ports to export; inside the pot the port is the label's `to`, "
        "else the host's port. Not together with `port_map`.",
        example='ports = ["http"]',
    ),
    _text(
        "dns",
        "`inherit`, `pot`, `off`, or `custom:FILE` with a resolv.conf. Wins over the group's `dns` block.",
        example='dns = "custom:local/resolv.conf"',
        check=checks.dns,
    ),
    _text(
        "hostname",
        "The pot's host name. Unset: pot's own choice, `<pot name>.<host>`.",
        example='hostname = "web1"',
    ),
    _texts(
        "extra_hosts",
        "Lines for the pot's /etc/hosts, each `NAME:ADDRESS`.",
        example='extra_hosts = ["db:10.0.0.1", "db6:fe80::1"]',
    ),
    _texts(
        "copy",
        "Files and directories copied into the pot before it starts, each `SOURCE:DESTINATION`.",
        example='copy = ["local/nginx.conf:/usr/local/etc/nginx/nginx.conf"]',
    ),
    _texts(
        "mount",
        "Host directories mounted into the pot, each `SOURCE:DESTINATION`, with `:ro` for read-only.",
        example='mount = ["/mnt/www:/mnt", "/mnt/ca:/etc/ca:ro"]',
    ),
    _texts(
        "mount_read_only",
        "Like `mount`, read-only.",
        example='mount_read_only = ["/mnt/ca:/etc/ca"]',
    ),
    _texts(
        "attributes",
        "pot's attributes of the jail, each `NAME:VALUE`.",
        example='attributes = ["devfs_ruleset:3", "sysvshm:new"]',
    ),
    _text(
        "exec_stop",
        "A shell command that runs in the pot when it is stopped, before the processes get SIGTERM.",
        example='exec_stop = "/usr/local/bin/flush --all"',
    ),
    _text(
        "signature_pubkey",
        "A signify public key on the host: the image is imported only with a signature made by it.",
        example='signature_pubkey = "/usr/local/etc/pot/team.pub"',
    ),
    Option(
        name="force_pull",
        type="bool",
        doc="Ask at every start whether the image has changed, and take the new one; running tasks keep theirs. "
        "Unset: the node's `force_pull`.",
        example="force_pull = true",
    ),
)

_VOLUMES = Block(
    name="volumes",
    make=values.Volumes,
    doc="Which host paths jobs may name in `copy`, `mount`, `mount_read_only`, `dns`, `signature_pubkey` "
    'and `image = "file://…"`.',
    options=(
        _flag("enabled", "true", "`false`: only paths in the allocation's own directories."),
        _texts(
            "allowed_paths",
            "Only these host directories and what is below them. Empty: any.",
            default="[]",
            check=checks.absolutes,
        ),
    ),
)

_TIMEOUTS = Block(
    name="timeouts",
    make=values.Timeouts,
    doc="How long each kind of pot command may take.",
    options=(
        _time("quick", "Commands that only ask or change a setting.", default='"60s"'),
        _time("prepare", "`pot import` and `pot clone`, each with its wait for pot's lock.", default='"15m"'),
        _time(
            "copy",
            "Nothing any more: the driver copies by itself.",
            default='"10m"',
        ),
        _time("start", "From `pot start` until the command runs in the pot.", default='"2m"'),
        _time("stop", "`pot stop`, on top of the task's `kill_timeout`.", default='"60s"'),
        _time("destroy", "`pot destroy`, each try.", default='"2m"'),
    ),
)

_DOWNLOAD = Block(
    name="download",
    make=values.DownloadOptions,
    doc="Fetching images.",
    options=(
        _time(
            "inactivity_timeout",
            "Give up when no byte has come for this long.",
            default='"2m"',
            field="inactivity_timeout_s",
        ),
        _time(
            "header_timeout",
            "Give up when an answer has not begun for this long, however it trickles.",
            default='"1m"',
            field="header_timeout_s",
        ),
        _time("timeout", "Give up after this long in all.", default='"1h"', field="timeout_s"),
        _count("max_parallel", "Different images fetched at the same time, without those that stall.", default="2"),
        _size("max_size", "The largest image that is fetched.", field="max_size_bytes", default='"32GiB"'),
    ),
)

_GC = Block(
    name="gc",
    make=values.GcOptions,
    doc="Cleaning up images that this driver fetched and no task needs.",
    options=(
        _flag("image", "true", "Destroy unused imported images and their files in pot's cache."),
        _time(
            "image_delay",
            "Only when unused for this long.",
            default='"72h"',
            field="image_delay_s",
        ),
        _size(
            "image_budget",
            "Where the files of all images are larger, those longest unused go before their delay. Unset: no limit.",
            field="image_budget_bytes",
        ),
    ),
)

_REGISTRY = Block(
    name="registry",
    label="url",
    check=checks.url,
    make=values.Registry,
    doc="How images at a URL, and below it, are asked for. The longest URL that fits counts.",
    options=(
        _text("username", "User name, with `password_file`."),
        _text("password_file", "A file with the password in its first line.", check=checks.absolute),
        _text("token_file", "A file with a bearer token in its first line.", check=checks.absolute),
        _text("ca_file", "Certificates (PEM) that sign this server's, instead of the host's.", check=checks.absolute),
    ),
)

_RECONCILER = Block(
    name="reconciler",
    make=values.ReconcilerOptions,
    doc="Finding and removing pots that belong to no task (a crash at the wrong moment leaves some).",
    options=(
        _flag("enabled", "true", "Look for pots of this client that belong to no task, and destroy them."),
        _time("period", "How often.", default='"5m"', field="period_s"),
        _time(
            "creation_grace",
            "Spare pots younger than this, and all pots until the agent has been there for as long.",
            default='"10m"',
            field="creation_grace_s",
        ),
        _flag("dry_run", "false", "Only log what would be destroyed."),
    ),
)

PLUGIN_OPTIONS: tuple[Option | Block, ...] = (
    _flag("enabled", "true", "`false`: the driver shows as undetected and starts nothing."),
    _text(
        "host_path",
        "PATH on which host commands (pot, jls, ps, sysctl, rctl, sh) are looked up, and which pot gets.",
        default='"/sbin:/bin:/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"',
        check=checks.search_path,
    ),
    _text(
        "pot",
        "The pot executable, a name on `host_path` or an absolute path.",
        default='"pot"',
        check=checks.executable,
    ),
    _text(
        "pot_cache",
        "pot's image cache. Unset: POT_CACHE of pot's configuration, else /var/cache/pot.",
        check=checks.absolute,
    ),
    _text(
        "pot_tmp",
        "pot's state files. Unset: POT_TMP of pot's configuration, else /tmp.",
        check=checks.absolute,
    ),
    _text(
        "state_dir",
        "The driver's own state, made with mode 0700. It need not survive a reboot.",
        default='"/var/run/nomad-pot-driver"',
        check=checks.absolute,
    ),
    _text(
        "default_network_mode",
        "For jobs that do not say `network_mode`: `public-bridge`, `host`, or `image` "
        "(as the Go driver did: whatever the image was built with).",
        default='"public-bridge"',
        check=checks.one_of("public-bridge", "host", "image"),
    ),
    _text(
        "default_dns",
        "For jobs that say nothing about DNS: `inherit`, `pot`, `off` or `custom:FILE`.",
        check=checks.dns,
    ),
    _texts(
        "allowed_image_urls",
        "Images come only from these URLs and what is below them. Empty: any.",
        default="[]",
        check=checks.urls,
    ),
    _texts(
        "allowed_attributes",
        "The only attributes that jobs, and images, may set. Unset: any that does not break the driver.",
    ),
    _flag(
        "allow_image_hooks",
        "false",
        "Start images that bring hook scripts, which pot runs on the host as root.",
    ),
    _flag("require_signature", "false", "Start only images imported with a signature."),
    _text(
        "signature_pubkey",
        "The signify public key for images of jobs that name none.",
        check=checks.absolute,
    ),
    _count("max_parallel_starts", "How many tasks are started at the same time.", default="4"),
    _time(
        "stats_interval",
        "Shortest interval at which a pot's usage is measured.",
        default='"1s"',
        field="stats_interval_s",
    ),
    _flag("force_pull", "false", "For jobs that do not say `force_pull`."),
    _REGISTRY,
    _VOLUMES,
    _TIMEOUTS,
    _DOWNLOAD,
    _GC,
    _RECONCILER,
)
