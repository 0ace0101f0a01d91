"""Relations as SciKnowEval writes them: "(F11, COM, FXI deficiency), (STS, REG, ichthyosis)"."""

import re

_RELATION = re.compile(r"\(([^()]*(?:\([^()]*\)[^()]*)*)\)")  # round brackets may stand inside once: "(iron(II), ...)"


def read_relations(text: str) -> list[list[str]] | None:
    """The parts of each relation, two or more and as many in each; None for a text that is no such list.

    A comma within a name makes one part more, so such a list is none.
    """
    relations = [[part.strip() for part in match[1].split(",")] for match in _RELATION.finditer(text)]
    between = _RELATION.sub("", text.strip().removeprefix("[").removesuffix("]"))
    sizes = {len(parts) for parts in relations}
    if len(sizes) != 1 or min(sizes) < 2 or between.strip(" ,\n") or not all(map(all, relations)):
        return None
    return relations
