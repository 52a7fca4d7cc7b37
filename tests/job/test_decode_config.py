"""Config decoding: whatever bytes arrive, the answer is options or a ConfigError that names what is wrong."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from contextlib import suppress

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pot_driver.config import PLUGIN_OPTIONS, TASK_OPTIONS, Block, Option, decode_plugin, decode_task
from pot_driver.config.values import PluginConfig, TaskOptions
from pot_driver.errors import ConfigError

TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=20)
FILLED = TEXT.filter(str.strip)
KEYS = [option.name for option in (*TASK_OPTIONS, *PLUGIN_OPTIONS)]
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(KEYS) | st.text(), inner),
    max_leaves=12,
)
VALUES = {
    "bool": st.booleans(),
    "string": TEXT,
    "list(string)": st.lists(TEXT, max_size=3),
    "list(map(string))": st.dictionaries(TEXT, TEXT, max_size=3).map(lambda one: [one]),
}
VALID = {"image": "https://x", "pot": "p", "tag": "t"}


def plain(option: Option) -> st.SearchStrategy[object]:
    if option.required:
        return FILLED
    return VALUES[option.type] if option.check is None else st.none()


JOBS = st.fixed_dictionaries({o.name: plain(o) | (st.nothing() if o.required else st.none()) for o in TASK_OPTIONS})


@given(st.binary())
@pytest.mark.parametrize("decode", [decode_task, decode_plugin])
def test_any_bytes_are_options_or_a_config_error(decode, data):
    with suppress(ConfigError):
        decode(data)


@given(JUNK, st.booleans())
@pytest.mark.parametrize("decode", [decode_task, decode_plugin])
def test_any_msgpack_is_options_or_a_config_error(decode, value, new_types):
    data = msgpack.packb(value, use_bin_type=new_types, unicode_errors="replace")

    with suppress(ConfigError):
        decode(data)


@given(JOBS, st.data())
def test_truncated_configs_are_config_errors(config, data):
    packed = msgpack.packb(config)
    cut = data.draw(st.integers(1, len(packed) - 1))

    with pytest.raises(ConfigError):
        decode_task(packed[:cut])


@given(JOBS)
def test_both_flavours_of_msgpack_give_the_same_options(config):
    """Cty sends every attribute, unset ones as nil; go-msgpack sends what was set, in its old string types."""
    cty = msgpack.packb(config)
    raw = msgpack.packb({k: v for k, v in config.items() if v is not None}, use_bin_type=False)

    assert decode_task(cty) == decode_task(raw)


@given(JOBS)
def test_what_a_job_says_arrives_unchanged(config):
    options = decode_task(msgpack.packb(config))

    for name, value in config.items():
        if isinstance(value, str):
            assert getattr(options, name) == value
        elif isinstance(value, list) and name != "port_map":
            assert getattr(options, name) == tuple(value)


def test_an_empty_block_is_all_defaults():
    assert decode_plugin(b"") == decode_plugin(msgpack.packb(None)) == decode_plugin(msgpack.packb({}))


def test_defaults_that_the_host_fills_in_are_the_same_as_none():
    def filled(table) -> Iterator[tuple[str, object]]:
        for entry in table:
            if isinstance(entry, Block):
                yield entry.name, {} if entry.label else dict(filled(entry.options))
            else:
                yield entry.name, json.loads(entry.default or "null")

    assert decode_plugin(msgpack.packb(dict(filled(PLUGIN_OPTIONS)))) == decode_plugin(b"")


@pytest.mark.parametrize(
    ("port_map", "expected"),
    [
        ([{"http": "80"}], {"http": "80"}),
        ({"http": "80"}, {"http": "80"}),
        ([{"http": 80}, {"https": 443}], {"http": "80", "https": "443"}),
        ([{"dns": "udp:53"}], {"dns": "udp:53"}),
        ([], {}),
    ],
)
def test_port_map_is_a_map_or_a_list_of_maps_of_numbers_or_strings(port_map, expected):
    assert decode_task(msgpack.packb({**VALID, "port_map": port_map})).port_map == expected


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"imag": "x"}, ["imag: no such option; did you mean image?", "image: must be given"]),
        ({**VALID, "args": "x"}, ['args: "x" is not a list of strings']),
        ({**VALID, "args": ["x", 3]}, ["args: 3 is not a string"]),
        ({**VALID, "command": True}, ["command: True is not a string"]),
        ({**VALID, "command": b"\xff\xfe"}, ["command:", "is not UTF-8"]),
        ({**VALID, "command": "a\0b"}, ["command:", "NUL byte"]),
        ({**VALID, "args_mode": "bash"}, ['args_mode: "bash" is not one of "shell", "exec"']),
        ({**VALID, "network_mode": "bridge"}, ['network_mode: "bridge" is not one of "public-bridge"']),
        ({**VALID, "port_map": [{"a": "1"}, {"a": "2"}]}, ['port_map: "a" is given twice, as 1 and as 2']),
        ({**VALID, "port_map": ["80"]}, ['port_map: "80" is not a map']),
        ({**VALID, "image": " "}, ['image: " " must not be empty']),
        ({**VALID, "pot": 5, "tag": 1.5}, ["pot: 5 is not a string", "tag: 1.5 is not a string"]),
    ],
)
def test_a_wrong_task_option_is_named_with_its_value(wrong, words):
    with pytest.raises(ConfigError) as caught:
        decode_task(msgpack.packb(wrong))

    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"volume": {}}, "volume: no such option; did you mean volumes?"),
        ({"volumes": {"enable": True}}, "volumes.enable: no such option; did you mean enabled?"),
        ({"volumes": {"allowed_paths": ["mnt"]}}, 'volumes.allowed_paths: "mnt" is not an absolute path'),
        ({"volumes": [{"enabled": True}, {}]}, "volumes:"),
        ({"timeouts": {"stop": "5"}}, 'timeouts.stop: "5" is not a duration such as "30s" or "1h30m"'),
        ({"timeouts": {"stop": "0s"}}, 'timeouts.stop: "0s" must be more than nothing'),
        ({"max_parallel_starts": 0}, "max_parallel_starts: 0 must be 1 or more"),
        ({"max_parallel_starts": "0.1"}, 'max_parallel_starts: "0.1" is not a whole number'),
        ({"download": {"max_parallel": True}}, "download.max_parallel: True is not a whole number"),
        ({"state_dir": "run"}, 'state_dir: "run" is not an absolute path'),
        ({"host_path": "/bin::/sbin"}, 'host_path: "" is not an absolute path'),
        ({"default_dns": "8.8.8.8"}, 'default_dns: "8.8.8.8" is not one of "inherit", "pot", "off", "custom:FILE"'),
        ({"default_network_mode": "alias"}, 'default_network_mode: "alias" is not one of'),
        ({"enabled": "yes"}, 'enabled: "yes" is neither true nor false'),
        ({"allowed_image_urls": ["images.example.org"]}, "does not begin with http://, https:// or file://"),
        (5, "config: 5 is not a block of options"),
    ],
)
def test_a_wrong_plugin_option_is_named_with_its_block_and_value(wrong, words):
    with pytest.raises(ConfigError) as caught:
        decode_plugin(msgpack.packb(wrong))

    assert words in str(caught.value)


def test_all_problems_come_at_once():
    with pytest.raises(ConfigError) as caught:
        decode_task(msgpack.packb({"args": 1, "mount": 2, "nonsense": 3}))

    assert len(caught.value.problems) == 6


def test_a_long_value_is_cut_in_the_message():
    with pytest.raises(ConfigError) as caught:
        decode_task(msgpack.packb({**VALID, "args_mode": "x" * 100_000}))

    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("1h30m", 5400), ("250ms", 0.25), ("1.5m", 90)])
def test_durations_are_gos(text, seconds):
    assert decode_plugin(msgpack.packb({"timeouts": {"stop": text}})).timeouts.stop == seconds


@pytest.mark.parametrize("wrapped", [False, True])
def test_blocks_with_a_label_are_one_value_each(wrapped):
    """As cty's map, or as HCL 1 hands its lists of blocks on."""
    block = {"username": "node", "password_file": "/etc/p"}
    labelled = {"https://a.example/x": [block] if wrapped else block}

    (registry,) = decode_plugin(msgpack.packb({"registry": [labelled] if wrapped else labelled})).registry

    assert (registry.url, registry.username, registry.password_file) == ("https://a.example/x", "node", "/etc/p")


def test_a_label_that_is_no_url_is_told():
    with pytest.raises(ConfigError, match=r'registry: "a\.example" is not a URL of images'):
        decode_plugin(msgpack.packb({"registry": {"a.example": {}}}))


def test_volumes_as_a_list_of_one_block_are_read():
    config = decode_plugin(msgpack.packb({"volumes": [{"enabled": False}]}))

    assert not config.volumes.enabled


@pytest.mark.parametrize(("table", "made"), [(TASK_OPTIONS, TaskOptions), (PLUGIN_OPTIONS, PluginConfig)])
def test_every_option_has_its_field_and_every_field_its_option(table, made):
    def check(entries, cls, label="") -> None:
        fields = {field.name for field in dataclasses.fields(cls)} - {label}
        assert fields == {getattr(entry, "field", "") or entry.name for entry in entries}
        for entry in entries:
            if isinstance(entry, Block):
                check(entry.options, entry.make, entry.label)

    check(table, made)
