"""What is stored in a handle is read by every later version, and damage is an error, never a crash."""

from __future__ import annotations

from datetime import UTC, datetime

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pot_driver import task_state
from pot_driver.errors import PotFailed
from pot_driver.model import BootId, DriverNetwork, TaskConfig, TaskRecord

CONFIG = TaskConfig(id="0b8-alloc/web/01234567", name="web", alloc_id="0b8-alloc")
texts = st.text(max_size=20)
networks = st.none() | st.builds(
    DriverNetwork,
    addr=texts,
    port_map=st.dictionaries(texts, st.integers(1, 65535), max_size=3),
    auto_advertise=st.booleans(),
)
records = st.builds(
    TaskRecord,
    id=st.just(CONFIG.id),
    name=st.just(CONFIG.name),
    alloc_id=st.just(CONFIG.alloc_id),
    pot_name=st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,60}", fullmatch=True),
    started_at_s=st.floats(0, 1e10),
    boot=st.builds(BootId, boottime_s=st.floats(0, 1e10), boot_id=texts),
    secrets_dir=st.sampled_from(["", "/var/nomad/alloc/x/web/secrets"]),
    limited=st.booleans(),
    network=networks,
)

# As version 0.11.0 wrote it: a handle that Nomad stored must be readable for ever.
STORED_3 = bytes.fromhex(
    "8ca26964b230623839632f7765622f3031323334353637a46e616d65a3776562a8616c6c6f635f6964a53062383963a8706f"
    "745f6e616d65b27765625f30313233343536375f3062383963ac737461727465645f61745f73cb41da13b860000000aa626f"
    "6f7474696d655f73cb41d954fc40000000a7626f6f745f6964a0ab736563726574735f646972a22f73a76c696d69746564c2"
    "a461646472aa31302e3139322e302e33a8706f72745f6d617081a46874747050ae6175746f5f616476657274697365c2"
)


def name_of(task_id: str) -> str:
    return f"go_{task_id.replace('/', '_')}"


@given(records)
def test_a_record_survives_the_handle(record: TaskRecord) -> None:
    assert task_state.decode(task_state.VERSION, task_state.encode(record), CONFIG, name_of) == record


def test_a_handle_stored_by_the_first_version_is_read() -> None:
    config = TaskConfig(id="0b89c/web/01234567", name="web", alloc_id="0b89c")
    record = task_state.decode(3, STORED_3, config, name_of)

    assert record.pot_name == "web_01234567_0b89c"
    assert record.network == DriverNetwork(addr="10.192.0.3", port_map={"http": 80})


def test_what_a_later_version_added_is_passed_over() -> None:
    fields = msgpack.unpackb(
        task_state.encode(TaskRecord(id="i", name="n", alloc_id="a", pot_name="p", started_at_s=1.0, boot=BootId()))
    ) | {"invented later": [1, 2]}

    assert task_state.decode_record(msgpack.packb(fields)).pot_name == "p"


def test_a_handle_of_the_go_driver_is_read() -> None:
    go = msgpack.packb(
        {
            "ReattachConfig": None,
            "TaskConfig": {"ID": "x"},
            "StartedAt": b"\x01\x00\x00\x00\x0e\xd9\x1d\x00\xff\x00\x00\x00\x00\xff\xff",
            "ContainerName": "https://images.example/web",
            "PID": 4711,
        },
        use_bin_type=False,
    )
    record = task_state.decode(2, go, CONFIG, name_of)

    assert (record.pot_name, record.id, record.secrets_dir) == (name_of(CONFIG.id), CONFIG.id, "")
    assert record.started_at_s == datetime(2021, 11, 9, 23, 53, 35, tzinfo=UTC).timestamp()


@pytest.mark.parametrize("version", [0, 1, 4, 99])
def test_an_unknown_version_is_an_error(version: int) -> None:
    with pytest.raises(PotFailed, match=f"version {version}"):
        task_state.decode(version, b"", CONFIG, name_of)


@given(st.sampled_from([2, 3]), st.binary(max_size=200))
def test_garbage_is_an_error(version: int, data: bytes) -> None:
    with pytest.raises(PotFailed):
        task_state.decode(version, data, CONFIG, name_of)


@given(records, st.data())
def test_a_truncated_handle_is_an_error(record: TaskRecord, data: st.DataObject) -> None:
    whole = task_state.encode(record)
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(PotFailed):
        task_state.decode_record(whole[:cut])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("pot_name", name) for name in ("", ".", "..", "/", "a/b", "x\0", "-F", "a b", "x" * 100_000, "a\nb")),
        ("id", ""),
        ("id", "x\0"),
        ("name", ""),
        ("secrets_dir", "../../etc"),
        ("secrets_dir", "/var/../../etc"),
        ("started_at_s", float("nan")),
        ("boottime_s", float("inf")),
    ],
)
def test_a_record_that_this_driver_never_wrote_is_damaged_and_not_obeyed(field: str, value: object) -> None:
    good = TaskRecord(id=CONFIG.id, name="web", alloc_id="0b8-alloc", pot_name="web_1", started_at_s=1.0, boot=BootId())
    fields = msgpack.unpackb(task_state.encode(good)) | {field: value}

    with pytest.raises(PotFailed, match="cannot read the task's handle"):
        task_state.decode_record(msgpack.packb(fields))


def test_a_handle_of_another_task_is_damaged() -> None:
    other = TaskRecord(id="other", name="web", alloc_id="a", pot_name="web_1", started_at_s=1.0, boot=BootId())

    with pytest.raises(PotFailed, match="it is of task 'other'"):
        task_state.decode(task_state.VERSION, task_state.encode(other), CONFIG, name_of)


@pytest.mark.parametrize("task_id", ["..", "a/../..", "x\0y", ""])
def test_a_pot_of_the_go_driver_has_a_plain_name(task_id: str) -> None:
    go = msgpack.packb({"ContainerName": "x"}, use_bin_type=False)
    config = TaskConfig(id=task_id, name="web", alloc_id="a")

    with pytest.raises(PotFailed, match="pot_name"):
        task_state.decode(2, go, config, lambda task_id: task_id)
