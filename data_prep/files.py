"""Files that appear whole or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a scratch file beside `path` to write into, and rename it afterwards: a reader never sees half a file."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    scratch = Path(name)
    try:
        yield scratch
        with scratch.open("rb") as file:
            os.fsync(file.fileno())  # otherwise a power cut may leave the new name on an empty file
        scratch.chmod(0o644)  # mkstemp makes it private
        scratch.replace(path)
    except BaseException:
        scratch.unlink()
        raise
