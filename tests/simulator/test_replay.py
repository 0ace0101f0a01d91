"""Replays of a made-up run: other settings, drawn groups, figures, and the command."""

import json
from dataclasses import replace

import numpy as np
import pytest

from mt_grpo_recipe.cli import main
from mt_grpo_recipe.config import ConfigError
from mt_grpo_recipe.history.files import DECISIONS, OUTCOMES
from mt_grpo_recipe.history.reading import HistoryError, RecordedRun, RecordedStep
from mt_grpo_recipe.history.record import RecordedGroup
from mt_grpo_recipe.simulator.replay import Pool, ReplayedStep, StepGroups, check_record, replay
from mt_grpo_recipe.simulator.replay_cli import settings_of
from mt_grpo_recipe.simulator.replay_cost import TITLES, replay_cost

RATES = (0.7, 0.2)
SAMPLER = {"schedule": "streaming", "quota": "stratified", "max_resample_rounds": 3}


def group(task, right, tokens=40, ended=1, launched=0):
    return RecordedGroup(task, launched, ended, right / 4, 4, 0 < right < 4, tokens)


def recorded(steps=12, batch_size=4, sampler=SAMPLER, seed=0):
    """A run of two tasks that lose seven and two of ten groups to the filter; no step uses up all its groups."""
    rng = np.random.default_rng(seed)
    weights = [0.5, 0.5]
    made = RecordedRun(["a/b", "a_b"], batch_size, 0, "none", {}, sampler, [])
    for _ in range(steps):
        groups = [
            group(task, int(rng.choice([0, 4])) if rng.random() < RATES[task] else 2, ended=int(rng.integers(1, 5)))
            for task in (0, 1) * 40
        ]
        made.steps.append(RecordedStep(weights, [], [], groups))
    return made


def test_groups_come_in_the_order_of_their_task_and_then_from_nearby_steps():
    steps = [RecordedStep([1.0, 0.0], [], [], [group(0, right, tokens=right)] * 40) for right in (1, 2, 3)]
    steps[1] = RecordedStep([1.0, 0.0], [], [], [group(1, 4), group(0, 2, tokens=11), group(0, 0, tokens=12)])
    run = RecordedRun(["a", "b"], 4, 0, "none", {}, SAMPLER, steps)
    config = settings_of(run, [])
    groups = StepGroups(run, 1, Pool(run, seed=0), config)
    endings = [groups.launch(0) for _ in range(60)]
    assert [ending.result.tokens for ending in endings[:2]] == [11, 12] and groups.drawn == 58
    # Two groups of the step itself, and 40 of the step on either side.
    tokens = [ending.result.tokens for ending in endings[2:]]
    assert {1, 3} <= set(tokens) <= {1, 3, 11, 12}
    again = StepGroups(run, 1, Pool(run, seed=0), config)
    assert [again.launch(0) for _ in range(60)] == endings
    # Steps that have enough of the task draw from themselves.
    first = StepGroups(run, 0, Pool(run, seed=0), config)
    assert {first.launch(0).result.tokens for _ in range(100)} == {1}


def test_a_task_of_which_nothing_ended_cannot_be_replayed_beyond_its_record():
    steps = [RecordedStep([0.0, 1.0], [], [], [group(0, 2)] * 40)]
    run = RecordedRun(["a", "never"], 4, 0, "none", {}, SAMPLER, steps)
    with pytest.raises(HistoryError, match="task 'never', but none of them ended"):
        list(replay(run, settings_of(run, [])))


@pytest.mark.parametrize(
    ("changes", "fewer"),
    [(["sampler.schedule=budget"], True), (["sampler.schedule=rounds", "mt_grpo.sampler.oversample=5"], False)],
)
def test_another_setting_costs_what_its_sampler_asks_for(changes, fewer):
    run = recorded()
    own, other = (
        replay_cost(["a-b", "a-b-2"], list(replay(run, settings_of(run, assignments)))) for assignments in ([], changes)
    )
    assert own.keys() == other.keys() == TITLES.keys()
    assert (other["prompts_per_step"] < own["prompts_per_step"]) == fewer
    if fewer:
        assert other["prompts_per_step"] == run.batch_size and other["rounds_per_step"] == 1
    else:
        assert other["prompts_per_step"] >= 5 * run.batch_size


def test_the_filter_is_applied_anew():
    only_format = RecordedGroup(0, 0, 1, accuracy=0.0, rollouts=4, spread=True, tokens=1)
    run = RecordedRun(["a"], 4, 0, "none", {}, SAMPLER, [RecordedStep([1.0], [], [], [only_format] * 60)] * 2)
    strict, lenient, off = (
        replay_cost(["a"], list(replay(run, settings_of(run, assignments))))
        for assignments in (
            [],
            ["sampler.informative=spread"],
            ["sampler.schedule=rounds", "sampler.drop_uninformative=false", "sampler.ratio=false"],
        )
    )
    assert strict["skipped_steps"] == 1 and strict["rollouts_per_trained_group"] is None
    assert lenient["trained_per_step"] == 4 and lenient["skipped_steps"] == 0
    assert off["prompts_per_step"] == off["trained_per_step"] == 4


