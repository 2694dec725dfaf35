"""Runs the arithmetic of Swift files in Python: the parsed source, statement by statement, as Python's.

Numbers are as in Swift: Float is float32, Double is float, and division of integers truncates. It knows only what the
app's code uses. The grammar nests some expressions wrongly ("a / f(b)" as "(a / f)(b)"), so expressions are taken in
the order of their tokens: the precedence of operators is that of Python, which agrees on those used here.
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

TOKENS = {"&&": "and", "/": "@ divided @", "..<": "| upto |", "true": "True", "false": "False", "nil": "None"}
TYPES = ("Float", "Double", "Int", "UInt8")


def parser():
    """The parser of Swift; skips the test where it is not installed."""
    tree_sitter = pytest.importorskip("tree_sitter")
    swift = pytest.importorskip("tree_sitter_swift")
    return tree_sitter.Parser(tree_sitter.Language(swift.language()))


def run(sources: list[str], functions: set[str], structs: set[str]) -> dict[str, Any]:
    """Execute the constants, and define the functions and structs of these names.

    Returns:
        All global names, and the functions by their own names wherever they are declared.
    """
    names: dict[str, Any] = dict(RUNTIME)
    for name in ("ModelImage", "Resampling", "Classifier"):
        names[name] = SimpleNamespace()
    for source in sources:
        lines = _Translation(functions, structs).file(parser().parse(source.encode()).root_node)
        exec(compile("\n".join(lines), "swift", "exec"), names)
    return names


class _Translation:
    def __init__(self, functions: set[str], structs: set[str]) -> None:
        self._functions, self._structs = functions, structs

    def file(self, root: Any, owner: str = "") -> list[str]:
        """The lines of declarations; `owner` is the type that they are in."""
        lines: list[str] = []
        for node in root.children:
            if node.type == "property_declaration":
                name = _name(node)
                lines += [f"{name} = {self._value(node)}", *([f"{owner}.{name} = {name}"] if owner else [])]
            elif node.type == "function_declaration" and _name(node) in self._functions:
                name = _name(node)
                lines += self._function(node, [])
                lines += [f"{owner}.{name} = {name}"] if owner else []
            elif node.type == "class_declaration" and not _child(node, "struct"):
                name = _child(node, "type_identifier").text.decode()
                if name in ("ModelImage", "Resampling"):
                    lines += self.file(node.children[-1], name)
                elif name == "Classifier":
                    structs = [one for one in node.children[-1].children if one.type == "class_declaration"]
                    lines += self.file(SimpleNamespace(children=structs), name)
            elif node.type == "class_declaration" and _child(node, "type_identifier").text.decode() in self._structs:
                lines += self._struct(node)
                name = _child(node, "type_identifier").text.decode()
                lines += [f"{owner}.{name} = {name}"] if owner else []
        return lines

    def _struct(self, node: Any) -> list[str]:
        name = _child(node, "type_identifier").text.decode()
        body = node.children[-1].children
        properties = [one for one in body if one.type == "property_declaration"]
        stored = [_name(one) for one in properties if not _child(one, "computed_property")]
        computed = [one for one in properties if _child(one, "computed_property")]
        lines = [f"class {name}:", f"    def __init__(self, {', '.join(stored)}):"]
        lines += [f"        self.{one} = {one}" for one in stored]
        known = [f"{one} = self.{one}" for one in stored]
        for one in computed:
            lines += ["    @property", f"    def {_name(one)}(self):", *_indented(known, 2)]
            lines += _indented(self._block(_child(one, "computed_property")), 2)
            known.append(f"{_name(one)} = self.{_name(one)}")
        for one in body:
            if one.type == "function_declaration":
                lines += _indented(self._function(one, known), 1)
        return lines

    def _function(self, node: Any, known: list[str]) -> list[str]:
        """`known` gives the names of a struct's properties to a method."""
        parameters = [
            [part.text.decode() for part in one.children if part.type == "simple_identifier"][-1]
            for one in node.children
            if one.type == "parameter"
        ]
        if known:
            parameters.insert(0, "self")
        lines = [f"def {_name(node)}({', '.join(parameters)}):", *_indented(known, 1)]
        return lines + _indented(self._block(_child(node, "function_body")), 1)

    def _block(self, node: Any) -> list[str]:
        """A body in braces; one that is an expression alone returns it."""
        statements = _child(node, "statements").children
        statements = [one for one in statements if one.type != "comment"]
        if len(statements) == 1 and statements[0].type not in STATEMENTS:
            return [f"return {self._expression(statements[0])}"]
        return [line for one in statements for line in self._statement(one)]

    def _statement(self, node: Any) -> list[str]:
        match node.type:
            case "comment":
                return []
            case "property_declaration":
                return [f"{_name(node)} = {self._value(node)}"]
            case "assignment":
                target, operator, value = (self._expression(one) for one in node.children)
                if operator == "/=":
                    return [f"{target} = {target} @ divided @ ({value})"]
                return [f"{target} {operator} {value}"]
            case "control_transfer_statement":
                return [f"return {self._joined(node.children[1:])}"]
            case "for_statement":
                loop = _child(node, "pattern")
                start = [one.type for one in node.children].index("in")
                end = [one.type for one in node.children].index("{")
                head = f"for {self._expression(loop)} in {self._joined(node.children[start + 1 : end])}:"
                return [head, *_indented(self._statements(_child(node, "statements")), 1)]
            case "if_statement":
                return self._if(node)
        raise NotImplementedError(f"{node.type}: {node.text.decode()}")

    def _statements(self, node: Any) -> list[str]:
        return [line for one in node.children for line in self._statement(one)]

    def _if(self, node: Any) -> list[str]:
        children = [one for one in node.children if one.type != "comment"]
        end = [one.type for one in children].index("{")
        if children[1].type == "value_binding_pattern":  # if let name = name
            condition = f"{self._joined(children[4:end])} is not None"
            assert children[2].text == children[4].text
        else:
            condition = self._joined(children[1:end])
        blocks = [one for one in children if one.type == "statements"]
        lines = [f"if {condition}:", *_indented(self._statements(blocks[0]), 1)]
        if any(one.type == "else" for one in children):
            nested = _child(node, "if_statement")
            otherwise = self._if(nested) if nested else self._statements(blocks[1])
            lines += ["else:", *_indented(otherwise, 1)]
        return lines

    def _value(self, node: Any) -> str:
        """The initial value of a property, in its type."""
        start = [one.type for one in node.children].index("=")
        value = self._joined(node.children[start + 1 :])
        annotation = _child(node, "type_annotation")
        kind = annotation.text.decode().lstrip(": ") if annotation else ""
        return f"typed({kind!r}, {value})" if kind else value

    def _joined(self, nodes: Any) -> str:
        return " ".join(self._expression(node) for node in nodes)

    def _expression(self, node: Any) -> str:
        match node.type:
            case "comment":
                return ""
            case "ternary_expression":
                condition, _, one, _, other = (f"({self._expression(each)})" for each in node.children)
                return f"({one} if {condition} else {other})"
            case "nil_coalescing_expression":
                one, _, other = node.children
                return f"either({self._expression(one)}, lambda: {self._expression(other)})"
            case "lambda_literal":
                body = self._expression(_child(node, "statements"))
                return f"(lambda _0{', _1' if '_1' in body else ''}: {body})"
            case "call_suffix" if node.children[0].type == "lambda_literal":
                return f"({self._expression(node.children[0])})"
            case "value_argument" if (label := _child(node, "value_argument_label")) is not None:
                return f"{label.text.decode()}={self._joined(node.children[2:])}"
            case "value_argument" if node.text == b"+":
                return "None"
            case "navigation_suffix" if node.children[1].text == b"rounded":
                return "@ rounded"
            case "prefix_expression" if node.children[0].type == ".":
                return repr(node.children[1].text.decode())
            case "prefix_expression" if node.children[0].type == "bang":
                return f"not {self._joined(node.children[1:])}"
            case "array_literal" if len(node.named_children) == 1 and node.named_children[0].text.decode() in TYPES:
                return "repeated"
            case "array_literal":
                return f"Array({''.join(self._expression(one) for one in node.children)})"
            case "dictionary_literal":
                return "Dictionary()"
            case "line_string_literal":
                return repr(_child(node, "line_str_text").text.decode())
            case "simple_identifier":
                return node.text.decode().replace("$", "_")
        if not node.children:
            token = node.text.decode()
            return TOKENS.get(token, token)
        separator = "" if node.type in ("navigation_expression", "navigation_suffix") else " "
        return separator.join(self._expression(one) for one in node.children)


