"""Configuration is encoded as the agent does: checked, converted, complete."""

from __future__ import annotations

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pot_driver._proto.plugins.shared.hclspec.hcl_spec_pb2 import (
    Attr,
    Block,
    BlockAttrs,
    BlockList,
    Default,
    Literal,
    Object,
    Spec,
)
from pot_driver.errors import ConfigError
from pot_driver.operator.hclspec import convert, encode


def attr(name: str, type_: str, *, required: bool = False) -> Spec:
    return Spec(Attr=Attr(name=name, type=type_, required=required))


def spec(**members: Spec) -> Spec:
    return Spec(object=Object(attributes=members))


def encoded(schema: Spec, config: dict[str, object]) -> object:
    return msgpack.unpackb(encode(schema, config))


def problems(schema: Spec, config: dict[str, object]) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as error:
        encode(schema, config)
    return error.value.problems


def test_every_attribute_is_there_and_unset_is_nil() -> None:
    schema = spec(a=attr("a", "string"), b=attr("b", "list(string)"), c=attr("c", "number"))

    assert encoded(schema, {"a": "x"}) == {"a": "x", "b": None, "c": None}


def test_a_default_stands_in_for_what_is_unset() -> None:
    default = Default(primary=attr("a", "string"), default=Spec(literal=Literal(value='"x"')))
    schema = spec(a=Spec(default=default))

    assert encoded(schema, {}) == {"a": "x"}
    assert encoded(schema, {"a": "y"}) == {"a": "y"}


def test_an_unknown_key_is_refused_in_nomads_words() -> None:
    schema = spec(image=attr("image", "string"), pot=attr("pot", "string"))

    assert problems(schema, {"imag": "x"}) == (
        'Invalid label: No argument or block type is named "imag"; known are image, pot; did you mean "image"?',
    )


def test_a_missing_required_argument_is_named() -> None:
    schema = spec(image=attr("image", "string", required=True))

    assert problems(schema, {}) == ('Missing required argument: The argument "image" is required, but was not set',)


def test_all_problems_come_at_once() -> None:
    schema = spec(image=attr("image", "string", required=True), args=attr("args", "list(string)"))

    assert len(problems(schema, {"x": 1, "args": "a"})) == 3


def test_map_options_are_lists_of_maps_and_numbers_in_them_become_text() -> None:
    schema = spec(port_map=attr("port_map", "list(map(string))"))

    assert encoded(schema, {"port_map": [{"http": 80}, {"dns": "udp:53"}]}) == {
        "port_map": [{"http": "80"}, {"dns": "udp:53"}]
    }
    assert "list(map(string)) required" in problems(schema, {"port_map": {"http": 80}})[0]


def test_blocks_are_objects_lists_or_maps() -> None:
    inner = spec(enabled=attr("enabled", "bool"))
    schema = spec(
        one=Spec(block_value=Block(name="one", nested=inner)),
        many=Spec(block_list=BlockList(name="many", nested=inner)),
        free=Spec(block_attrs=BlockAttrs(name="free", type="string")),
    )

    assert encoded(schema, {}) == {"one": None, "many": [], "free": None}
    assert encoded(schema, {"one": [{"enabled": "true"}], "many": [{}], "free": {"a": 1}}) == {
        "one": {"enabled": True},
        "many": [{"enabled": None}],
        "free": {"a": "1"},
    }
    assert "Only one block" in problems(schema, {"one": [{}, {}]})[0]
    assert "must be a block" in problems(schema, {"one": "x"})[0]


@given(st.integers(min_value=-(2**63), max_value=2**63 - 1))
def test_whole_numbers_are_integers(number: int) -> None:
    assert encoded(spec(n=attr("n", "number")), {"n": number}) == {"n": number}
    assert encoded(spec(n=attr("n", "string")), {"n": number}) == {"n": str(number)}


def test_numbers_that_are_no_float_are_sent_as_their_digits() -> None:
    schema = spec(n=attr("n", "number"))

    assert encoded(schema, {"n": "0.1"}) == {"n": "0.1"}
    assert encoded(schema, {"n": "0.5"}) == {"n": 0.5}
    assert encoded(schema, {"n": 10**30}) == {"n": str(10**30)}


@given(st.text())
def test_texts_arrive_unchanged(text: str) -> None:
    assert encoded(spec(s=attr("s", "string")), {"s": text}) == {"s": text}


@pytest.mark.parametrize(
    ("type_", "value", "converted"),
    [("string", True, "true"), ("bool", "false", False), ("map(string)", {"a": 1.5}, {"a": "1.5"}), ("any", [1], [1])],
)
def test_conversions_are_ctys(type_: str, value: object, converted: object) -> None:
    assert convert(type_, value) == converted


@pytest.mark.parametrize(
    ("type_", "value"), [("bool", 1), ("number", True), ("number", "x"), ("string", ["a"]), ("list(string)", {"a": 1})]
)
def test_other_conversions_are_refused(type_: str, value: object) -> None:
    with pytest.raises(ValueError, match="required, not"):
        convert(type_, value)
