"""manifest.json: from which settings `prepare` made the files beside it, and their digests."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

NAME = "manifest.json"
PENDING = f".{NAME}"
"""The manifest while the files get their names: after an interruption there, it says which of them are ours."""
FILES = ("train.parquet", "test.parquet")


class ForeignManifest(ValueError):
    """A file with the manifest's name that `prepare` did not write; the message names it and says why."""


class Manifest(NamedTuple):
    """All that a manifest holds, and the digest of each file that it describes, by name."""

    entries: dict[str, Any]
    sha256_of: dict[str, str]


def read_manifest(path: Path) -> Manifest:
    """The manifest at `path`.

    Raises:
        ForeignManifest: it is no manifest of `prepare`.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        return Manifest(entries, {name: str(file["sha256"]) for name, file in entries["files"].items()})
    except (OSError, ValueError, RecursionError, LookupError, TypeError, AttributeError) as error:
        raise ForeignManifest(f"{path} is no manifest of `mt-grpo prepare`: {type(error).__name__}") from error


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def refuse_to_replace(directory: Path, settings: Mapping[str, Any]) -> None:
    """Refuse a folder that holds a file which `prepare` would replace and did not make from the same settings.

    Args:
        directory: where the files are to go; it need not exist.
        settings: entries of the manifest that the files will have.

    Raises:
        ValueError: such files are there; the message names them.
    """
    manifests = [path for name in (NAME, PENDING) if (path := directory / name).exists()]
    files = [path for name in FILES if (path := directory / name).exists()]
    ours: set[tuple[str, str]] = set()
    for path in manifests:
        try:
            manifest = read_manifest(path)
        except ForeignManifest as error:
            raise _refusal([*files, *manifests], str(error)) from error
        if differing := [name for name, value in settings.items() if not _same(manifest.entries.get(name), value)]:
            raise _refusal([*files, *manifests], f"{path} has other settings ({', '.join(differing)})")
        ours.update(manifest.sha256_of.items())
    if foreign := [path for path in files if not path.is_file() or (path.name, digest(path)) not in ours]:
        if manifests:
            raise _refusal(foreign, f"{manifests[0]} describes other files of that name")
        raise _refusal(foreign, f"no {NAME} beside them says that `mt-grpo prepare` made them with these settings")


def _same(known: Any, wanted: Any) -> bool:
    """Whether an entry is as wanted once it is JSON, tasks in the same order."""
    wanted = json.loads(json.dumps(wanted))
    return known == wanted and (not isinstance(wanted, dict) or list(known) == list(wanted))


def _refusal(paths: Sequence[Path], reason: str) -> ValueError:
    return ValueError(
        f"this would replace {', '.join(map(str, paths))}, and {reason}. Choose another -o, or remove them"
    )
