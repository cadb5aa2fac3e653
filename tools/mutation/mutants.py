"""Small mistakes that somebody could make in a module: one is made at a time, and a test should notice each.

What is left alone cannot be seen by a test, or is no rule: annotations, docstrings, sentences for people, assertions,
and what a class says of its own form.
"""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult, ast.Div: ast.Mult,
    ast.Mod: ast.FloorDiv, ast.LShift: ast.RShift, ast.RShift: ast.LShift, ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd, ast.BitXor: ast.BitAnd,
}  # fmt: skip
FUNCTIONS = {"min": "max", "max": "min", "any": "all", "all": "any"}

# Whatever stands inside these says what type something is.
TYPES = frozenset({"Literal", "Annotated", "Callable", "NewType", "TypeVar", "cast"})


# Parts of a function or class that say of what form it is.
FORM = frozenset({"annotation", "returns", "decorator_list", "type_params", "bases"})


class Mutant(NamedTuple):
    """A module with one mistake in it, and which: in words, in which function (None: outside all), at which line.

    ``place`` and ``change`` count the nodes of the module, and what is done to that node.
    """

    path: Path
    line: int
    function: str | None
    words: str
    place: int
    change: int

    def tree(self) -> ast.Module:
        """Return the module with the mistake in it. Thousands of them at once would be much to remember."""
        tree = ast.parse(self.path.read_text())
        target, _, replace = list(_places(tree, None))[self.place]
        _, change = list(_changes(target))[self.change]
        replaced = change(target)
        if replaced is not target:
            replace(replaced)
        return ast.fix_missing_locations(tree)


def mutants_of(path: Path) -> Iterator[Mutant]:
    """Yield every mistake that we know to make in a file, one at a time."""
    for place, (node, function, _) in enumerate(_places(ast.parse(path.read_text()), None)):
        line = node.target.lineno if isinstance(node, ast.comprehension) else getattr(node, "lineno", 0)
        for change, (words, _) in enumerate(_changes(node)):
            yield Mutant(path, line, function, words, place, change)


Place = tuple[ast.AST, str | None, Callable[[ast.AST], None]]
Change = tuple[str, Callable[[Any], ast.AST]]


def _places(parent: ast.AST, function: str | None) -> Iterator[Place]:
    """Yield every node that may be changed, the function it is in, and how another is put in its place."""
    for name, value in ast.iter_fields(parent):
        if name in FORM or (name == "keywords" and isinstance(parent, ast.ClassDef)):
            continue
        several = cast("list[Any]", value) if isinstance(value, list) else None
        for index, node in enumerate([value] if several is None else several):
            if not isinstance(node, ast.AST) or _is_left_alone(node, parent):
                continue

            def replace(
                other: ast.AST, name: str = name, index: int = index, several: list[Any] | None = several
            ) -> None:
                if several is None:
                    setattr(parent, name, other)
                else:
                    several[index] = other

            inside = function
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                inside = f"{function}.{node.name}" if function else node.name
            yield node, inside, replace
            yield from _places(node, inside)


def _is_left_alone(node: ast.AST, parent: ast.AST) -> bool:
    match node:
        case (
            ast.Expr(value=ast.Constant(value=str())) | ast.Assert() | ast.Import() | ast.ImportFrom() | ast.JoinedStr()
        ):
            return True
        case ast.Subscript(value=ast.Name(id=name)) | ast.Call(func=ast.Name(id=name)):
            return name in TYPES
        case ast.Constant(value=str() as text):
            # A sentence is for people, and the name of a type in quotes for the type checker.
            return " " in text or isinstance(parent, ast.Subscript)
        case _:
            return False


def _changes(node: ast.AST) -> Iterator[Change]:  # noqa: C901, PLR0912 - a table whose keys are patterns
    match node:
        case ast.Compare(ops=ops):
            for index, op in enumerate(ops):
                other = COMPARISONS[type(op)]
                yield f"{_name(op)} becomes {other.__name__}", _with_comparison(index, other)
        case ast.BoolOp(op=op):
            other = ast.Or if isinstance(op, ast.And) else ast.And
            yield f"{_name(op)} becomes {other.__name__}", lambda at: ast.BoolOp(op=other(), values=at.values)
        case ast.UnaryOp(op=ast.Not()):
            yield "not is gone", lambda at: at.operand
        case ast.UnaryOp(op=ast.USub()):
            yield "minus is gone", lambda at: at.operand
        case ast.BinOp(op=op) if type(op) in ARITHMETIC:
            other_op = ARITHMETIC[type(op)]
            yield f"{_name(op)} becomes {other_op.__name__}", _with(op=other_op())
        case ast.AugAssign(op=op) if type(op) in ARITHMETIC:
            other_op = ARITHMETIC[type(op)]
            yield f"{_name(op)} becomes {other_op.__name__}", _with(op=other_op())
        case ast.Constant(value=bool() as value):
            yield f"{value} becomes {not value}", _with(value=not value)
        case ast.Constant(value=int() | float() as number):
            yield f"{number} becomes {number + 1}", _with(value=number + 1)
        case ast.Constant(value=str() as text) if text:
            yield f"{text!r} becomes {text + '_'!r}", _with(value=text + "_")
        case ast.IfExp():
            yield "the branches change places", lambda at: ast.IfExp(test=at.test, body=at.orelse, orelse=at.body)
        case ast.If() | ast.While():
            yield "the condition is turned round", lambda at: _set(at, test=ast.UnaryOp(op=ast.Not(), operand=at.test))
        case ast.comprehension(ifs=[_, *_]):
            yield "the condition is gone", _with(ifs=[])
        case ast.Call(func=ast.Name(id=name)) if name in FUNCTIONS:
            yield (
                f"{name} becomes {FUNCTIONS[name]}",
                lambda at: _set(at, func=ast.Name(id=FUNCTIONS[name], ctx=ast.Load())),
            )
        case ast.Expr(value=ast.Call()) | ast.Raise():
            yield f"{_name(node)} is gone", lambda _: ast.Pass()
        case ast.Break():
            yield "break becomes continue", lambda _: ast.Continue()
        case ast.Continue():
            yield "continue becomes break", lambda _: ast.Break()
        case ast.Dict(keys=[_, *_]):
            yield "the first entry is gone", lambda at: ast.Dict(keys=at.keys[1:], values=at.values[1:])
            yield "the last entry is gone", lambda at: ast.Dict(keys=at.keys[:-1], values=at.values[:-1])
        case ast.Set(elts=[_, _, *_]):
            yield "the first element is gone", lambda at: ast.Set(elts=at.elts[1:])
            yield "the last element is gone", lambda at: ast.Set(elts=at.elts[:-1])
        case _:
            pass


def _with(**fields: Any) -> Callable[[Any], ast.AST]:
    return lambda at: _set(at, **fields)


def _with_comparison(index: int, other: type[ast.cmpop]) -> Callable[[Any], ast.AST]:
    return lambda at: _set(at, ops=[other() if number == index else op for number, op in enumerate(at.ops)])


def _set(node: Any, **fields: Any) -> ast.AST:
    for name, value in fields.items():
        setattr(node, name, value)
    return node


def _name(node: ast.AST) -> str:
    return type(node).__name__
