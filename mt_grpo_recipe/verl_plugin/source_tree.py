"""Reads the Python source of packages without importing them: where a name is defined, what a function takes, what a
class and its bases have."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

RAY_ACTOR_CLASS = "__ray_actor_class__"
"""Where `ray.remote` keeps the class it wraps."""


@dataclass(frozen=True)
class Definition:
    """A name that was found: its module, and its syntax tree (`ast.Module` for a module).

    `ast.Import` or `ast.ImportFrom`: a name from a package whose source is not read.
    """

    module: str
    node: ast.AST


class SourceTree:
    """The source of some packages.

    Args:
        label: its name in breaches, such as "verl 0.9.1".
        folder_of: package -> the folder that holds its `__init__.py`.
    """

    def __init__(self, label: str, folder_of: dict[str, Path]):
        self.label = label
        self._folder_of = folder_of
        self._modules: dict[str, ast.Module | None] = {}

    @classmethod
    def installed(cls, label: str, packages: Iterable[str]) -> SourceTree:
        """The packages as Python would import them; those that are not installed are left out."""
        specs = [importlib.util.find_spec(package) for package in packages]
        return cls(label, {spec.name: Path(spec.origin).parent for spec in specs if spec is not None and spec.origin})

    @classmethod
    def checkout(cls, folder: Path, packages: Iterable[str]) -> SourceTree:
        """The packages in this folder; those that are not there are left out."""
        return cls(str(folder), {name: folder / name for name in packages if (folder / name / "__init__.py").is_file()})

    @property
    def folders(self) -> list[Path]:
        """The folders of the packages."""
        return list(self._folder_of.values())

    def covers(self, module: str) -> bool:
        """Whether the module belongs to one of the packages, whether it exists or not."""
        return module.split(".")[0] in self._folder_of

    def find(self, module: str, dotted: str = "") -> Definition | None:
        """Follow a dotted name, such as `Class.method`, from a module, through imports and base classes.

        If a module binds a name more than once, in the branches of an `if`, say, the first one counts.
        """
        tree = self._parsed(module)
        found = None if tree is None else Definition(module, tree)
        for name in dotted.split(".") if dotted else ():
            found = None if found is None else self._member(found, name)
        return found

    def parameters(self, definition: Definition) -> set[str]:
        """Names that a function takes, or a class when it is called, `**names` too; empty for anything else."""
        node = definition.node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            arguments = node.args
            others = {f"**{arguments.kwarg.arg}"} if arguments.kwarg else set()
            return {a.arg for a in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]} | others
        if not isinstance(node, ast.ClassDef):
            return set()
        constructor = self._member(definition, "__init__")
        if constructor is not None:
            return self.parameters(constructor)
        # A dataclass or a pydantic model.
        classes = [base.node for base in self.ancestry(definition)]
        return {name for node in classes if isinstance(node, ast.ClassDef) for name in _annotated(node)}

    def attributes(self, definition: Definition) -> set[str]:
        """Names that a class, or a base of it, assigns to `self` or in its body."""
        names: set[str] = set()
        for base in self.ancestry(definition):
            if isinstance(base.node, ast.ClassDef):
                names |= {name for name, bound in _bindings(base.node.body) if isinstance(bound, ast.Name)}
                names |= {
                    node.attr
                    for node in ast.walk(base.node)
                    if isinstance(node, ast.Attribute)
                    and isinstance(node.ctx, ast.Store)
                    and isinstance(node.value, ast.Name)
                    and node.value.id == "self"
                }
        return names

    def ancestry(self, definition: Definition) -> list[Definition]:
        """A class and those of its bases whose source is here, nearest first; the definition alone if not a class."""
        found = [definition]
        if isinstance(definition.node, ast.ClassDef):
            for expression in definition.node.bases:
                generic = expression.value if isinstance(expression, ast.Subscript) else expression
                base = self.find(definition.module, ast.unparse(generic))
                found += [] if base is None else [one for one in self.ancestry(base) if one not in found]
        return found

    def _member(self, owner: Definition, name: str) -> Definition | None:
        if isinstance(owner.node, ast.Module):
            return self._in_module(owner, name)
        if not isinstance(owner.node, ast.ClassDef):
            return None
        if name == RAY_ACTOR_CLASS:
            return owner if any("ray.remote" in ast.unparse(one) for one in owner.node.decorator_list) else None
        for base in self.ancestry(owner):
            for bound_name, node in _bindings(getattr(base.node, "body", [])):
                if bound_name == name:
                    return Definition(base.module, node)
        return None

    def _in_module(self, owner: Definition, name: str) -> Definition | None:
        assert isinstance(owner.node, ast.Module)
        stars = []
        for bound_name, node in _bindings(owner.node.body):
            if bound_name == "*" and isinstance(node, ast.ImportFrom):
                stars.append(self._imported_module(owner.module, node))
            elif bound_name == name:
                return self._imported(owner.module, node, name)
        # A module that star-imports itself would be followed without end.
        for star in stars:
            if star != owner.module and (found := self.find(star, name)) is not None:
                return found
        return self.find(f"{owner.module}.{name}")

    def _imported(self, module: str, node: ast.AST, name: str) -> Definition | None:
        """What an import binds to a name; the node itself if it is no import or the source is not here."""
        here = Definition(module, node)
        if isinstance(node, ast.Import):
            target = next((a.name for a in node.names if a.asname == name), name)
            return self.find(target) if self.covers(target) else here
        if isinstance(node, ast.ImportFrom):
            target = self._imported_module(module, node)
            original = next(a.name for a in node.names if (a.asname or a.name) == name)
            if self.covers(target):
                return self.find(target, original) if target != module else self.find(f"{module}.{original}")
        return here

    def _imported_module(self, module: str, node: ast.ImportFrom) -> str:
        """Absolute name of the module that `from MODULE import ...` reads."""
        if not node.level:
            return node.module or ""
        file = self._file(module)
        up = node.level - (file is not None and file.name == "__init__.py")
        package = module.split(".")[: len(module.split(".")) - up]
        return ".".join([*package, *([node.module] if node.module else [])])

    def _file(self, module: str) -> Path | None:
        package, *rest = module.split(".")
        if package not in self._folder_of:
            return None
        path = self._folder_of[package].joinpath(*rest)
        files = (path / "__init__.py", path.with_name(f"{path.name}.py"))
        return next((file for file in files if file.is_file()), None)

    def _parsed(self, module: str) -> ast.Module | None:
        if module not in self._modules:
            file = self._file(module)
            self._modules[module] = None if file is None else ast.parse(file.read_text(encoding="utf-8"), str(file))
        return self._modules[module]


def _bindings(statements: list[ast.stmt]) -> Iterator[tuple[str, ast.AST]]:
    """(name, node) for what a body binds, in order: definitions, imports, and `ast.Name` for assignments."""
    for statement in statements:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield statement.name, statement
        elif isinstance(statement, ast.Import):
            yield from ((a.asname or a.name.split(".")[0], statement) for a in statement.names)
        elif isinstance(statement, ast.ImportFrom):
            yield from ((a.asname or a.name, statement) for a in statement.names)
        elif isinstance(statement, ast.Assign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            names = [node for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]
            yield from ((node.id, node) for node in names if isinstance(node.ctx, ast.Store))
        else:
            # if, try, with: what they bind is bound here.
            for block in ("body", "handlers", "orelse", "finalbody"):
                yield from _bindings(getattr(statement, block, []))


def _annotated(node: ast.ClassDef) -> list[str]:
    """Fields of a dataclass or a pydantic model."""
    return [s.target.id for s in node.body if isinstance(s, ast.AnnAssign) and isinstance(s.target, ast.Name)]