def test_surplus_that_is_stopped_is_not_paid_for():
    late = [group(0, 2, ended=100 if number >= 4 else 1) for number in range(60)]
    sampler = {**SAMPLER, "safety_margin": 4.0}
    run = RecordedRun(["a"], 4, 0, "none", {}, sampler, [RecordedStep([1.0], [], [], late)])
    drained, aborted = (
        replay_cost(["a"], list(replay(run, settings_of(run, assignments))))
        for assignments in ([], ["sampler.surplus=abort"])
    )
    assert drained["prompts_per_step"] == aborted["prompts_per_step"] > 4
    assert aborted["rollouts_per_step"] == 16 < drained["rollouts_per_step"]


def test_groups_that_a_run_stopped_are_drawn_where_nothing_is_stopped():
    groups = [group(0, 2, ended=1 if number < 4 else None) for number in range(60)]
    sampler = {**SAMPLER, "surplus": "abort", "safety_margin": 4.0}
    run = RecordedRun(["a"], 4, 0, "none", {}, sampler, [RecordedStep([1.0], [], [], groups)] * 2)
    own, drained = (list(replay(run, settings_of(run, assignments))) for assignments in ([], ["sampler.surplus=drain"]))
    assert [step.drawn for step in own] == [0, 0]
    assert all(step.drawn == step.selection.launched_K.sum() - 4 > 0 for step in drained)
    assert all(step.selection.finished_K == step.selection.launched_K for step in drained)


