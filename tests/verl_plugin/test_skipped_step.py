"""The row that stands for a skipped update, and how it is told from padding."""

from transfer_queue import KVBatchMeta

from mt_grpo_recipe.verl_plugin.skipped_step import (
    is_skipped,
    put_placeholder,
    rows_with_data,
    skipped_step_metrics,
    trained_rows,
)


def batch_of(*tags):
    return KVBatchMeta(partition_id="train", keys=[f"key{i}" for i in range(len(tags))], tags=list(tags))


def test_the_placeholder_names_its_update_and_is_tagged_as_padding_and_as_skipped(rows):
    batch = put_placeholder(step=7, mini_batch=2)
    assert rows.tags == {"skipped7.2": {"is_padding": True, "mt_grpo_skipped": True}}
    assert (batch.keys, batch.tags) == (["skipped7.2"], [{"is_padding": True, "mt_grpo_skipped": True}])
    assert is_skipped(batch)
    assert len(trained_rows(batch)) == 0 and is_skipped(trained_rows(batch))


def test_a_batch_that_padding_fills_up_is_not_skipped_and_keeps_its_padding():
    batch = batch_of({}, {"is_padding": True})
    assert not is_skipped(batch)
    assert trained_rows(batch).keys == ["key0", "key1"]


def test_rows_with_data_are_neither_padding_nor_a_skipped_update(rows):
    batch = batch_of({}, {"is_padding": True}, {"is_padding": False})
    assert rows_with_data(batch).keys == ["key0", "key2"]
    assert rows_with_data(put_placeholder(step=7, mini_batch=2)).keys == []


def test_of_a_step_in_part_skipped_the_trained_rows_are_left(rows):
    placeholder = put_placeholder(step=3, mini_batch=0)
    trained = batch_of({"is_padding": False}, {})
    step = KVBatchMeta(partition_id="train", keys=placeholder.keys + trained.keys, tags=placeholder.tags + trained.tags)
    assert not is_skipped(step)
    assert trained_rows(step).keys == trained.keys


def test_a_skipped_step_logs_its_number_and_its_seconds():
    assert skipped_step_metrics(4, {"step": 2.5, "gen": 2.0}) == {
        "training/global_step": 4,
        "timing_s/step": 2.5,
        "timing_s/gen": 2.0,
    }
