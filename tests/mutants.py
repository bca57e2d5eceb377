"""The ways to break a module in one place: see `mutation.py`."""

import ast
import contextlib
from collections.abc import Iterator
from types import CodeType
from typing import NamedTuple

SILENT = {"print", "tqdm", "warn"}  # calls whose arguments are for people
UNSEEN = {"annotation", "returns", "exc"}  # parts of a node that are for people
SWAPS: dict[type, list[type]] = {
    ast.Lt: [ast.LtE, ast.GtE],
    ast.LtE: [ast.Lt, ast.Gt],
    ast.Gt: [ast.GtE, ast.LtE],
    ast.GtE: [ast.Gt, ast.Lt],
    ast.Eq: [ast.NotEq],
    ast.NotEq: [ast.Eq],
    ast.Is: [ast.IsNot],
    ast.IsNot: [ast.Is],
    ast.In: [ast.NotIn],
    ast.NotIn: [ast.In],
    ast.Add: [ast.Sub],
    ast.Sub: [ast.Add],
    ast.Mult: [ast.Div],
    ast.Div: [ast.Mult],
    ast.FloorDiv: [ast.Mult],
    ast.Mod: [ast.Mult],
    ast.Pow: [ast.Mult],
    ast.BitAnd: [ast.BitOr],
    ast.BitOr: [ast.BitAnd],
    ast.And: [ast.Or],
    ast.Or: [ast.And],
}


class Mutant(NamedTuple):
    line: int
    function: int  # first line of the function or method that it is in; 0 outside of any
    text: str  # of that line
    change: str
    code: CodeType


def called(node: ast.AST) -> str:
    """Name of the function that an expression or a statement calls, or an empty string."""
    node = node.value if isinstance(node, ast.Expr) else node
    function = node.func if isinstance(node, ast.Call) else None
    return getattr(function, "id", getattr(function, "attr", ""))


def places(parent: ast.AST) -> Iterator[tuple[ast.AST, str, list, int]]:
    """Every node below `parent` that is not only for people: its parent, field, the list that holds it, and where."""
    for field, value in ast.iter_fields(parent):
        held = value if isinstance(value, list) else [value]
        for i, node in enumerate(held):
            text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            text |= isinstance(node, ast.JoinedStr) or field in UNSEEN or called(node) in SILENT
            text |= isinstance(node, ast.keyword) and node.arg == "strict"  # of zip: an assertion
            if isinstance(node, ast.AST) and not text:
                yield parent, field, held, i
                yield from places(node)


def replacements(node: ast.AST, field: str) -> Iterator[ast.AST | None]:
    """What may stand in the place of `node`; None deletes it."""
    if type(node) in SWAPS:
        yield from (swap() for swap in SWAPS[type(node)])
    elif isinstance(node, ast.Constant):
        if isinstance(node.value, bool):
            yield ast.Constant(not node.value)
        elif isinstance(node.value, int | float):
            yield ast.Constant(node.value * 2 if isinstance(node.value, float) and node.value else node.value + 1)
        elif isinstance(node.value, str) and node.value:
            yield ast.Constant("")
    elif isinstance(node, ast.UnaryOp) and not isinstance(node.operand, ast.Constant):  # -1 becomes -2, not 1
        yield node.operand
    elif isinstance(node, ast.Return) and node.value and getattr(node.value, "value", 0) is not None:
        yield ast.Return(ast.Constant(None))
    elif isinstance(node, ast.keyword):
        yield None
    elif isinstance(node, ast.Raise) or (isinstance(node, ast.Expr) and called(node)):
        yield ast.Pass()
    elif isinstance(node, ast.Assign | ast.AugAssign):
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        if isinstance(target, ast.Attribute | ast.Subscript):
            yield ast.Pass()
    if field in ("test", "ifs") and not isinstance(node, ast.Constant):
        yield from (ast.Constant(True), ast.Constant(False))
        if not isinstance(node, ast.Compare | ast.UnaryOp):
            yield ast.UnaryOp(ast.Not(), node)


def mutants(source: str, path: str) -> list[Mutant]:
    """All mutants of a module, compiled, in the order of their lines."""
    tree, lines, found = ast.parse(source), source.splitlines(), []
    spans = [(_first_line(node), node.end_lineno) for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    for parent, field, held, i in list(places(tree)):
        node, several = held[i], isinstance(getattr(parent, field), list)
        shown = node if isinstance(node, ast.expr | ast.stmt) else parent  # an operator with its operands
        before = ast.unparse(shown)
        for new in list(replacements(node, field)):
            if several:
                held[i : i + 1] = [new] if new else []
            else:
                setattr(parent, field, new)
            after = ast.unparse((new or parent) if shown is node else parent)
            for part in ast.walk(new) if new else ():
                if part is not node:
                    ast.copy_location(part, shown)
            with contextlib.suppress(SyntaxError):
                code = compile(ast.fix_missing_locations(tree), path, "exec")
                change = " ".join(f"{before} -> {after}".split())
                function = min((a for a, b in spans if a <= shown.lineno <= b), default=0)
                found.append(Mutant(shown.lineno, function, lines[shown.lineno - 1].strip(), change, code))
            if several:
                held[i : i + (new is not None)] = [node]
            else:
                setattr(parent, field, node)
    return sorted(found, key=lambda mutant: mutant.line)


def _first_line(function: ast.FunctionDef) -> int:
    return min([function.lineno, *(decorator.lineno for decorator in function.decorator_list)])
