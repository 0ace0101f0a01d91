"""Keys, slices and loss weights of the queue's rows."""

import numpy as np
import pytest
from transfer_queue import KVBatchMeta

from mt_grpo_recipe.verl_plugin.queue_rows import (
    fetch,
    mini_batches,
    mixed,
    put_loss_weights,
    put_row_without_fields,
    take_rows,
    task_of_rows,
    uid_of_key,
)


def batch_of(*keys):
    return KVBatchMeta(partition_id="train", keys=list(keys), tags=[{"number": i} for i in range(len(keys))])


def test_a_row_has_the_task_of_its_group_and_padding_has_none():
    assert uid_of_key("1c2d-77_3_0") == "1c2d-77"
    batch = batch_of("b_0_0", "pad_0_0", "a_1_0", "b_1_0")
    assert list(task_of_rows(batch, {"a": 0, "b": 1, "c": 0}.get).items()) == [("b_0_0", 1), ("a_1_0", 0), ("b_1_0", 1)]


def test_rows_are_taken_in_the_order_given_with_their_tags():
    taken = take_rows(batch_of("a", "b", "c"), [2, 0])
    assert (taken.keys, taken.tags, taken.partition_id) == (["c", "a"], [{"number": 2}, {"number": 0}], "train")


@pytest.mark.parametrize(
    ("ranks", "rows_per_rank", "expected"),
    [
        (1, 3, ["abc", "def", "gh"]),
        (2, 2, ["abef", "cdgh"]),
        (2, 3, ["abcefg", "dh"]),
    ],
)
def test_a_mini_batch_is_a_slice_of_every_ranks_share(ranks, rows_per_rank, expected):
    parts = mini_batches(batch_of(*"abcdefgh"), ranks, rows_per_rank)
    assert ["".join(part.keys) for part in parts] == expected


def test_a_field_that_no_row_has_is_left_out(rows):
    rows.add("a_0_0", advantages=[1.0, 2.0])
    data = fetch(["a_0_0"], "advantages", "rollout_is_weights")
    assert list(data.keys()) == ["advantages"]
    assert data["advantages"].unbind()[0].tolist() == [1.0, 2.0]


def test_every_token_gets_the_weight_of_its_task_and_padding_gets_one(rows):
    rows.add("a_0_0", advantages=[0.5, 0.5, 0.5])
    rows.add("pad_0_0", advantages=[0.0])
    rows.add("b_0_0", advantages=[-1.0, -1.0])
    batch = batch_of("a_0_0", "pad_0_0", "b_0_0")
    written = put_loss_weights(batch, {"a_0_0": 0, "b_0_0": 1}, np.array([1.5, 0.25]))
    assert (written.keys, written.fields) == (batch.keys, ["rollout_is_weights"])
    weights = [rows.fields[key]["rollout_is_weights"] for key in batch.keys]
    assert weights == [[1.5, 1.5, 1.5], [1.0], [0.25, 0.25]]


def test_the_weight_of_the_task_multiplies_verls_rollout_correction(rows):
    rows.add("a_0_0", advantages=[0.5, 0.5], rollout_is_weights=[2.0, 0.5])
    rows.add("b_0_0", advantages=[-1.0], rollout_is_weights=[4.0])
    put_loss_weights(batch_of("a_0_0", "b_0_0"), {"a_0_0": 0, "b_0_0": 1}, np.array([1.5, 0.25]))
    assert [rows.fields[key]["rollout_is_weights"] for key in ("a_0_0", "b_0_0")] == [[3.0, 0.75], [1.0]]


def test_a_row_without_fields_is_a_batch_of_its_own(rows):
    batch = put_row_without_fields("marker", {"is_padding": True})
    assert rows.tags == {"marker": {"is_padding": True}}
    assert (batch.keys, batch.tags, batch.partition_id) == (["marker"], [{"is_padding": True}], "train")


def test_a_batch_is_mixed_by_seed_and_step():
    uids = [f"u{number}" for number in range(32)]
    orders = [mixed(uids, seed, step) for seed, step in ((0, 1), (0, 1), (0, 2), (1, 1))]
    assert orders[0] == orders[1] and all(sorted(order) == sorted(uids) for order in orders)
    assert len({tuple(order) for order in (uids, *orders)}) == 4
    # As many of the last quarter in each mini-batch of 8 as chance gives: of 400 draws, 2 on average.
    shares = [[uid in uids[24:] for uid in mixed(uids, 0, step)[:8]].count(True) for step in range(400)]
    assert abs(np.mean(shares) - 2) < 0.2
