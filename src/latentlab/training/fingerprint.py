"""Provenance by meaning: a hash over the code that makes a number.

Code is followed from a few roots, name by name: each top-level definition of this package that a root reaches is part of
the fingerprint, as a syntax tree without docstrings, annotations, imports, positions, and without the name of the module
that it stands in. So a better comment, a new type, a moved function or a renamed file changes nothing, and any other change
of what is computed does. Of the modules on the way, their packages included, every statement that is executed at import and
defines nothing counts too.
"""

import ast
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import latentlab

PACKAGE = "latentlab"
# differ between versions of Python, or say nothing about what is computed
_LEFT_OUT = {"annotation", "ctx", "kind", "returns", "simple", "type_comment", "type_params"}
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@cache
def fingerprint(*roots: str) -> str:
    """Hash of all code that is reached from some definitions, 16 hexadecimal digits.

    Args:
        roots: Names of modules and, behind a colon, of what is defined there: `latentlab.training.loop:fit`; without that,
            all
            that the module defines. Modules that are imported by a computed name cannot be followed, and are roots
            themselves.

    Raises:
        LookupError: A root is not defined, or an import cannot be followed.
    """
    seen: set[tuple[str, str]] = set()
    waiting: list[tuple[str, str]] = []
    for root in roots:
        module_name, _, name = root.partition(":")
        waiting += [(module_name, each) for each in ([name] if name else _module(module_name).definitions)]
    trees: set[str] = set()
    while waiting:
        place = waiting.pop()
        if place in seen:
            continue
        seen.add(place)
        module, name = _module(place[0]), place[1]
        for package in _packages(place[0]):
            waiting.append((package, ""))
        if not name:  # what runs at import
            nodes = module.statements
        elif name in module.definitions:
            nodes = module.definitions[name]
        elif name in module.imports:  # defined elsewhere, and given on
            waiting.append(module.imports[name])
            continue
        else:
            raise LookupError(f"{place[0]} does not define {name}")
        for node in nodes:
            trees.add(repr(_tree(node, module)))
            waiting += _references(node, module, place[0])
    return hashlib.sha256("\n".join(sorted(trees)).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class _Module:
    """Top-level definitions of a module, what else it executes, and the names that it imports from this package.

    An import is a module and a name in it, the name empty for the module itself.
    """

    definitions: dict[str, list[ast.stmt]] = field(default_factory=dict)
    statements: list[ast.stmt] = field(default_factory=list)
    imports: dict[str, tuple[str, str]] = field(default_factory=dict)


@cache
def _module(name: str) -> _Module:
    path = _source(name)
    if path is None:
        raise LookupError(f"there is no module {name}")
    module = _Module()
    body = ast.parse(path.read_bytes()).body
    for node in (inner for each in body for inner in ast.walk(each)):
        if isinstance(node, ast.Import) and any(alias.name.startswith(f"{PACKAGE}.") for alias in node.names):
            raise LookupError(f"{name}: `{ast.unparse(node)}` cannot be followed: write `from ... import ...`")
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == PACKAGE:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                place = (whole, "") if _source(whole) else (node.module, alias.name)
                module.imports[alias.asname or alias.name] = place
    for statement in body:
        names = list(_defined(statement))
        for each in names:
            module.definitions.setdefault(each, []).append(statement)
        if not names and not isinstance(statement, (ast.Import, ast.ImportFrom)) and not _is_text(statement):
            module.statements.append(statement)
    return module


def _defined(statement: ast.stmt) -> Iterator[str]:
    """The names that a top-level statement defines."""
    if isinstance(statement, (*_FUNCTIONS, ast.ClassDef)):
        yield statement.name
    elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        stored = (node for target in targets for node in ast.walk(target) if isinstance(node, ast.Name))
        yield from (node.id for node in stored if isinstance(node.ctx, ast.Store))  # not the x of `x.attribute = 1`


def _references(node: ast.AST, module: _Module, own: str) -> Iterator[tuple[str, str]]:
    """What a definition refers to: names of its own module, imported ones, and attributes of imported modules.

    Types in annotations are followed, as methods of such objects may be called.
    """
    for inner in ast.walk(node):
        if (place := _attribute(inner, module)) is not None:
            yield place
        elif isinstance(inner, ast.Name) and inner.id in module.definitions:
            yield own, inner.id
        elif isinstance(inner, ast.Name) and inner.id in module.imports and module.imports[inner.id][1]:
            yield module.imports[inner.id]


def _attribute(node: Any, module: _Module) -> tuple[str, str] | None:
    """The place of `module.name`, where that is an imported module of this package; None for anything else."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        name, inner = module.imports.get(node.value.id, ("", "-"))
        if not inner:
            return name, node.attr
    return None


def _tree(node: Any, module: _Module) -> Any:
    """A syntax tree as nested lists, of what is computed alone."""
    if isinstance(node, list):
        return [_tree(each, module) for each in node if not isinstance(each, (ast.Import, ast.ImportFrom))]
    if not isinstance(node, ast.AST):
        return node
    if (place := _attribute(node, module)) is not None:  # the same as the name that is imported alone
        return ["Name", ["id", place[1]]]
    if isinstance(node, ast.Name):
        _, name = module.imports.get(node.id, ("", ""))
        return ["Name", ["id", name or node.id]]
    if isinstance(node, ast.AnnAssign) and node.value is not None:
        node = ast.Assign(targets=[node.target], value=node.value)
    fields = dict(ast.iter_fields(node))
    if isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
        fields["body"] = [each for index, each in enumerate(node.body) if index or not _is_text(each)]
    kept = {key: value for key, value in fields.items() if key not in _LEFT_OUT and value is not None and value != []}
    return [type(node).__name__, *([key, _tree(value, module)] for key, value in kept.items())]


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _packages(module: str) -> list[str]:
    """The packages that a module lies in, which are executed before it, and the module itself."""
    parts = module.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts) + 1)]


def _source(module: str) -> Path | None:
    path = Path(latentlab.__file__).parent.joinpath(*module.split(".")[1:])
    return next((file for file in (path / "__init__.py", path.with_suffix(".py")) if file.is_file()), None)
