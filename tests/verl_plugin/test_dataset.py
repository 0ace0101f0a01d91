"""Files whose columns differ in type are read as one data set; numbers, text and missing fields survive."""

import json

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import List, Value
from omegaconf import OmegaConf
from transformers import AutoTokenizer

from mt_grpo_recipe.verl_plugin.dataset import TaskDataset, common_type, joined
from reward_fns import compute_score

TINY = "run_scripts/tiny_model/checkpoint"


def released(kind, index, ground_truth):
    """A row in the schema of the data released with the paper."""
    return {
        "data_source": f"{kind}-medium-train",
        "prompt": [{"content": "make 17 from 2 3 7", "role": "user"}],
        "ability": "math",
        "reward_model": {"ground_truth": ground_truth, "style": "rule"},
        "extra_info": {"difficulty": 2, "index": index, "question": "", "split": "train", "type": kind},
    }


COUNTDOWN = [released("countdown", i, {"numbers": "2,3,7", "target": 17}) for i in range(3)]
ZEBRA = [released("zebra", i, {"target": "alice"}) for i in range(2)]


@pytest.fixture
def read(tmp_path, request):
    """Rows of each file -> the data set over the files."""

    def make(*files, max_samples=-1, suffix=".parquet", **config):
        paths = []
        for number, rows in enumerate(files):
            paths.append(str(tmp_path / f"{number}{suffix}"))
            if suffix == ".parquet":
                pq.write_table(pa.Table.from_pylist(rows), paths[-1])
            else:
                (tmp_path / f"{number}{suffix}").write_text("\n".join(map(json.dumps, rows)))
        tokenizer = AutoTokenizer.from_pretrained(request.config.rootpath / TINY)
        return TaskDataset(paths, tokenizer, OmegaConf.create(config), max_samples=max_samples)

    return make


def truths(dataset):
    return [row["reward_model"]["ground_truth"] for row in dataset.dataframe]


def test_the_released_files_are_read_together_and_their_truths_can_be_graded(read):
    dataset = read(COUNTDOWN, ZEBRA)
    assert truths(dataset) == 3 * [{"numbers": "2,3,7", "target": "17"}] + 2 * [{"numbers": None, "target": "alice"}]
    first, last = dataset.dataframe[0], dataset.dataframe[4]
    for row, answer in ((first, "2*7+3"), (last, "alice")):
        scored = compute_score(row["data_source"], f"\\boxed{{{answer}}}", row["reward_model"]["ground_truth"])
        assert scored["score"] == 1.0


def test_one_file_is_read_as_it_is(read):
    assert truths(read(COUNTDOWN)) == 3 * [{"numbers": "2,3,7", "target": 17}]


def test_json_lines_and_a_column_that_a_file_lacks(read):
    dataset = read(COUNTDOWN, [row | {"source": "here"} for row in ZEBRA], suffix=".jsonl")
    assert dataset.dataframe["source"][:] == [None, None, None, "here", "here"]


@pytest.mark.parametrize(("config", "first"), [({}, True), ({"shuffle": True, "seed": 1}, False)])
def test_a_part_of_the_rows_is_the_first_ones_or_a_draw(read, config, first):
    rows = [released("zebra", i, {"target": "alice"}) for i in range(20)]
    chosen = [row["extra_info"]["index"] for row in read(rows, max_samples=5, **config).dataframe]
    assert len(set(chosen)) == 5 and (chosen == [0, 1, 2, 3, 4]) is first


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [
        (Value("int64"), Value("int64"), Value("int64")),
        (Value("int64"), Value("float64"), Value("float64")),
        (Value("int32"), Value("int64"), Value("int64")),
        (Value("uint8"), Value("int16"), Value("int64")),
        (Value("int32"), Value("float32"), Value("float64")),
        (Value("bool"), Value("int64"), Value("string")),
        (Value("int64"), Value("string"), Value("string")),
        (None, Value("bool"), Value("bool")),
        (Value("null"), List(Value("string")), List(Value("string"))),
        (List(Value("int64")), List(Value("string")), List(Value("string"))),
        ({"a": Value("int64")}, {"b": Value("string")}, {"a": Value("int64"), "b": Value("string")}),
    ],
)
def test_the_common_type_holds_both(first, second, both):
    assert common_type(first, second) == both == common_type(second, first)


def test_a_list_and_a_number_have_no_common_type():
    with pytest.raises(ValueError, match="which no column can hold together"):
        joined([datasets.Dataset.from_dict({"a": [[1]]}), datasets.Dataset.from_dict({"a": [1]})])


def test_an_unknown_kind_of_file_is_named(read):
    with pytest.raises(ValueError, match=r"0\.csv cannot be read: data files end in \.parquet"):
        read(COUNTDOWN, suffix=".csv")
