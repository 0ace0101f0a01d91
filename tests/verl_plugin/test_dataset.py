"""Files with different columns are read as one data set: every row stays as in its file, and verl can batch them."""

import asyncio
import json
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from omegaconf import OmegaConf
from transformers import AutoTokenizer
from verl.experimental.agent_loop.tool_agent_loop import ToolAgentLoop
from verl.trainer.ppo.v1.agent_loop_tq import AgentLoopWorkerTQ
from verl.utils import fs, tensordict_utils
from verl.utils.dataset.rl_dataset import collate_fn

from mt_grpo_recipe.config import ConfigError
from mt_grpo_recipe.verl_plugin.data_rows import contents
from mt_grpo_recipe.verl_plugin.dataset import FileRows, TaskDataset, read_file, rows_of_file
from reward_fns import compute_score

TINY = "run_scripts/tiny_model/checkpoint"
Worker = AgentLoopWorkerTQ.__ray_actor_class__  # pyright: ignore[reportFunctionMemberAccess]


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


def whole_config(**data):
    """The part of verl's config that a data set reads."""
    return OmegaConf.create(
        {
            "data": data,
            "mt_grpo": {"task_key": ["extra_info.type"], "seed": 3},
            "trainer": {"use_v1": True, "v1": {"trainer_mode": "mt_grpo"}},
            "actor_rollout_ref": {
                "rollout": {
                    "temperature": 1.0,
                    "top_p": 1.0,
                    "top_k": -1,
                    "calculate_log_probs": True,
                    "agent": {"default_agent_loop": "single_turn_agent"},
                }
            },
        }
    )


@pytest.fixture
def read(tmp_path, request):
    """Rows of each file -> the data set over the files."""

    def make(*files, max_samples=-1, suffix=".parquet", config=None):
        paths = []
        for number, rows in enumerate(files):
            paths.append(str(tmp_path / f"{number}{suffix}"))
            if suffix == ".parquet":
                table = rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(rows)
                pq.write_table(table, paths[-1])
            else:
                (tmp_path / f"{number}{suffix}").write_text("\n".join(map(json.dumps, rows)))
        tokenizer = AutoTokenizer.from_pretrained(request.config.rootpath / TINY)
        config = whole_config() if config is None else config
        return TaskDataset(paths, tokenizer, config.data, max_samples=max_samples)

    return make


def rows_of(dataset):
    return [dataset[i] for i in range(len(dataset))]


def prompts_of(dataset):
    """What each agent loop of verl is started with, all rows of the data in one batch."""
    worker = object.__new__(Worker)
    worker.config, worker.background_tasks = whole_config(), set()
    prompts = []

    async def run_prompt(prompt, *_, **__):
        prompts.append(prompt)

    async def generate(batch):
        await worker.generate_sequences(batch)
        await asyncio.gather(*worker.background_tasks)

    worker._run_prompt = run_prompt
    chunks = [tensordict_utils.get_tensordict(collate_fn([row])) for row in rows_of(dataset)]
    batch = tensordict_utils.concat_tensordict(chunks)
    tensordict_utils.assign_non_tensor_data(batch, "global_steps", 1)
    asyncio.run(generate(batch))
    return prompts


# ---------------------------------------------------------------------- what a file has


def test_the_released_files_are_read_together_and_their_truths_can_be_graded(read):
    rows = rows_of(read(COUNTDOWN, ZEBRA))
    truths = [row["reward_model"]["ground_truth"] for row in rows]
    assert truths == 3 * [{"numbers": "2,3,7", "target": 17}] + 2 * [{"target": "alice"}]
    for row, answer in ((rows[0], "2*7+3"), (rows[4], "alice")):
        scored = compute_score(row["data_source"], f"\\boxed{{{answer}}}", row["reward_model"]["ground_truth"])
        assert scored["score"] == 1.0


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (pa.int8(), 7),
        (pa.int32(), 7),
        (pa.uint64(), 2**63),
        (pa.float32(), 0.5),
        (pa.float64(), 7.0),
        (pa.string(), "7"),
    ],
)
def test_a_value_stays_what_it_is_whatever_other_files_have_in_its_column(read, kind, value):
    def table(kind, value):
        nested = pa.array([{"n": {"target": value}}], pa.struct({"n": pa.struct({"target": kind})}))
        rows = pa.Table.from_pylist(COUNTDOWN[:1]).append_column("level", pa.array([value], kind))
        return rows.append_column("facts", nested)

    row, other = rows_of(read(table(kind, value), table(pa.int64(), 1)))
    for given in (row["level"], row["facts"]["n"]["target"]):
        assert given == value and type(given) is type(value)
    assert other["level"] == 1 and type(other["level"]) is int