def test_the_figures_by_hand():
    def step(weights, quota_share, share, trained, rollouts, drawn):
        metrics = {"mt_grpo/rounds": 1, "mt_grpo/failed_groups": 0, "mt_grpo/skipped_update": 0.0}
        for task, name in enumerate("ab"):
            of_task = {
                "target_share": quota_share[task],
                "batch_share": share[task],
                "trained": trained[task],
                "generated": 10,
                "informative": 5,
                "shortfall": 1,
                "generated_rollouts": rollouts,
                "trained_rollouts": 4 * trained[task],
                "generated_tokens": 100,
            }
            metrics |= {f"mt_grpo/{key}/{name}": value for key, value in of_task.items()}

        class Selected:
            launch_ids = range(sum(trained))

        return ReplayedStep(np.array(weights), Selected, metrics, drawn)

    steps = [
        step([0.5, 0.5], [0.5, 0.5], [0.75, 0.25], [3, 1], 40, 0),
        step([0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [9, 1], 30, 4),
    ]
    figures = replay_cost(["a", "b"], steps)
    assert figures["prompts_per_step"] == 20 and figures["rollouts_per_step"] == 70
    assert figures["trained_per_step"] == 7 and figures["rollouts_per_trained_group"] == 10
    assert figures["trained_rollouts_share"] == pytest.approx(56 / 140)
    assert figures["max_share_error"] == pytest.approx(0.125) and figures["drawn_share"] == 0.1
    # Due: 4 * .5 + 10 * .9 = 11 of task a; trained 12 of 14.
    assert figures["cumulated_share_error"] == pytest.approx(1 / 14)


def write(folder, run, replayed):
    """A run that did what the replay did."""
    folder.mkdir()
    header = {"format": 1, **{key: value for key, value in vars(run).items() if key != "steps"}}
    outcomes, decisions = [{"step": 0, **header}], []
    for number, (step, again) in enumerate(zip(run.steps, replayed, strict=True), start=1):
        columns = dict(zip(RecordedGroup._fields, map(list, zip(*step.groups, strict=True)), strict=True))
        outcomes.append({"step": number, **columns})
        chosen, quota = again.selection.launch_ids, again.selection.quota_K.tolist()
        decisions.append({"step": number, "weights": step.weights, "quota": quota, "rows": [], "chosen": chosen})
    for name, rows in ((DECISIONS, decisions), (OUTCOMES, outcomes)):
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture
def command(capsys):
    def call(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(["replay", *map(str, arguments)])
        return ended.value.code, capsys.readouterr().out

    return call


def test_the_command_prints_both_and_what_is_not_known(tmp_path, command):
    run = recorded()
    folder = write(tmp_path / "run", run, list(replay(run, settings_of(run, []))))
    status, text = command(folder)
    assert status == 0 and "12 steps" in text and "change" not in text
    status, text = command(folder, "--set", "sampler.schedule=rounds", "--set", "sampler.oversample=25")
    assert status == 0 and "replayed with sampler.schedule=rounds sampler.oversample=25" in text
    assert "how another batch would have changed them is not known" in text
    status, text = command(folder, "--json", "--set", "sampler.max_inflight=1")
    said = json.loads(text)
    assert status == 0 and said["steps"] == 12 and said["set"] == ["sampler.max_inflight=1"]
    assert said["recorded"].keys() == said["replayed"].keys() == TITLES.keys()


def test_a_record_that_does_not_repeat_itself_is_refused(tmp_path, command):
    run = recorded()
    steps = list(replay(run, settings_of(run, [])))
    folder = write(tmp_path / "run", run, steps)
    text = (folder / DECISIONS).read_text().splitlines()
    row = json.loads(text[4])
    text[4] = json.dumps(row | {"chosen": row["chosen"][::-1]})
    (folder / DECISIONS).write_text("\n".join(text) + "\n")
    status, _ = command(folder)
    assert "comes out differently in step 5" in status
    with pytest.raises(HistoryError, match="in step 1"):
        check_record(run, steps)  # made up without choices


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("sampler.max_inflight=0", "it must be a number, 1 or more"),
        ("sampler.typo=1", "sampler.typo is unknown"),
        ("sampler.schedule=none", "must be one of rounds, streaming, budget"),
        ("weights.trade_off=1", "give a setting of the sampler"),
        ("sampler.oversample", "give a setting of the sampler"),
        ("sampler.stall_timeout_s=9", "no effect in a replay"),
        ("sampler.poll_interval_s=9", "no effect in a replay"),
        ("sampler.quota={", "cannot be read as YAML"),
        ("sampler.quota=2020-13-45", "cannot be read as YAML"),
        ("sampler.oversample=", "give a setting of the sampler"),
        ("sampler.schedule=[a]", r"schedule=\['a'\] cannot be used: it must be one of rounds"),
        ("sampler.schedule={a: 1}", "must be one of rounds"),
        ("sampler.schedule=2020-01-01", r"mt_grpo\.sampler\.schedule: Value 'date' is not"),
        ("sampler.oversample=[1]", r"mt_grpo\.sampler\.oversample: "),
        ("sampler.oversample=.inf", "oversample=inf cannot be used"),
        ("sampler.oversample=1e+9", r"oversample=1e\+09 with batches of 4 groups: at most 1,000,000 groups can"),
        ("sampler.max_inflight=1.0e+308", r"max_inflight=1e\+308 with batches of 4 groups"),
        ("sampler.safety_margin=1.0e+308", r"safety_margin=1e\+308 with batches of 4 groups"),
    ],
)
def test_what_cannot_be_set_is_refused_in_words(assignment, words):
    with pytest.raises(ValueError, match=words):
        settings_of(recorded(1), [assignment])


def test_a_replay_has_the_loss_weights_of_the_run():
    run = replace(recorded(1), loss_weighting="residual", max_loss_weight=1.5)
    config = settings_of(run, [])
    assert (config.loss_weighting, config.max_loss_weight) == ("residual", 1.5)


def test_a_seed_that_cannot_be_or_would_not_be_read_is_named(tmp_path, command):
    run = recorded(2)
    folder = write(tmp_path / "run", run, list(replay(run, settings_of(run, []))))
    other = ("--set", "sampler.max_inflight=1")
    assert command(folder, *other, "--seed", -1)[0] == "mt-grpo replay: --seed -1: it must be 0 or more"
    assert command(folder, "--seed", 5)[0] == (
        "mt-grpo replay: --seed 5 without --set: nothing is drawn under the run's own settings. Leave it out"
    )
    assert command(folder, *other, "--seed", 5)[0] == 0


def test_a_filter_that_the_rewards_do_not_allow_is_refused():
    run = RecordedRun(["a"], 4, 0, "none", {"range": [0.0, 5.0]}, {**SAMPLER, "informative": "spread"}, [])
    assert settings_of(run, []).rewards.range == [0.0, 5.0]
    with pytest.raises(ConfigError, match=r"rewards\.range, under which no rollout is right or wrong"):
        settings_of(run, ["sampler.informative=mixed"])


def test_a_new_schedule_takes_over_what_both_read_and_refuses_what_it_does_not():
    run = recorded(1, sampler={**SAMPLER, "max_inflight": 2.0, "acceptance_decay": 0.5})
    assert settings_of(run, ["sampler.schedule=rounds"]).sampler.acceptance_decay == 0.5
    with pytest.raises(ConfigError, match="max_inflight=2 would have no effect"):
        settings_of(run, ["sampler.schedule=rounds", "sampler.max_inflight=2"])
