"""Finds what our source uses of verl and of its queue, and names what the contract does not list.

Four searches, each simple, together hard to slip past:

1. names imported from the two packages, and attributes of what was imported;
2. names that a class of ours overrides, or reads or sets on `self` or `super()`, and that a base of verl's defines;
3. attributes of any other object, by name alone: those that some class of verl has, that nothing of ours and no type of
   `LIBRARY_TYPES` has, and that are not settings of a config;
4. keywords of calls to any of these.

The third search has no types, so it misses a name that verl shares with, say, `dict`: `batch.keys`.
"""

from __future__ import annotations

import argparse
import ast
import collections
import importlib.metadata
import io
import logging
import pathlib
import re
from collections.abc import Iterator

import datasets
import numpy as np
import torch
import zmq.asyncio

from mt_grpo_recipe.verl_plugin.source_tree import Definition, SourceTree

LIBRARY_TYPES = (
    *(str, bytes, dict, list, set, tuple, int, float, Exception, collections.deque, io.TextIOWrapper, pathlib.Path),
    *(logging.Logger, logging.Handler, argparse.ArgumentParser, importlib.metadata.Distribution),
    *(np.ndarray, np.random.Generator, torch.Tensor, datasets.Dataset, zmq.asyncio.Context, zmq.asyncio.Socket),
)
LIBRARY = {name for kind in LIBRARY_TYPES for name in dir(kind)} | {
    *("remote", "options"),  # of a function or an actor of Ray's
    "_get_root",  # of a config of OmegaConf's
    *("level", "check"),  # set on an object: a logger's, an argument's
    *("weight", "offsets"),  # of a torch module, of a nested tensor
}
SETTINGS = {"config", "_config", "mt_grpo", "rollout_config", "settings", "_settings"}
"""Variables and attributes that hold a config; what is read from them is a setting, not a name of verl's classes."""

Function = ast.FunctionDef | ast.AsyncFunctionDef
Listed = dict[tuple[str, str], set[str]]
"""(module, dotted name) -> parameters, of everything that the contract lists."""


def listed(names: dict[str, dict[str, tuple[str, ...]]], attributes: dict[str, dict[str, tuple[str, ...]]]) -> Listed:
    """The two tables of a contract as one."""
    found = {(module, dotted): set(params) for module, table in names.items() for dotted, params in table.items()}
    for module, classes in attributes.items():
        found |= {(module, f"{name}.{attribute}"): set() for name, all_of in classes.items() for attribute in all_of}
    return found


class Uses:
    """What some modules of ours use of verl.

    Args:
        ours: file -> its source.
        verl: the source of verl and the queue.
        defined: names that our code defines, in these files or in others.
    """

    def __init__(self, ours: dict[str, str], verl: SourceTree, defined: set[str]):
        self._trees = {file: ast.parse(text) for file, text in ours.items()}
        self._verl = verl
        self._defined = defined
        self._verl_names = names_of_classes(verl)
        self._classes = {
            node.name: (file, node)
            for file, tree in self._trees.items()
            for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef)
        }

    def unlisted(self, contract: Listed) -> list[str]:
        """One sentence for each use that the contract does not list."""
        last_names: dict[str, set[str]] = {}
        for (_, dotted), parameters in contract.items():
            last_names.setdefault(dotted.split(".")[-1], set()).update(parameters)
        owners_of_listed = {(module, dotted.rpartition(".")[0]) for module, dotted in contract}
        found = []
        for file, tree in self._trees.items():
            imported = self._imported(tree)
            found += [
                f"{file}: {module}.{dotted}"
                for module, dotted in self._names(tree, imported)
                if (module, dotted) not in contract.keys() | owners_of_listed
            ]
            found += [
                f"{file}: {name} of {' or '.join(dict.fromkeys(owner for _, owner in owners))}"
                for name, owners in self._inherited(tree)
                if not any((module, f"{owner}.{name}") in contract for module, owner in owners)
            ]
            found += [f"{file}: .{name}" for name in self._attributes(tree) if name not in last_names]
            found += [
                f"{file}: {name}({keyword}=...)"
                for name, keyword in self._keywords(tree)
                if name in last_names
                and name not in self._defined | LIBRARY
                and keyword not in last_names[name]
                and not any(parameter.startswith("**") for parameter in last_names[name])
            ]
        return sorted(set(found))

    def _imported(self, tree: ast.AST) -> dict[str, tuple[str, str]]:
        """Local name -> (module, dotted name) of what is imported from verl and the queue; "" for a module itself."""
        found = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                found |= {a.asname or a.name: (a.name, "") for a in node.names if self._verl.covers(a.name)}
            elif isinstance(node, ast.ImportFrom) and node.module and self._verl.covers(node.module):
                for alias in node.names:
                    target = self._verl.find(node.module, alias.name)
                    is_module = target is not None and isinstance(target.node, ast.Module)
                    found[alias.asname or alias.name] = (
                        (f"{node.module}.{alias.name}", "") if is_module else (node.module, alias.name)
                    )
        return found

    def _names(self, tree: ast.AST, imported: dict[str, tuple[str, str]]) -> Iterator[tuple[str, str]]:
        yield from ((module, dotted) for module, dotted in imported.values() if dotted)
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in imported:
                module, dotted = imported[node.value.id]
                yield module, f"{dotted}.{node.attr}" if dotted else node.attr

    def _inherited(self, tree: ast.AST) -> Iterator[tuple[str, list[tuple[str, str]]]]:
        """(name, (module, class) of verl's that may own it) of what classes of ours have from verl's."""
        for node in ast.walk(tree):
            if not isinstance(node, ast.ClassDef):
                continue
            bases = self._verl_bases(node)
            owners = [(base.module, base.node.name) for base in bases if isinstance(base.node, ast.ClassDef)]
            known = {name for base in bases for name in self._verl.attributes(base) | methods(base)}
            for name in used_of_itself(node):
                if name in known and not name.startswith("__"):
                    yield name, owners
                elif name not in known | self._defined and bases:
                    yield f"{name}, which neither we nor verl define,", owners

    def _verl_bases(self, node: ast.ClassDef) -> list[Definition]:
        """Every class of verl's above a class of ours."""
        found = []
        file, _ = self._classes[node.name]
        imported = self._imported(self._trees[file])
        assigned = {
            target.id: statement.value
            for statement in self._trees[file].body
            if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None
            for target in (statement.targets if isinstance(statement, ast.Assign) else [statement.target])
            if isinstance(target, ast.Name)
        }
        for base in node.bases:
            value = assigned.get(base.id, base) if isinstance(base, ast.Name) else base
            for name in (n.id for n in ast.walk(value) if isinstance(n, ast.Name)):
                if name in imported and (definition := self._verl.find(*imported[name])) is not None:
                    found += self._verl.ancestry(definition)
                elif name in self._classes:
                    found += self._verl_bases(self._classes[name][1])
        return [base for base in found if self._verl.covers(base.module)]

    def _attributes(self, tree: ast.AST) -> Iterator[str]:
        """Names of attributes that only verl's classes can have."""
        elsewhere = set(self._imported(tree)) | set(names_of_imports(tree))
        for scope in [node for node in ast.walk(tree) if isinstance(node, Function)]:
            settings = settings_in(scope)
            for node in ast.walk(scope):
                if not isinstance(node, ast.Attribute) or node.attr.startswith("__"):
                    continue
                if node.attr in self._defined | LIBRARY or is_setting(node, settings) or is_itself(node.value):
                    continue
                if root(node) not in elsewhere and (node.attr in self._verl_names or node.attr.startswith("_")):
                    yield node.attr

    def _keywords(self, tree: ast.AST) -> Iterator[tuple[str, str]]:
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                function = node.func
                if isinstance(function, ast.Attribute) and function.attr == "remote":
                    function = function.value
                name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
                yield from ((name, keyword.arg) for keyword in node.keywords if keyword.arg)