def test_a_field_of_extra_info_that_a_file_lacks_stays_missing_and_a_null_stays_null(read):
    first = released("zebra", 0, {"target": "alice"})
    first["extra_info"] |= {"hint": None, "level": 3}
    hinted = released("zebra", 1, {"target": "bob"})
    hinted["extra_info"]["hint"] = "look"
    infos = [row["extra_info"] for row in rows_of(read([first, hinted], COUNTDOWN[:1]))]
    assert infos[0]["hint"] is None and infos[1]["hint"] == "look"
    assert infos[2] == COUNTDOWN[0]["extra_info"]


def test_iterating_gives_the_rows_as_they_stand_in_the_files(read):
    dataset = read([row | {"agent_name": "tool_agent"} for row in COUNTDOWN], ZEBRA)
    assert list(dataset.dataframe) == [row | {"agent_name": "tool_agent"} for row in COUNTDOWN] + ZEBRA


def test_a_row_that_is_not_there_is_an_index_error(read):
    dataset = read(COUNTDOWN, ZEBRA)
    assert dataset[-1]["data_source"] == ZEBRA[-1]["data_source"]
    with pytest.raises(IndexError):
        dataset[5]


def test_json_lines_beside_a_column_of_another_file(read):
    dataset = read(COUNTDOWN, [row | {"source": "here"} for row in ZEBRA], suffix=".jsonl")
    assert [row["source"] for row in rows_of(dataset)] == [None, None, None, "here", "here"]


MIXED = [
    [{"task": "a", "index": 1}, {"task": "b"}],
    [{"task": "a", "level": 1}, {"task": "b", "level": "hard"}],
    [{"task": "a", "meta": {"n": [{"x": 1}, "x"]}}, {"task": "b", "meta": {"n": None}}],
    [{"task": "a", "day": "2024-05-01"}, {"task": "b", "day": "2024-05-01T10:00:00"}],
    [{"task": "a", "size": 1}, {"task": "b", "size": 0.5}],
    [{"task": "a", "size": "12"}, {"task": "b", "size": {"target": 2**63}}],
    [{"task": "a", "unit": "m\u2028s\r", "gone": None}, {"task": "b", "unit": ""}],
]


@pytest.mark.parametrize("suffix", [".jsonl", ".json"])
@pytest.mark.parametrize("infos", MIXED)
def test_a_value_of_a_json_file_stays_what_it_is_whatever_other_rows_have(tmp_path, infos, suffix):
    rows = [ZEBRA[0] | {"reward_model": {"ground_truth": info}, "extra_info": info} for info in infos]
    file = tmp_path / f"rows{suffix}"
    text = json.dumps(rows, indent=1) if suffix == ".json" else "\n".join(map(json.dumps, rows))
    file.write_text("\ufeff" + text, encoding="utf-8")
    table = read_file(str(file))
    for given in (list(rows_of_file(table)), list(FileRows([table], {})), [table[i] for i in range(2)]):
        assert json.dumps(given) == json.dumps(rows)
    assert list(rows_of_file(table, ["extra_info"])) == [{"extra_info": info} for info in infos]
    assert contents(rows_of_file(table), ["extra_info.task"], "it").tasks == ["a", "b"]


def test_what_a_parquet_file_holds_as_json_is_decoded_wherever_it_is_read(tmp_path):
    infos = [{"task": "a", "levels": [1, {"x": "2"}]}, {"task": "b"}, None]
    column = pa.array([info and json.dumps(info) for info in infos], pa.json_())
    nested = pa.StructArray.from_arrays([column], ["truth"])
    listed = pa.ListArray.from_arrays([0, 2, 2, 3], pa.array(["1", '"1"', "null"], pa.json_()))
    pq.write_table(pa.table({"extra_info": column, "reward_model": nested, "ids": listed}), tmp_path / "0.parquet")
    table = read_file(str(tmp_path / "0.parquet"))
    assert list(rows_of_file(table)) == [table[i] for i in range(3)]
    assert [row["extra_info"] for row in rows_of_file(table)] == infos
    assert [row["ids"] for row in rows_of_file(table)] == [[1, "1"], [], [None]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": 1}\n{"a": 2', r"line 2 is not JSON: "),
        ('{"a": 1}\n\n[1]', r"row 0 \(counted from 0\) is no object with fields"),
        ('[{"a": 1}, 7]', r"row 1 \(counted from 0\) is no object with fields"),
        ('[{"a": 1}', r"the list that begins in line 1 is not JSON: "),
        ("\n \n", "it has no row"),
        ("[]", "it has no row"),
        (
            '{"a": 1}\n{"b": {"c": 1' + 30 * "0" + "}}",
            r"line 2, field 'b', holds what cannot be kept.*Write it as text",
        ),
        ('{"a": NaN}', r"line 1, field 'a', holds what cannot be kept: a number that is not finite"),
        ('{"a": "\\ud800"}', r"line 1, field 'a', holds what cannot be kept: .* half a character"),
    ],
)
def test_a_json_file_that_cannot_be_kept_as_it_is_is_refused_with_the_place(tmp_path, text, words):
    (tmp_path / "rows.json").write_text(text)
    with pytest.raises(ValueError, match=rf"rows\.json cannot be read: {words}"):
        read_file(str(tmp_path / "rows.json"))


