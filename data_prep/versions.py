"""What the data depends on besides its settings: versions of the packages, and the text of this program."""

import hashlib
import platform
from functools import lru_cache
from importlib import metadata
from pathlib import Path


@lru_cache(maxsize=1)
def versions() -> dict[str, str]:
    """Versions by name."""
    packages = ("mt-grpo-recipe", "reasoning-gym", "pyarrow")
    return {"python": platform.python_version(), **{package: metadata.version(package) for package in packages}}


@lru_cache(maxsize=1)
def program_digest() -> str:
    """SHA-256 over the files of this package: the version number does not change with every change to the program."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
