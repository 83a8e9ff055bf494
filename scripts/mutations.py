"""Small changes of a module's code, each of which some test should notice.

What is left alone tells nothing of a test's strength: docstrings, annotations, `__all__`, asserts
(which are for the type checker), and the words of errors, warnings and f-strings.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

__all__ = ["Mutation", "mutated", "mutations"]

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
_OPPOSITES = (ast.Eq, ast.NotEq, ast.Is, ast.IsNot, ast.In, ast.NotIn)


@dataclass(frozen=True)
class Mutation:
    """One change. lines: of the code that it changes, from 1. apply: makes it in the tree."""

    lines: range
    what: str
    apply: Callable[[], None]


def mutations(tree: ast.Module) -> Iterator[Mutation]:
    """Give every change of a module, in an order that its text alone decides."""
    for node in _walked(tree):
        yield from _of_operators(node)
        yield from _of_values(node)
        yield from _of_conditions(node)
        yield from _of_statements(node)


def mutated(text: str, number: int) -> ast.Module:
    """Parse a module and make its change with that number."""
    tree = ast.parse(text)
    next(islice(mutations(tree), number, None)).apply()
    return ast.fix_missing_locations(tree)


def _walked(node: ast.AST) -> Iterator[ast.AST]:
    """Give what may be changed, from above."""
    match node:
        case ast.Assert() | ast.JoinedStr():
            return
        case ast.Assign(targets=[ast.Name(id="__all__")]):
            return
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return
        case ast.Expr(value=ast.Constant()):  # a docstring, or `...`
            return
        case ast.Raise() | ast.Call(func=ast.Attribute(attr="warn")):
            yield node
            return
    yield node
    for name, value in ast.iter_fields(node):
        if name in {"annotation", "returns", "decorator_list", "type_params"}:
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _walked(child)


def _of_operators(node: ast.AST) -> Iterator[Mutation]:
    if isinstance(node, ast.Compare):
        for at, operator in enumerate(node.ops):
            if other := _COMPARISONS.get(type(operator)):
                yield _change(
                    node, f"{_name(operator)} becomes {_name(other())}", node.ops, at, other()
                )
    elif isinstance(node, ast.BinOp | ast.AugAssign):
        if new := _OPERATORS.get(type(node.op)):
            yield _change(node, f"{_name(node.op)} becomes {_name(new())}", node, "op", new())
    elif isinstance(node, ast.BoolOp):
        opposite = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield _change(node, f"{_name(node.op)} becomes {_name(opposite)}", node, "op", opposite)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield _change(node, "the minus is left out", node, "op", ast.UAdd())
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield _change(node, "the not is left out", node, "operand", _negated(node.operand))


def _of_values(node: ast.AST) -> Iterator[Mutation]:
    match node:
        case ast.Constant(value=bool(value)):
            yield _change(node, f"{value} becomes {not value}", node, "value", not value)
        case ast.Constant(value=int(value) | float(value)):
            yield _change(node, f"{value} becomes {value + 1}", node, "value", value + 1)
        case ast.Constant(value=str(value)):
            yield _change(node, f"{value!r} becomes another text", node, "value", f"X{value}")


def _of_conditions(node: ast.AST) -> Iterator[Mutation]:
    if isinstance(node, ast.If | ast.While | ast.IfExp) and not _told_elsewhere(node.test):
        yield _change(node.test, "the condition is negated", node, "test", _negated(node.test))
    elif isinstance(node, ast.comprehension):
        for at, test in enumerate(node.ifs):
            if not _told_elsewhere(test):
                yield _change(test, "the condition is negated", node.ifs, at, _negated(test))


def _of_statements(node: ast.AST) -> Iterator[Mutation]:
    match node:
        case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
            yield _change(node, "None is returned", node, "value", ast.Constant(None))
    for block in ("body", "orelse", "finalbody"):
        statements = getattr(node, block, None)
        for at, statement in enumerate(statements if isinstance(statements, list) else ()):
            match statement:
                case ast.Raise() | ast.Expr(value=ast.Call()) | ast.Continue() | ast.Break():
                    yield _change(
                        statement, "the statement is left out", statements, at, ast.Pass()
                    )


def _told_elsewhere(test: ast.expr) -> bool:
    """Whether another change of the condition is its negation."""
    if isinstance(test, ast.Compare):
        return len(test.ops) == 1 and isinstance(test.ops[0], _OPPOSITES)
    return isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)


def _change(node: ast.AST, what: str, place: object, at: str | int, new: object) -> Mutation:
    def apply() -> None:
        if isinstance(place, list):
            place[at] = new
        else:
            setattr(place, str(at), new)

    code = " ".join(ast.unparse(node).split())
    first = node.lineno  # type: ignore[attr-defined]
    last = node.end_lineno  # type: ignore[attr-defined]
    short = code if len(code) <= 100 else code[:97] + "..."
    return Mutation(range(first, last + 1), f"`{short}`: {what}", apply)


def _negated(test: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.Not(), test)


def _name(operator: ast.AST) -> str:
    return type(operator).__name__
