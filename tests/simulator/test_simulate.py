"""The simulated engine, the figures that the samplers must reach on it, and the command."""

from __future__ import annotations

import argparse
import json
import re

import numpy as np
import pytest

from mt_grpo_recipe.algorithm.acceptance import AcceptanceTracker
from mt_grpo_recipe.algorithm.samplers import Step, make_sampler
from mt_grpo_recipe.algorithm.settings import SCHEDULES, StreamingSettings
from mt_grpo_recipe.simulator.cli import add_arguments, compare, run
from mt_grpo_recipe.simulator.engine import SAMPLERS, run_step, simulate
from mt_grpo_recipe.simulator.world import World

KEYS = [
    *("sampler", "prompts_per_step", "time_per_step", "rounds_per_step", "max_share_error", "shortfall"),
    *("rollouts_per_step", "rollouts_per_trained_group", "trained_over_informative", "cumulated_share_error"),
]
NINE_WEIGHTS = [0.2, 0.15, 0.14, 0.12, 0.1, 0.09, 0.08, 0.07, 0.05]
NINE_RATES = [0.7, 0.6, 0.5, 0.45, 0.4, 0.3, 0.5, 0.65, 0.35]
NINE = StreamingSettings(max_resample_rounds=2)


def three(rates=(0.7, 0.3, 0.45), steps=150, **settings):
    return World(np.array([0.43, 0.11, 0.46]), np.array(rates), batch_size=32, slots=64, steps=steps, **settings)


class Script:
    """A sampler that launches what it is told to, one list per ask, and is done when `needed` groups have ended."""

    def __init__(self, asks, needed):
        self.asks, self.needed, self.told = list(asks), needed, []

    @property
    def done(self):
        return len(self.told) >= self.needed

    def ask(self):
        return self.asks.pop(0) if self.asks else []

    def tell(self, launch_id, outcome):
        self.told.append(launch_id)

    def select(self):
        return list(self.told)


def test_the_engine_by_hand():
    # Two slots; durations 3, 1, 1.5, 1 in order of launch. 0 runs 0-3; 1 runs 0-1; 2 runs 1-2.5; 3 runs 2.5-3.5.
    groups = [[(True, 3.0), (True, 1.0), (True, 1.5), (True, 1.0)]]
    told, time = run_step(Script([[0, 0, 0, 0]], needed=4), groups, slots=2, drain=True)
    assert (told, time) == ([1, 2, 0, 3], 3.5)
    # Done after two have ended, at 2.5. Draining goes on to 3.5.
    assert run_step(Script([[0, 0, 0, 0]], needed=2), groups, slots=2, drain=False) == ([1, 2], 2.5)
    assert run_step(Script([[0, 0, 0, 0]], needed=2), groups, slots=2, drain=True)[1] == 3.5
    # The third is asked for when the second has ended, at 1, and runs 1-2.5.
    assert run_step(Script([[0, 0], [0]], needed=3), groups, slots=9, drain=True) == ([1, 2, 0], 3.0)


def test_all_samplers_meet_the_same_groups_and_quotas():
    world = three(rates=(0.0, 0.0, 0.0), steps=20)
    rows = {row["sampler"]: row for row in compare(world)}
    # Nothing is filtered: the oracle launches B; Algorithm 2 and DAPO three times that, on the same quotas.
    assert rows["oracle"]["prompts_per_step"] == 32
    assert rows["rounds"]["prompts_per_step"] == rows["dapo"]["prompts_per_step"] == 96
    assert [rows[name]["shortfall"] for name in ("rounds", "streaming", "oracle")] == [0, 0, 0]
    assert rows["lean"]["prompts_per_step"] == rows["budget"]["prompts_per_step"] == 32
    # In rollouts, eight per group: what each trained group cost, and how many of the informative ones were trained on.
    for name, launched_per_trained in {"rounds": 3, "dapo": 3, "oracle": 1, "budget": 1, "lean": 1}.items():
        assert rows[name]["rollouts_per_trained_group"] == pytest.approx(8 * launched_per_trained)
        assert rows[name]["trained_over_informative"] == pytest.approx(1 / launched_per_trained)


def test_the_oracle_needs_what_the_rates_say():
    # E[n_k] / (1 - rate_k): 32 * (0.43 / 0.3 + 0.11 / 0.7 + 0.46 / 0.55) = 32 * 2.4269 = 77.7
    row = simulate("oracle", three(steps=400))
    assert row["prompts_per_step"] == pytest.approx(77.7, rel=0.03)
    assert row["max_share_error"] == row["shortfall"] == 0


