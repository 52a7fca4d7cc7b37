"""The name of a pot: the Go driver's scheme, in letters that everything below pot takes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pot_driver.errors import ConfigError
from pot_driver.pot.layout import image_pot
from pot_driver.spec.names import parts, pot_name

ALLOC = "0f8e1d2c-0000-4000-8000-00000000aa01"
FILLED = st.text(min_size=1)


@given(FILLED, FILLED, FILLED)
def test_any_task_has_a_name_that_zfs_jails_and_pot_take(task_id, alloc_id, name):
    result = pot_name(task_id, alloc_id, name)

    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]*", result)
    assert not result.isdecimal()
    assert len(result) <= 140


@given(FILLED, FILLED, FILLED)
def test_prepare_makes_the_very_name_from_its_two_parts(task_id, alloc_id, name):
    task, suffix = parts(task_id, alloc_id, name)

    made = f"{task}_{suffix}".replace(".", "_")

    assert made == pot_name(task_id, alloc_id, name)


def test_the_name_is_the_one_the_go_driver_gave():
    assert pot_name(f"{ALLOC}/web/1a2b3c4d", ALLOC, "web") == f"web_1a2b3c4d_{ALLOC}"


@given(FILLED)
def test_another_start_has_another_name(name):
    first = pot_name(f"{ALLOC}/{name}/00000001", ALLOC, name)
    second = pot_name(f"{ALLOC}/{name}/00000002", ALLOC, name)

    assert first != second


@pytest.mark.parametrize(("task_id", "alloc_id", "name"), [("", ALLOC, "web"), ("x", "", "web"), ("x", ALLOC, "")])
def test_a_task_without_an_identity_is_refused(task_id, alloc_id, name):
    with pytest.raises(ConfigError):
        pot_name(task_id, alloc_id, name)


def test_an_imported_image_has_no_dots_in_its_name():
    assert image_pot("nginx-nomad-amd64-14_1", "1.1.13") == "nginx-nomad-amd64-14_1_1_1_13"
