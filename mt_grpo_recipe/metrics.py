"""Names and summaries that the plugin writes and the report reads."""

from __future__ import annotations

import re
from collections.abc import Sequence

PREFIX = "mt_grpo"
WORST_TASK_ACCURACY = f"val-core/{PREFIX}/worst_task_acc"
AVERAGE_ACCURACY = f"val-core/{PREFIX}/avg_acc"
TASK_ACCURACY = f"val-core/{PREFIX}/acc"
"""Followed by "/<task>"."""


def task_slugs(tasks: Sequence[str]) -> dict[str, str]:
    """Map each task name to a distinct name that is safe inside a metric: letters, digits, "." and "-" only.

    Names that fall together after cleaning get a number: `a/b` and `a_b` become `a-b` and `a-b-2`.
    """
    slugs: dict[str, str] = {}
    for task in tasks:
        base = re.sub(r"[^\w.]+|_+", "-", task).strip("-") or "task"
        slug, number = base, 1
        while slug in slugs.values():
            number += 1
            slug = f"{base}-{number}"
        slugs[task] = slug
    return slugs