def test_an_unknown_kind_of_file_is_named(read):
    with pytest.raises(ValueError, match=r"0\.csv cannot be read: data files end in \.parquet"):
        read(COUNTDOWN, suffix=".csv")


def test_a_file_at_an_address_or_below_the_home_directory_is_read(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    pq.write_table(pa.Table.from_pylist(COUNTDOWN), tmp_path / "0.parquet")
    (tmp_path / "0.jsonl").write_text("\n".join(map(json.dumps, COUNTDOWN)))
    for kind in ("parquet", "jsonl"):
        for name in (f"file://{tmp_path}/0.{kind}", f"~/0.{kind}"):
            assert list(rows_of_file(read_file(name))) == COUNTDOWN


def test_a_file_that_verl_downloads_is_read_from_where_verl_puts_it(tmp_path, monkeypatch, request):
    def download(source, target):
        pq.write_table(pa.Table.from_pylist([row | {"kind": source} for row in COUNTDOWN]), target)

    monkeypatch.setattr(fs, "copy", download)
    config = whole_config(cache_dir=str(tmp_path))
    tokenizer = AutoTokenizer.from_pretrained(request.config.rootpath / TINY)
    dataset = TaskDataset(["hdfs://nn/x.parquet"], tokenizer, config.data)
    assert [row["kind"] for row in rows_of(dataset)] == ["hdfs://nn/x.parquet"] * 3
    assert dataset.original_data_files == ["hdfs://nn/x.parquet"]


# ---------------------------------------------------------------------- what verl makes of it


def with_tools(row, **tools_kwargs):
    info = row["extra_info"] | {"tools_kwargs": tools_kwargs, "interaction_kwargs": {"name": "user"}}
    return row | {"extra_info": info | {"need_tools_kwargs": True}, "agent_name": "tool_agent"}


def test_rows_with_and_without_tools_start_the_agent_loops_they_ask_for(read):
    tooled = [with_tools(COUNTDOWN[0], calc={"create_kwargs": {"target": 17}}), with_tools(COUNTDOWN[1], look=None)]
    plain = [row | {"priority": None} for row in ZEBRA]
    unnamed = COUNTDOWN[2] | {"agent_name": None, "priority": 4, "__do_sample__": False}
    prompts = prompts_of(read(tooled, plain, [unnamed]))
    loops = [prompt["agent_name"] for prompt in prompts]
    assert loops == ["tool_agent", "tool_agent", *3 * ["single_turn_agent"]]
    assert [prompt["tools_kwargs"] for prompt in prompts] == [
        {"calc": {"create_kwargs": {"target": 17}}},
        *4 * [{}],
    ]
    assert [prompt["interaction_kwargs"] for prompt in prompts] == [*2 * [{"name": "user"}], {}, {}, {}]
    assert [prompt["priority"] for prompt in prompts] == [0, 0, 0, 0, 4]
    assert [prompt["__do_sample__"] for prompt in prompts] == [*4 * [True], False]
    assert [prompt["extra_info"] for prompt in prompts[2:]] == [row["extra_info"] for row in (*ZEBRA, COUNTDOWN[2])]


def test_a_tool_that_a_row_does_not_set_up_is_called_without_arguments_of_its_own(read):
    class Tool:
        async def create(self, create_kwargs):
            created.append(create_kwargs)
            return "id", None

        async def execute(self, *_, **__):
            return SimpleNamespace(text="17"), 0.0, {}

        async def release(self, _):
            pass

    created = []
    loop = object.__new__(ToolAgentLoop)
    loop.tools, loop.max_tool_response_length = {"calc": Tool(), "look": Tool()}, 10
    rows = [with_tools(COUNTDOWN[0], calc={"create_kwargs": {"target": 17}}), with_tools(COUNTDOWN[1], look={"x": 1})]
    for row in rows_of(read(rows, ZEBRA)):
        call = SimpleNamespace(name="calc", arguments="{}")
        response, *_ = asyncio.run(loop._call_tool(call, row["tools_kwargs"], SimpleNamespace()))
        assert response.text == "17"
    assert created == [{"target": 17}, {}, {}, {}]


def test_a_file_without_extra_info_gives_empty_ones(read):
    config = whole_config()
    config.mt_grpo.task_key = ["data_source"]
    bare = [{name: value for name, value in row.items() if name != "extra_info"} for row in ZEBRA]
    prompts = prompts_of(read(COUNTDOWN, bare, config=config))
    assert [prompt["extra_info"] for prompt in prompts[3:]] == [{}, {}]
    assert [prompt["index"] for prompt in prompts] == [0, 1, 2, 0, 0]


@pytest.mark.parametrize("column", ["prompt", "data_source", "reward_model", "__rollout_n__"])
def test_a_file_without_what_verl_reads_of_every_row_is_refused(read, column):
    whole = [row | {"__rollout_n__": 4} for row in COUNTDOWN]
    lacking = [{name: value for name, value in row.items() if name != column} for row in whole]
    with pytest.raises(ConfigError, match=rf"1\.parquet has no column '{column}', which other files"):
        read(whole, lacking)


# ---------------------------------------------------------------------- tasks


def test_a_row_without_its_task_is_refused_with_its_file(read):
    faulty = released("zebra", 5, {"target": "bob"})
    faulty["extra_info"]["type"] = None
    with pytest.raises(
        ConfigError, match=r"1\.parquet: 1 of 3 rows name no task; the first is row 2, counted from 0\."
    ):
        read(COUNTDOWN, [*ZEBRA, faulty])
    untyped = [row | {"extra_info": {"index": 0}} for row in ZEBRA]
    with pytest.raises(ConfigError, match=r"1\.parquet: 2 of 2 rows name no task.*has no 'type' there; it has"):
        read(COUNTDOWN, untyped)


MANY = [[released(kind, i, {"target": "17"}) for i in range(size)] for kind, size in (("countdown", 40), ("zebra", 20))]


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_part_of_the_rows_has_the_tasks_shares_and_is_the_same_at_every_start(read, shuffle):
    def chosen(max_samples=12, seed=3):
        config = whole_config(shuffle=shuffle)
        config.mt_grpo.seed = seed
        infos = [row["extra_info"] for row in read(*MANY, max_samples=max_samples, config=config).dataframe]
        return [(info["type"], info["index"]) for info in infos]

    rows = chosen()
    assert [kind for kind, _ in rows] == 8 * ["countdown"] + 4 * ["zebra"]
    assert rows == chosen() and len(set(rows)) == 12 and rows != chosen(seed=4)
    assert set(rows) < set(chosen(max_samples=30)) < set(chosen(max_samples=-1))


def test_fewer_rows_than_tasks_are_refused(read):
    with pytest.raises(ConfigError, match=r"1 rows cannot hold all 2 tasks of the data \(countdown, zebra\)"):
        read(*MANY, max_samples=1)


def test_without_the_section_mt_grpo_all_rows_are_read_and_a_part_of_them_is_refused(read):
    config = whole_config()
    del config.mt_grpo
    assert len(read(COUNTDOWN, ZEBRA, config=config)) == 5
    with pytest.raises(ConfigError, match="no section `mt_grpo`"):
        read(COUNTDOWN, ZEBRA, config=config, max_samples=2)


def test_a_task_whose_prompts_are_all_too_long_is_refused_and_one_that_loses_most_is_named(read, caplog):
    long = "word " * 200
    config = whole_config(filter_overlong_prompts=True, max_prompt_length=100)
    zebra = [row | {"prompt": [{"role": "user", "content": long}]} for row in ZEBRA]
    with pytest.raises(ConfigError, match=r"every prompt of \S+ \(2\) is longer than data\.max_prompt_length=100"):
        read(COUNTDOWN, zebra, config=config)
    countdown = [row | {"prompt": [{"role": "user", "content": long}]} for row in COUNTDOWN[:2]] + COUNTDOWN[2:]
    assert len(read(countdown, ZEBRA, config=config)) == 3
    assert "loses 2 of its 3 prompts: they are longer than data.max_prompt_length=100" in caplog.text