STATEMENTS = ("property_declaration", "assignment", "control_transfer_statement", "for_statement", "if_statement")


def _child(node: Any, kind: str) -> Any:
    return next((one for one in node.children if one.type == kind), None)


def _name(node: Any) -> str:
    return (_child(node, "simple_identifier") or _child(node, "pattern")).text.decode()


def _indented(lines: list[str], levels: int) -> list[str]:
    return ["    " * levels + line for line in lines]


class Infix:
    """A function between its arguments: `a @ divided @ b` binds as `a * b` does; `a | upto | b` less than `a + b`."""

    __array_ufunc__ = None

    def __init__(self, function: Callable[[Any, Any], Any]):
        self._function = function

    def __rmatmul__(self, left: Any) -> "Applied":
        return Applied(lambda right: self._function(left, right))

    __ror__ = __rmatmul__


class Applied:
    """A function of what follows it."""

    def __init__(self, function: Callable[[Any], Any]):
        self._function = function

    def __matmul__(self, right: Any) -> Any:
        return self._function(right)

    __or__ = __matmul__


class Postfix:
    """A method of what is before it."""

    __array_ufunc__ = None

    def __init__(self, function: Callable[[Any], Any]):
        self._function = function

    def __rmatmul__(self, left: Any) -> Any:
        return self._function(left)


