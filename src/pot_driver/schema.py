"""What the plugin says of itself: name, versions, capabilities, and what may be written in its two config blocks.

Not here: the options (see `config`), their meaning.
"""

from __future__ import annotations

from collections.abc import Iterable

from pot_driver import __version__
from pot_driver._proto.plugins.base.proto import base_pb2 as base
from pot_driver._proto.plugins.drivers.proto import driver_pb2 as pb
from pot_driver._proto.plugins.shared.hclspec import hcl_spec_pb2 as hcl
from pot_driver.config.tables import Block, Option

PLUGIN_INFO = base.PluginInfoResponse(
    type=base.DRIVER,
    plugin_api_versions=["v0.1.0"],
    plugin_version=__version__,
    name="pot",
)

CAPABILITIES = pb.DriverCapabilities(
    send_signals=True,
    exec=True,
    # /alloc, /local and /secrets are mounted, and the agent's own environment stays out of the pot.
    fs_isolation=pb.DriverCapabilities.IMAGE,
    # Only Linux agents look at this. A task of ours never joins a network namespace of Nomad's.
    network_isolation_modes=[pb.NetworkIsolationSpec.HOST],
    must_create_network=False,
    mount_configs=pb.DriverCapabilities.ANY_MOUNTS,
    disable_log_collection=False,
    dynamic_workload_users=False,
)


def spec(options: Iterable[Option | Block]) -> hcl.Spec:
    """A table of options as Nomad's HCL parser wants it."""
    return hcl.Spec(object=hcl.Object(attributes={option.name: _one(option) for option in options}))


def _one(option: Option | Block) -> hcl.Spec:
    # Names are always spelled out: inside a default, Nomad does not take over the attribute's key.
    if isinstance(option, Block) and option.label:
        labelled = hcl.BlockMap(name=option.name, labels=[option.label], nested=spec(option.options))
        return hcl.Spec(block_map=labelled)
    if isinstance(option, Block):
        return hcl.Spec(block_value=hcl.Block(name=option.name, nested=spec(option.options)))
    attribute = hcl.Spec(Attr=hcl.Attr(name=option.name, type=option.type, required=option.required))
    if option.default is None:
        return attribute
    default = hcl.Spec(literal=hcl.Literal(value=option.default))
    return hcl.Spec(default=hcl.Default(primary=attribute, default=default))