def test_the_same_seed_gives_the_same_numbers():
    assert compare(three(steps=5)) == compare(three(steps=5))
    assert compare(three(steps=5)) != compare(three(steps=5, seed=1))


@pytest.mark.parametrize(
    "world",
    [
        three(),
        three(rates=(0.9, 0.3, 0.45)),
        World(np.array(NINE_WEIGHTS), np.array(NINE_RATES), batch_size=256, slots=512, steps=25, sampler=NINE),
        World(np.array(NINE_WEIGHTS), np.array(NINE_RATES), batch_size=256, slots=64, steps=25, sampler=NINE),
    ],
    ids=["three tasks", "one task at 90 %", "nine tasks", "nine tasks, few slots"],
)
def test_streaming_costs_little_more_than_knowing_the_outcomes(world):
    rows = {row["sampler"]: row for row in compare(world)}
    streaming, oracle, dapo, rounds = (rows[name] for name in ("streaming", "oracle", "dapo", "rounds"))
    assert streaming["prompts_per_step"] <= 1.25 * oracle["prompts_per_step"]
    assert streaming["time_per_step"] <= 1.15 * oracle["time_per_step"]
    if oracle["prompts_per_step"] <= dapo["prompts_per_step"]:
        assert streaming["time_per_step"] <= 1.05 * dapo["time_per_step"]
    assert streaming["shortfall"] <= rounds["shortfall"]
    assert streaming["max_share_error"] == 0
    assert rounds["prompts_per_step"] > streaming["prompts_per_step"]
    assert rounds["time_per_step"] > 1.3 * streaming["time_per_step"]


def test_a_hopeless_task_costs_streaming_a_part_of_what_it_costs_rounds():
    world = three(rates=(1.0, 0.3, 0.45), steps=10)
    rounds, streaming = compare(world, ["rounds", "streaming"])
    assert rounds["prompts_per_step"] == 11 * 96  # the whole budget
    assert streaming["prompts_per_step"] < rounds["prompts_per_step"] / 2
    assert streaming["shortfall"] == rounds["shortfall"]


def test_aborting_surplus_trains_on_the_same_batches_in_less_time():
    drain, abort = (
        simulate("streaming", three(steps=40, sampler=StreamingSettings(surplus=s))) for s in ("drain", "abort")
    )
    assert abort["time_per_step"] < drain["time_per_step"]
    assert abort["shortfall"] == drain["shortfall"] == 0


def test_rates_drift_within_bounds_and_certain_ones_stay():
    world = three(rates=(1.0, 0.5, 0.97), steps=300, drift=0.1)
    rates = np.array(list(world.rates()))
    assert rates[0].tolist() == [1.0, 0.5, 0.97]
    assert (rates[:, 0] == 1).all()
    assert rates[:, 1:].min() >= 0.02
    assert rates[:, 1:].max() <= 0.98
    assert rates[:, 1].std() > 0.1
    assert simulate("streaming", three(steps=30, drift=0.05))["shortfall"] == 0


