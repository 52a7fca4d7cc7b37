"""Templates without servers: text, and the environment."""

from __future__ import annotations

from pot_driver.operator.job import Template
from pot_driver.operator.template import environment, render, unknown_actions


def test_only_env_is_known() -> None:
    text = '{{ env "A" }} {{- env "B" -}} {{ key "c" }} {{ range services }}'

    assert unknown_actions(text) == ['{{ key "c" }}', "{{ range services }}"]


def test_env_is_rendered_and_what_is_unset_is_empty() -> None:
    assert render(Template(data='<{{ env "A" }}|{{ env "B" }}>', destination="x"), {"A": "1"}) == "<1|>"


def test_an_env_file_is_read_as_nomad_does() -> None:
    data = '# a comment\n\nexport A=1\nB = two words \nC=\'single # $x\'\nD="double \\" quote"\nE=a=b\nnonsense\n'

    assert environment([Template(data=data, destination="x", env=True)], {}) == {
        "A": "1",
        "B": "two words",
        "C": "single # $x",
        "D": 'double " quote',
        "E": "a=b",
    }


def test_other_templates_add_nothing_to_the_environment() -> None:
    assert environment([Template(data="A=1", destination="x")], {}) == {}
