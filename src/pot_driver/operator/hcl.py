"""HCL text → blocks and values, with the part of HCL's expressions that job files use.

Literals, lists, objects, templates, `var.x`, `local.x` and a few functions are evaluated; references that only
the Nomad client knows (`${NOMAD_PORT_http}`, `${attr.…}`) stay as text; all else is refused by name.
The parser is python-hcl2 (the extra `hcl`).

Not here: the functions (see `hclfunctions`), what a job is (see `hcljob`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, cast

from pot_driver.errors import ConfigError
from pot_driver.operator.hclfunctions import FUNCTIONS, text_of

if TYPE_CHECKING:
    from pathlib import Path

    from lark import Token, Tree

    Node = Tree[Token] | Token

_ESCAPE = re.compile(r'\\(?:([nrt"\\])|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8}))')
_KEYWORDS = {"true": True, "false": False, "null": None}
_KIND_WORDS = {"binary_op": "operators", "for_tuple_expr": "for", "for_object_expr": "for"}
_SIMPLE = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
_HEREDOC = re.compile(r"<<(-?)([^\n]+?)\r?\n(.*?)[ \t]*\2\r?\n?\Z", re.DOTALL)
_HEREDOC_PART = re.compile(r"\$\$\{|%%\{|%\{|\$\{([^}]*)\}")
_SCOPED = re.compile(r"\s*(var|local)\.([A-Za-z0-9_-]+)\s*")
_AS_JSON = "JSON works: nomad job run -output JOB > job.json"
_EXTRA_MISSING = f"HCL files need another package (pip install 'python-hcl2>=8'); {_AS_JSON}"


@dataclass(frozen=True, slots=True)
class Block:
    """`type "label" … { body }`."""

    type: str
    labels: tuple[str, ...]
    body: Body


@dataclass(slots=True)
class Body:
    """What stands between two braces. `objects`: attributes written as `name = { … }`."""

    attributes: dict[str, object] = field(default_factory=dict)
    objects: set[str] = field(default_factory=set)
    blocks: list[Block] = field(default_factory=list)

    def each(self, type_: str) -> Iterator[Block]:
        """The blocks of one type, in order."""
        return (block for block in self.blocks if block.type == type_)


def parse(text: str, variables: Mapping[str, str], values: Mapping[str, object] | None = None) -> Body:
    """Read a file. ConfigError tells what is not understood, and where.

    `variables` are the `-var` values, `values` those of variables files.
    """
    return _Evaluator(variables, values or {}).file(_tree(text))


def assigned(files: Iterable[Path]) -> dict[str, object]:
    """The values in variables files, the later ones winning."""
    found: dict[str, object] = {}
    for path in files:
        try:
            attributes = _attributes(_tree(path.read_text(encoding="utf-8")))
            found |= {name: _Evaluator({}, {}).value(node) for name, node in attributes.items()}
        except (OSError, UnicodeDecodeError) as why:
            raise ConfigError([f"cannot read the variables {path}: {why}"]) from why
        except ConfigError as error:
            raise ConfigError([f"variables file {path}: {problem}" for problem in error.problems]) from error
    return found


def _tree(text: str) -> Tree[Token]:
    try:
        import hcl2  # noqa: PLC0415 - an extra, and slow to import
        from lark.exceptions import UnexpectedInput  # noqa: PLC0415
    except ImportError as missing:
        raise ConfigError([_EXTRA_MISSING]) from missing
    try:
        return cast("Tree[Token]", hcl2.parses_to_tree(text).children[0])
    except UnexpectedInput as error:
        line = "".join(text.splitlines()[error.line - 1 : error.line]).strip()
        raise ConfigError([f"line {error.line}: not HCL: {line or 'the file ends within a block'}"]) from error


class _Evaluator:
    def __init__(self, variables: Mapping[str, str], values: Mapping[str, object]) -> None:
        self._given = {**_of_environment(), **variables}
        self._must_be_declared = {*variables, *values}
        self._values = {name: value for name, value in values.items() if name not in variables}
        self._scopes: dict[str, dict[str, object]] = {"var": {}, "local": {}}
        self._locals: dict[str, Node] = {}  # those that nobody has asked for yet

    def file(self, body: Tree[Token]) -> Body:
        """Variables first, then locals, then the rest, in whatever order they stand."""
        late = []
        for tree in _trees(body, "block"):
            kind = _word(tree.children[0])
            if kind == "variable":
                self._declare(tree)
            elif kind == "locals":
                self._locals |= _attributes(next(_trees(tree, "body")))
            else:
                late.append(tree)
        if unknown := self._must_be_declared - set(self._scopes["var"]):
            raise ConfigError([f"undeclared variable: {name}" for name in sorted(unknown)])
        for name in list(self._locals):
            self._lookup("local", name)
        return Body(blocks=[self._block(tree) for tree in late])

    def _declare(self, tree: Tree[Token]) -> None:
        name = self._labels(tree)[0]
        attributes = _attributes(next(_trees(tree, "body")))
        if name in self._values:
            self._scopes["var"][name] = self._values[name]
        elif name in self._given:
            self._scopes["var"][name] = self._typed(name, attributes.get("type"))
        elif "default" in attributes:
            self._scopes["var"][name] = self.value(attributes["default"])
        else:
            raise ConfigError([f"unset variable: {name}; give it with --var {name}=VALUE"])

    def _typed(self, name: str, type_: Node | None) -> object:
        """A given value is text where the variable is a string, else an expression."""
        text = self._given[name]
        words = "".join(_source(type_)) if type_ else "string"
        if words in {"string", "any"}:
            return text
        try:
            return self.value(_attributes(_tree(f"x = {text}\n"))["x"])
        except ConfigError as error:
            raise ConfigError([f"variable {name}: {text} is not a {words}"]) from error

    def _labels(self, tree: Tree[Token]) -> tuple[str, ...]:
        children = tree.children[1:]
        labels = [c for c in children if getattr(c, "data", "") in {"string", "identifier"}]
        return tuple(text_of(self.value(c)) if _kind(c) == "string" else _word(c) for c in labels)

    def _block(self, tree: Tree[Token]) -> Block:
        kind = _word(tree.children[0])
        if kind == "dynamic":
            raise _refused(tree, "dynamic blocks")
        body = Body()
        inner = next(_trees(tree, "body"))
        for name, expression in _attributes(inner).items():
            body.attributes[name] = self.value(expression)
            if _kind(_unwrapped(expression)) == "object":
                body.objects.add(name)
        body.blocks.extend(self._block(block) for block in _trees(inner, "block"))
        return Block(kind, self._labels(tree), body)

    def value(self, node: Node) -> object:
        """The value of an expression."""
        node = _unwrapped(node)
        kinds: Mapping[str, Callable[[Node], object]] = {
            "string": self._string,
            "int_lit": lambda node: int(_word(node)),
            "float_lit": lambda node: Decimal(_word(node)),
            "literal_value": lambda node: _KEYWORDS[_word(node)],
            "tuple": lambda node: [self.value(item) for item in _values(node)],
            "object": lambda node: dict(map(self._element, _trees(node, "object_elem"))),
            "heredoc_template": lambda node: self._heredoc(_word(node)),
            "heredoc_template_trim": lambda node: self._heredoc(_word(node)),
            "identifier": self._reference,
            "get_attr_expr_term": self._reference,
            "index_expr_term": self._reference,
            "function_call": self._call,
            "unary_op": self._unary,
        }
        kind = _kind(node)
        if kind not in kinds:
            raise _refused(node, _KIND_WORDS.get(kind, f"{kind.replace('_', ' ')}s"))
        return kinds[kind](node)

    def _unary(self, node: Node) -> object:
        operator, operand = _values(node)
        if str(operator) != "-":
            raise _refused(node, "the operator !")
        return -cast("int | Decimal", self.value(operand))

    def _element(self, tree: Tree[Token]) -> tuple[str, object]:
        key, value = next(_trees(tree, "object_elem_key")).children[0], tree.children[-1]
        inner = _unwrapped(key)
        name = _word(inner) if _kind(inner) in {"identifier", "keyword"} else self.value(inner)
        return text_of(name), self.value(value)

    def _string(self, node: Node) -> object:
        parts = [part.children[0] for part in _trees(node, "string_part")]
        if len(parts) == 1 and _kind(parts[0]) == "interpolation":
            return self._interpolated(parts[0])  # "${var.x}" alone keeps the type of x
        return "".join(
            text_of(self._interpolated(part)) if _kind(part) == "interpolation" else _literal(part) for part in parts
        )

    def _interpolated(self, node: Node) -> object:
        return self.value(next(iter(_values(node))))

    def _heredoc(self, text: str) -> str:
        match = _HEREDOC.match(text)
        if not match:
            raise ConfigError([f"not understood: {text.splitlines()[0]}"])
        content = match[3]
        if match[1]:
            lines = content.splitlines(keepends=True)
            indents = [len(line) - len(line.lstrip(" \t")) for line in lines if line.strip()]
            content = "".join(line[min(indents, default=0) :] or "\n" for line in lines)

        def part(found: re.Match[str]) -> str:
            if found[0] in {"$${", "%%{"}:
                return found[0][1:]
            if found[0] == "%{":
                raise ConfigError(["template directives (%{ … }) are not supported here"])
            scoped = _SCOPED.fullmatch(found[1])
            return text_of(self._lookup(scoped[1], scoped[2])) if scoped else found[0]

        return _HEREDOC_PART.sub(part, content)

    def _reference(self, node: Node) -> object:
        text = "".join(_source(node))
        if scoped := _SCOPED.fullmatch(text):
            return self._lookup(scoped[1], scoped[2])
        return "${" + text + "}"

    def _lookup(self, scope: str, name: str) -> object:
        if scope == "local" and name in self._locals:
            self._scopes["local"][name] = self.value(self._locals.pop(name))
        if name not in self._scopes[scope]:
            raise ConfigError([f"there is no {scope}.{name}"])
        return self._scopes[scope][name]

    def _call(self, node: Node) -> object:
        name = _word(cast("Tree[Token]", node).children[0])
        if name not in FUNCTIONS:
            known = ", ".join(sorted(FUNCTIONS))
            raise _refused(node, f"the function {name} (known are {known})")
        arguments = [self.value(item) for tree in _trees(node, "arguments") for item in _values(tree)]
        try:
            return FUNCTIONS[name](*arguments)
        except (TypeError, AttributeError, ValueError) as why:
            raise ConfigError([f"line {_line(node)}: {name}: {why}"]) from why


def _of_environment() -> dict[str, str]:
    """What NOMAD_VAR_NAME=VALUE says."""
    prefix = "NOMAD_VAR_"
    return {name.removeprefix(prefix): value for name, value in os.environ.items() if name.startswith(prefix)}


def _kind(node: Node) -> str:
    return str(getattr(node, "data", "token"))


def _trees(node: Node, kind: str) -> Iterator[Tree[Token]]:
    children = cast("Tree[Token]", node).children
    return (cast("Tree[Token]", child) for child in children if _kind(child) == kind)


def _attributes(body: Tree[Token]) -> dict[str, Node]:
    """Expressions by name."""
    found: dict[str, Node] = {}
    for attribute in _trees(body, "attribute"):
        name = _word(attribute.children[0])
        if name in found:
            raise ConfigError([f"line {_line(attribute)}: {name} is set twice"])
        found[name] = attribute.children[-1]
    return found


def _values(node: Node) -> Iterator[Node]:
    """The children that are expressions: neither punctuation nor comments."""
    punctuation = {"LSQB", "RSQB", "LPAR", "RPAR", "COMMA", "INTERP_START", "RBRACE", "ELLIPSIS"}
    for child in cast("Tree[Token]", node).children:
        if _kind(child) != "new_line_or_comment" and getattr(child, "type", "") not in punctuation:
            yield child


def _unwrapped(node: Node) -> Node:
    """Through `expr_term` and parentheses to what is inside."""
    while _kind(node) == "expr_term":
        node = next(iter(_values(node)))
    return node


def _word(node: Node) -> str:
    return str(node if _kind(node) == "token" else cast("Tree[Token]", node).children[0])


def _source(node: Node) -> Iterator[str]:
    """The text of a reference, as written."""
    if _kind(node) == "token":
        yield str(node)
    elif _kind(node) != "new_line_or_comment":
        for child in cast("Tree[Token]", node).children:
            yield from _source(child)


def _literal(token: Node) -> str:
    text = str(token)
    if text.startswith(("$${", "%%{")):
        return text[1:]
    return _ESCAPE.sub(lambda m: _SIMPLE[m[1]] if m[1] else chr(int(m[2] or m[3], 16)), text)


def _line(node: Node) -> int:
    while _kind(node) != "token":
        node = cast("Tree[Token]", node).children[0]
    return cast("Token", node).line or 0


def _refused(node: Node, what: str) -> ConfigError:
    return ConfigError([f"line {_line(node)}: {what} cannot be evaluated without Nomad; {_AS_JSON}"])