def is_itself(node: ast.expr) -> bool:
    """`self`, `cls` or `super()`."""
    return ast.unparse(node) in ("self", "cls", "super()")


def root(node: ast.expr) -> str:
    """The variable that a chain of attributes, calls and subscripts begins with, or ""."""
    while isinstance(node, ast.Attribute | ast.Call | ast.Subscript):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def methods(definition: Definition) -> set[str]:
    """Methods of this class itself."""
    body = getattr(definition.node, "body", [])
    return {node.name for node in body if isinstance(node, Function)}


def used_of_itself(node: ast.ClassDef) -> set[str]:
    """Names that a class overrides, or reads or sets on `self`, `cls` or `super()`."""
    own = {n.name for n in node.body if isinstance(n, Function)}
    fields = {n.target.id for n in node.body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)}
    return own | fields | {n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute) and is_itself(n.value)}


def names_of_imports(tree: ast.AST) -> Iterator[str]:
    """Local names of everything imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from ((a.asname or a.name).split(".")[0] for a in node.names)


def settings_in(scope: ast.AST) -> set[str]:
    """Variables of a function that hold a config or a part of one."""
    found = {n.arg for n in ast.walk(scope) if isinstance(n, ast.arg) and n.arg.split("_")[-1] in SETTINGS} | SETTINGS
    for node in ast.walk(scope):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                targets = target.elts if isinstance(target, ast.Tuple) else [target]
                values = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value] * len(targets)
                pairs = zip(targets, values, strict=False)
                found |= {t.id for t, v in pairs if isinstance(t, ast.Name) and is_setting(v, found)}
    return found


def is_setting(node: ast.expr, variables: set[str]) -> bool:
    """Whether an expression is read from a config."""
    while isinstance(node, ast.Attribute | ast.Call | ast.Subscript):
        if isinstance(node, ast.Attribute) and node.attr in SETTINGS:
            return True
        node = node.func if isinstance(node, ast.Call) else node.value
    return isinstance(node, ast.Name) and node.id in variables


def defined_in(sources: Iterator[str]) -> set[str]:
    """Names of the functions, fields and attributes that these sources define."""
    found = set()
    for text in sources:
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, Function):
                found.add(node.name)
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                found.add(node.target.id)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                found.add(node.attr)
    return found


def names_of_classes(verl: SourceTree) -> set[str]:
    """Every method, field and attribute of any class of the packages, by a quick scan of their text."""
    pattern = re.compile(r"^ +(?:async )?def (\w+)\(|^    (\w+):|\bself\.(\w+)\b[^=\n(]*=", re.MULTILINE)
    found = set()
    for folder in verl.folders:
        for file in folder.rglob("*.py"):
            found |= {name for match in pattern.findall(file.read_text(encoding="utf-8")) for name in match}
    return found - {""}
