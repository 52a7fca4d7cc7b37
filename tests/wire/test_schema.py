"""What the plugin says of itself is what Nomad can read.

Not here: what options mean.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import msgpack
import pytest

from pot_driver import __version__, schema
from pot_driver._proto.plugins.drivers.proto import driver_pb2 as pb
from pot_driver._proto.plugins.shared.hclspec.hcl_spec_pb2 import Spec
from pot_driver.config import PLUGIN_OPTIONS, TASK_OPTIONS, decode_plugin, decode_task
from pot_driver.config.tables import Block, Option
from pot_driver.errors import ConfigError
from pot_driver.operator import hclspec

TASK = schema.spec(TASK_OPTIONS)
PLUGIN = schema.spec(PLUGIN_OPTIONS)
TYPE = re.compile(r"(?:(?:list|set)\()*(?:map\()?(?:string|number|bool)\)*")
DOCUMENTED = {
    "image",
    "pot",
    "tag",
    "command",
    "args",
    "network_mode",
    "port_map",
    "copy",
    "mount",
    "mount_read_only",
    "extra_hosts",
    "attributes",
}
MINIMAL = {"image": "https://example.org", "pot": "nginx", "tag": "1.0"}


@pytest.mark.parametrize("spec", [TASK, PLUGIN], ids=["task", "plugin"])
def test_nomad_can_read_every_part(spec: Spec) -> None:
    """Names are spelled out, defaults have both halves, types are HCL types, literals are HCL."""
    for key, part in _parts(spec):
        kind = part.WhichOneof("block")
        assert kind in {"Attr", "default", "block_value", "block_map"}, key
        if kind in {"block_value", "block_map"}:
            assert getattr(part, kind).name == key
            assert kind == "block_value" or len(part.block_map.labels) == 1  # Nomad takes no map without
            continue
        attribute = part.default.primary.Attr if kind == "default" else part.Attr
        assert attribute.name == key
        assert TYPE.fullmatch(attribute.type), key
        if kind == "default":
            assert part.default.default.WhichOneof("block") == "literal", key
            assert not attribute.required, key
            json.loads(part.default.default.literal.value)
            assert "${" not in part.default.default.literal.value, key


@pytest.mark.parametrize(("spec", "options"), [(TASK, TASK_OPTIONS), (PLUGIN, PLUGIN_OPTIONS)], ids=["task", "plugin"])
def test_the_schema_is_the_table(spec: Spec, options: tuple[Option | Block, ...]) -> None:
    """Every option and nothing else."""
    assert set(spec.object.attributes) == {option.name for option in options}
    assert len(spec.object.attributes) == len(options)


def test_jobs_of_the_go_driver_are_understood() -> None:
    """An option that disappears breaks the jobs that have it; what looks like a map is a list of maps."""
    attributes = TASK.object.attributes

    assert set(attributes) >= DOCUMENTED
    assert attributes["port_map"].Attr.type == "list(map(string))"
    assert {name for name, part in attributes.items() if part.Attr.required} == {"image", "pot", "tag"}


def test_a_job_as_nomad_encodes_it_is_decoded() -> None:
    """Through the schema and back: what is unset is nil, what is written arrives."""
    config = {**MINIMAL, "command": "nginx", "args": ["-g", "'daemon off;'"], "port_map": [{"http": "80"}]}
    packed = hclspec.encode(TASK, config)
    options = decode_task(packed)

    assert set(msgpack.unpackb(packed)) == set(TASK.object.attributes)
    assert (options.image, options.pot, options.tag) == tuple(MINIMAL.values())
    assert tuple(options.args) == ("-g", "'daemon off;'")
    assert options.port_map == {"http": "80"}


def test_an_empty_plugin_block_as_nomad_encodes_it_is_the_defaults() -> None:
    """The schema's defaults and the decoder's are the same."""
    assert decode_plugin(hclspec.encode(PLUGIN, {})) == decode_plugin(b"")


def test_empty_blocks_are_blocks_left_out() -> None:
    """A block that is there and says nothing has the same defaults."""
    blocks: dict[str, object] = {option.name: {} for option in PLUGIN_OPTIONS if isinstance(option, Block)}

    assert blocks
    assert decode_plugin(hclspec.encode(PLUGIN, blocks)) == decode_plugin(b"")


@pytest.mark.parametrize(
    ("config", "named"),
    [({**MINIMAL, "imag": "x"}, "imag"), ({"pot": "x", "tag": "y"}, "image"), ({**MINIMAL, "args": {}}, "args")],
)
def test_a_wrong_job_is_refused_before_it_comes_here(config: dict[str, object], named: str) -> None:
    """By Nomad itself, from the schema."""
    with pytest.raises(ConfigError, match=named):
        hclspec.encode(TASK, config)


def test_the_version_is_one_that_nomad_parses() -> None:
    """An agent does not start on a version like 1.0.dev3; there is one version, and it is the package's."""
    assert schema.PLUGIN_INFO.plugin_version == __version__
    assert re.fullmatch(r"v?\d+(\.\d+){0,2}(-[0-9a-z.-]+)?(\+[0-9a-z.-]+)?", __version__, re.IGNORECASE)


def test_capabilities_are_what_the_driver_does() -> None:
    """Its own file system with /alloc, /local and /secrets; volumes; signals; commands."""
    assert (
        pb.DriverCapabilities(
            send_signals=True,
            exec=True,
            fs_isolation=pb.DriverCapabilities.IMAGE,
            network_isolation_modes=[pb.NetworkIsolationSpec.HOST],
            mount_configs=pb.DriverCapabilities.ANY_MOUNTS,
        )
        == schema.CAPABILITIES
    )


def _parts(spec: Spec) -> Iterator[tuple[str, Spec]]:
    for key, part in spec.object.attributes.items():
        yield key, part
        if part.HasField("block_value"):
            yield from _parts(part.block_value.nested)
        if part.HasField("block_map"):
            yield from _parts(part.block_map.nested)