@pytest.mark.parametrize("name", ["rounds", "streaming"])
def test_the_first_steps_of_a_run_know_nothing_yet_and_work(name):
    config = SCHEDULES[name]()
    tracker = AcceptanceTracker(3, config.acceptance_decay)
    sampler = make_sampler(Step(np.full(3, 1 / 3), tracker, config, 32, np.random.default_rng(0)))
    groups = [[(i % 4 == 0, 1.0) for i in range(1056)]] * 3
    selection, _ = run_step(sampler, groups, slots=64, drain=True)
    assert selection.shortfall_K.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"weights_K": [0.5, 0.5]}, "there are 2 --weights and 3 --zero-grad-rates: give one of each"),
        ({"weights_K": [0.5, -0.1, 0.6]}, "must be 0 or more"),
        ({"weights_K": [0.0, 0.0, 0.0]}, "not all 0"),
        ({"zero_grad_rates_K": [0.5, 1.1, 0.0]}, r"must lie in \[0, 1\]"),
        ({"batch_size": 0}, "--batch-size 0: it must be 1"),
        ({"slots": 0}, "--slots 0"),
        ({"steps": 0}, "--steps 0"),
        ({"sigma": -1.0}, "--sigma -1.0: it must be finite"),
        ({"group_size": 1}, "--group-size 1: it must be 2 or more"),
        ({"group_size": 10**20}, "--group-size 100000000000000000000: it must be 1,000,000,000 or less"),
        ({"slots": 10**10}, "--slots 10000000000: it must be 1,000,000,000 or less"),
        ({"seed": -1}, "--seed -1: it must be 0 or more"),
        ({"batch_size": 10**9}, r"--oversample 3 with batches of 1,000,000,000 groups: at most 1,000,000 groups"),
        ({"sampler": StreamingSettings(oversample=1e9)}, r"--oversample 1e\+09 with batches of 8 groups"),
        ({"sampler": StreamingSettings(oversample=1e308)}, r"--oversample 1e\+308 with batches of 8 groups"),
        ({"sampler": StreamingSettings(max_inflight=1e308)}, r"--max-inflight 1e\+308 with batches"),
        ({"sampler": StreamingSettings(safety_margin=1e308)}, r"--safety-margin 1e\+308 with batches"),
    ],
)
def test_a_world_that_cannot_be_is_refused(changed, message):
    settings = {"weights_K": [1, 1, 1], "zero_grad_rates_K": [0, 0, 0], "batch_size": 8, "slots": 8, "steps": 1}
    with pytest.raises(ValueError, match=message):
        World(**{**settings, **changed})


def parse(*argv):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(argv)


def test_weights_that_do_not_fit_the_rates_of_the_command_are_refused_with_these():
    with pytest.raises(ValueError, match=r"2 --weights and 3 --zero-grad-rates \(0\.7,0\.3,0\.45 unless"):
        run(parse("--weights", ".5,.5"))


def test_the_help_has_a_word_on_every_sampler():
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    below = parser.format_help().partition("\nsamplers")[2]
    assert re.findall(r"^  ([a-z-]+)  ", below, re.MULTILINE) == sorted(SAMPLERS, key=below.index)


def test_the_command_prints_one_json_list(capsys):
    arguments = "--weights .43,.11,.46 --zero-grad-rates .7,.3,.45 --batch-size 32 --slots 64 --steps 3 --seed 0 --json"
    assert run(parse(*arguments.split())) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["sampler"] for row in rows] == list(SAMPLERS)
    assert all(list(row) == KEYS for row in rows)


def test_the_command_prints_a_table_and_writes_a_picture(capsys, tmp_path):
    picture = tmp_path / "new" / "cost.png"
    assert run(parse("--steps", "2", "-o", str(picture))) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in SAMPLERS)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_run_that_trains_on_nothing_has_no_price_per_trained_group(capsys, tmp_path):
    picture = tmp_path / "cost.svg"
    assert run(parse("--weights", "1", "--zero-grad-rates", "1", "--steps", "2", "-o", str(picture))) == 0
    assert "-" in capsys.readouterr().out.split()
    assert picture.exists()
    row = simulate("lean", World(np.ones(1), np.ones(1), batch_size=4, slots=4, steps=2))
    assert row["rollouts_per_trained_group"] is row["trained_over_informative"] is None
    assert row["rollouts_per_step"] == 4 * 8


def test_a_sampler_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(ValueError, match="no sampler 'best'; there are rounds, streaming, dapo, oracle"):
        run(parse("--samplers", "rounds,best"))


@pytest.mark.parametrize("name", ["x.txt", "x", "."])
def test_a_picture_of_no_known_format_is_refused_before_anything_is_simulated(capsys, name):
    with pytest.raises(SystemExit):
        parse("-o", name)
    assert "is not the name of a .png, .svg or .pdf file" in capsys.readouterr().err


def test_a_setting_that_no_chosen_sampler_reads_is_refused():
    with pytest.raises(ValueError, match="no sampler of --samplers rounds,lean reads --max-inflight: leave it out"):
        run(parse("--samplers", "rounds,lean", "--max-inflight", "5", "--steps", "1"))
    with pytest.raises(ValueError, match="--samplers lean reads --quota, --oversample: leave them out"):
        run(parse("--samplers", "lean", "--quota", "rounded", "--oversample", "2", "--steps", "1"))
    assert run(parse("--samplers", "streaming", "--max-inflight", "5", "--steps", "1")) == 0


def test_a_list_that_is_none_is_refused(capsys):
    with pytest.raises(SystemExit):
        parse("--weights", "a,b")
    assert "not a list of numbers" in capsys.readouterr().err