class Array(list):
    """An array of Swift."""

    @property
    def count(self) -> int:  # type: ignore[override]
        return len(self)

    @property
    def indices(self) -> "Array":
        return Array(range(len(self)))

    def contains(self, value: Any) -> bool:
        return value in self

    def map(self, function: Callable[[Any], Any]) -> "Array":
        return Array(map(function, self))

    def filter(self, function: Callable[[Any], bool]) -> "Array":
        return Array(filter(function, self))

    def prefix(self, count: int) -> "Array":
        return Array(self[:count])

    def max(self) -> Any:
        return max(self, default=None)

    def reduce(self, start: Any, _: Any) -> Any:
        for value in self:
            start = value + start
        return start


class Dictionary(dict):
    def __missing__(self, key: Any) -> None:
        return None


def _divided(one: Any, other: Any) -> Any:
    is_integer = isinstance(one, int) and isinstance(other, int)
    return int(one / other) if is_integer else one / other


def _rounded(rule: str) -> Postfix:
    return Postfix({"toNearestOrEven": np.rint, "down": np.floor, "up": np.ceil}[rule])


def _typed(kind: str, value: Any) -> Any:
    convert: dict[str, Callable[[Any], Any]] = {"Float": np.float32, "Double": float}
    if kind in convert:
        return convert[kind](value)
    element = kind.strip("[]?")
    return Array(map(convert[element], value)) if kind.startswith("[") and element in convert else value


RUNTIME: dict[str, Any] = {
    "Array": Array,
    "Dictionary": Dictionary,
    "Double": float,
    "Float": np.float32,
    "Int": int,
    "divided": Infix(_divided),
    "either": lambda value, other: other() if value is None else value,
    "exp": np.exp,
    "repeated": lambda repeating, count: Array([np.float32(repeating)] * count),
    "rounded": _rounded,
    "typed": _typed,
    "upto": Infix(lambda start, end: Array(range(start, end))),
}
