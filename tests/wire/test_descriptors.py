"""The generated code says on the wire exactly what Nomad and go-plugin say.

Not here: what the services do.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.descriptor import (
    Descriptor,
    EnumDescriptor,
    FieldDescriptor,
    FileDescriptor,
    ServiceDescriptor,
)
from google.protobuf.descriptor_pb2 import DescriptorProto

from pot_driver._proto.plugins.drivers.proto.driver_pb2 import DriverCapabilities

ROOT = Path(__file__).resolve().parents[2]
GENERATED = ROOT / "src/pot_driver/_proto"
FACTS = Path(__file__).with_name("wire_facts.txt")
SCALARS = {
    getattr(FieldDescriptor, name): name.removeprefix("TYPE_").lower()
    for name in dir(FieldDescriptor)
    if name.startswith("TYPE_")
}


def test_the_generated_code_is_fresh() -> None:
    """The committed code is what the compiler makes of proto/ today."""
    pytest.importorskip("grpc_tools", reason="grpcio-tools, a tool of developers, is not installed")
    check = subprocess.run(
        [sys.executable, ROOT / "scripts/gen-proto", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (check.returncode, check.stdout, check.stderr) == (0, "", "")


def test_the_descriptors_are_the_wires() -> None:
    """Every message, field, number, type, enum and method is as Nomad has it, and nothing else is there."""
    facts = _facts()
    described = dict(_described())

    assert described.keys() == facts.keys()
    for head, lines in facts.items():
        assert described[head] == lines, head


@pytest.mark.parametrize("value", ["ANY_MOUNTS", "UNKNOWN_MOUNTS"])
def test_two_names_share_the_zero_of_mount_configs(value: str) -> None:
    """Old and new name of "any mounts" are the same number."""
    assert DriverCapabilities.MountConfigs.Value(value) == 0


def _facts() -> dict[str, list[str]]:
    """The list of facts: head line → its indented lines."""
    facts: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in FACTS.read_text().splitlines():
        if line.startswith("  "):
            lines.append(line.strip())
        elif not line.startswith("#"):
            lines = facts.setdefault(line, [])
    return {head: sorted(lines) for head, lines in facts.items()}


def _described() -> Iterator[tuple[str, list[str]]]:
    """What the generated modules describe, in the same form."""
    for path in sorted(GENERATED.rglob("*_pb2.py")):
        name = ".".join(path.relative_to(GENERATED).with_suffix("").parts)
        file: FileDescriptor = importlib.import_module(f"pot_driver._proto.{name}").DESCRIPTOR
        for message in file.message_types_by_name.values():
            yield from _message(message)
        for enum in file.enum_types_by_name.values():
            yield _enum(enum)
        for service in file.services_by_name.values():
            yield _service(service)


def _message(message: Descriptor) -> Iterator[tuple[str, list[str]]]:
    if message.GetOptions().map_entry:
        return
    reserved = _reserved(message)
    yield f"message {message.full_name}{reserved}", sorted(_field(f) for f in message.fields)
    for nested in message.nested_types:
        yield from _message(nested)
    for enum in message.enum_types:
        yield _enum(enum)


def _reserved(message: Descriptor) -> str:
    proto = DescriptorProto()
    message.CopyToProto(proto)
    numbers = [str(n) for span in proto.reserved_range for n in range(span.start, span.end)]
    return f" reserved {','.join(numbers)}" if numbers else ""


def _field(field: FieldDescriptor) -> str:
    kind = _type(field)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        entry = field.message_type.fields_by_name
        kind = f"map<{_type(entry['key'])}, {_type(entry['value'])}>"
    elif field.is_repeated:
        kind = f"repeated {kind}"
    oneof = f" oneof {field.containing_oneof.name}" if field.containing_oneof else ""
    return f"{field.number} {field.name} {kind}{oneof}"


def _type(field: FieldDescriptor) -> str:
    named = field.message_type or field.enum_type
    return str(named.full_name) if named else SCALARS[field.type]


def _enum(enum: EnumDescriptor) -> tuple[str, list[str]]:
    alias = " allow_alias" if enum.GetOptions().allow_alias else ""
    return f"enum {enum.full_name}{alias}", sorted(f"{v.name} = {v.number}" for v in enum.values)


def _service(service: ServiceDescriptor) -> tuple[str, list[str]]:
    def end(message: Descriptor, *, streaming: bool) -> str:
        return f"({'stream ' if streaming else ''}{message.full_name})"

    return f"service {service.full_name}", sorted(
        f"{m.name} {end(m.input_type, streaming=m.client_streaming)}"
        f" -> {end(m.output_type, streaming=m.server_streaming)}"
        for m in service.methods
    )
