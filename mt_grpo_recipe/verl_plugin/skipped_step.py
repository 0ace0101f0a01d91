"""A step that trains on nothing, because its whole budget yielded no informative group.

verl clears a step's rows when the step is over, and the queue refuses to clear none. So one row without data, marked by
a tag, stands for the batch, and is taken out wherever verl would read it.
"""

from __future__ import annotations

from collections.abc import Mapping

from transfer_queue import KVBatchMeta

from mt_grpo_recipe.verl_plugin.queue_rows import put_row_without_fields, take_rows

SKIPPED = "mt_grpo_skipped"
"""Tag of the row that stands for a skipped update."""


def put_placeholder(step: int, mini_batch: int) -> KVBatchMeta:
    """Put the row that stands for a skipped update into the queue, and return it as the batch.

    Args:
        step: the training step.
        mini_batch: which of the step's updates is skipped.
    """
    return put_row_without_fields(f"skipped{step}.{mini_batch}", {"is_padding": True, SKIPPED: True})


def is_skipped(batch: KVBatchMeta) -> bool:
    """Whether the step trained on nothing: in a real batch only the rows that fill up a mini-batch are padding."""
    return all(tag.get("is_padding", False) for tag in batch.tags)


def rows_with_data(batch: KVBatchMeta) -> KVBatchMeta:
    """The batch without padding: neither what fills up a mini-batch, nor what stands for a skipped update."""
    return take_rows(batch, [row for row, tag in enumerate(batch.tags) if not tag.get("is_padding", False)])


def trained_rows(batch: KVBatchMeta) -> KVBatchMeta:
    """The batch without the rows that stand for a skipped update."""
    return take_rows(batch, [row for row, tag in enumerate(batch.tags) if not tag.get(SKIPPED, False)])


def skipped_step_metrics(step: int, timing_s: Mapping[str, float]) -> dict[str, float]:
    """What verl would still log for a step without rows: its number and its timings, in seconds."""
    return {"training/global_step": step, **{f"timing_s/{name}": seconds for name, seconds in timing_s.items()}}
