"""HCL text becomes values; what needs Nomad is refused by name."""

from __future__ import annotations

import sys
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from pot_driver.errors import ConfigError
from pot_driver.operator import hcl

if TYPE_CHECKING:
    from collections.abc import Mapping


def value_of(expression: str, declarations: str = "", variables: Mapping[str, str] | None = None) -> object:
    body = hcl.parse(f"{declarations}\nthing {{\n  x = {expression}\n}}\n", variables or {})
    return body.blocks[0].body.attributes["x"]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("1", 1),
        ("-3", -3),
        ("1.5", Decimal("1.5")),
        ("true", True),
        ("null", None),
        ('"plain"', "plain"),
        ('""', ""),
        (r'"a\n\t\"\\ \u00e9"', 'a\n\t"\\ é'),
        ('"\'daemon off;\'"', "'daemon off;'"),
        ('["a", 1, [true],]', ["a", 1, [True]]),
        ("[]", []),
        ('{ a = "1", "b c" = 2 }', {"a": "1", "b c": 2}),
        ("{\n a = 1\n b = 2 # why\n}", {"a": 1, "b": 2}),
        ('"$${literal} %%{too}"', "${literal} %{too}"),
        ('"${NOMAD_PORT_http}"', "${NOMAD_PORT_http}"),
        ('"at ${attr.unique.hostname}:${NOMAD_PORT_http}"', "at ${attr.unique.hostname}:${NOMAD_PORT_http}"),
        ('"${env["HOME"]}"', '${env["HOME"]}'),
        ("node.datacenter", "${node.datacenter}"),
        ('upper("abc")', "ABC"),
        ('format("%s-%v-%02d-%.1f%%", true, 1.50, 7, 2.25)', "true-1.5-07-2.2%"),
        ('join("-", ["a", 1, true])', "a-1-true"),
        ('concat(["a"], ["b", "c"])', ["a", "b", "c"]),
        ("merge({ a = 1 }, { a = 2, b = 3 })", {"a": 2, "b": 3}),
        ('jsonencode({ a = [1, "x"] })', '{"a":[1,"x"]}'),
        ('("in parentheses")', "in parentheses"),
    ],
)  # fmt: skip
def test_an_expression_has_its_value(expression: str, value: object) -> None:
    assert value_of(expression) == value


def test_variables_and_locals_are_known_wherever_they_stand() -> None:
    declarations = 'locals {\n a = "${local.b}-${var.port}"\n b = "h"\n}\nvariable "port" { default = 80 }'

    assert value_of('"${local.a}:${var.port}"', declarations) == "h-80:80"
    assert value_of("var.port", declarations, {"port": "81"}) == "81"
    with pytest.raises(ConfigError, match=r"there is no local\.a"):
        value_of("1", "locals { a = local.a }")


@pytest.mark.parametrize(
    ("type_", "given", "value"),
    [("string", "80", "80"), ("number", "80", 80), ("bool", "true", True), ("list(string)", '["a", "b"]', ["a", "b"])],
)  # fmt: skip
def test_a_value_from_the_command_line_has_the_variables_type(type_: str, given: str, value: object) -> None:
    assert value_of("var.x", f'variable "x" {{ type = {type_} }}', {"x": given}) == value


def test_a_value_from_the_command_line_that_is_no_expression_is_named() -> None:
    with pytest.raises(ConfigError, match=r"variable x: \[a is not a list\(string\)"):
        value_of("var.x", 'variable "x" { type = list(string) }', {"x": "[a"})


def test_a_variable_without_a_value_is_named() -> None:
    with pytest.raises(ConfigError, match=r"unset variable: x; give it with --var x=VALUE"):
        hcl.parse('variable "x" { type = string }', {})


def test_a_value_for_no_variable_is_named() -> None:
    with pytest.raises(ConfigError, match="undeclared variable: prot"):
        hcl.parse('variable "port" { default = 1 }', {"prot": "2"})


def test_a_heredoc_keeps_its_lines_and_its_runtime_references() -> None:
    text = '<<EOT\n  one ${NOMAD_TASK_DIR} {{ env "A" }} \\n $${x}\n\ttwo\nEOT'

    assert value_of(text) == '  one ${NOMAD_TASK_DIR} {{ env "A" }} \\n ${x}\n\ttwo\n'


def test_an_indented_heredoc_loses_the_common_indentation() -> None:
    text = "<<-EOT\n    one\n      two ${var.n}\n\n    three\n    EOT"

    assert value_of(text, 'variable "n" { default = 2 }') == "one\n  two 2\n\nthree\n"


@pytest.mark.parametrize(
    ("expression", "refused"),
    [
        ("1 + 2", "operators"),
        ("!true", "the operator !"),
        ("true ? 1 : 2", "conditional"),
        ("[for x in [1] : x]", "for"),
        ('file("/etc/passwd")', "the function file"),
        ("uuidv4()", "the function uuidv4"),
        ('format("%s")', "format: nothing to write for %s"),
    ],
)  # fmt: skip
def test_what_cannot_be_evaluated_is_refused_by_name_and_line(expression: str, refused: str) -> None:
    with pytest.raises(ConfigError, match=f"line 3: {refused}"):
        value_of(expression)


def test_dynamic_blocks_are_refused() -> None:
    with pytest.raises(ConfigError, match="dynamic blocks"):
        hcl.parse('job "x" {\n dynamic "group" {\n for_each = []\n }\n}', {})


def test_an_attribute_set_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match="line 3: a is set twice"):
        hcl.parse("b {\n a = 1\n a = 2\n}", {})


def test_what_is_not_hcl_is_told_with_its_line() -> None:
    with pytest.raises(ConfigError, match=r"line 2: not HCL: a = = 2"):
        hcl.parse("b {\n a = = 2\n}", {})
    with pytest.raises(ConfigError, match="line 2: not HCL: the file ends within a block"):
        hcl.parse("b {\n", {})


def test_a_missing_extra_is_told_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hcl2", None)

    with pytest.raises(ConfigError, match=r"python-hcl2.*nomad job run -output"):
        hcl.parse("", {})
