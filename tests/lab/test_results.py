"""What run_scripts/mini/RESULTS.md says of the comparison at equal rollouts, against the committed logs."""

import re
from statistics import fmean

import budgets
import comparisons
import equal_rollouts
import numpy as np
import pytest

from mt_grpo_recipe.algorithm.acceptance import AcceptanceTracker
from mt_grpo_recipe.metrics import GENERATED, TRAINED, WEIGHT

PAGES = ("RESULTS", "EQUAL_ROLLOUTS", "EQUAL_STEPS")


@pytest.mark.parametrize("setting", comparisons.SETTINGS)
def test_the_results_show_a_table_of_each_setting(setting):
    described = comparisons.SETTINGS[setting]
    runs = budgets.runs_of("report", setting)
    table = equal_rollouts.summary_rows(runs, described.level, described.ours, equal_rollouts.BELOW_GRPO)
    assert "\n".join(table) in (comparisons.MINI / "RESULTS.md").read_text(encoding="utf-8")


def test_every_interval_that_the_results_and_the_readme_state_is_in_a_table():
    """Without its sign, which depends on which of two methods is taken from which, and to one decimal."""
    interval = re.compile(r"(\d+\.\d+) ± (\d+\.\d+)")
    tables = {name: (comparisons.MINI / f"{name}.md").read_text(encoding="utf-8") for name in PAGES}
    readme = (comparisons.MINI.parents[1] / "README.md").read_text(encoding="utf-8")
    lines = tables["RESULTS"].splitlines() + readme.splitlines()
    prose = " ".join(line.strip() for line in lines if not line.startswith("|"))
    stated = [tuple(f"{float(number):.1f}" for number in pair) for pair in interval.findall(prose)]
    assert len(stated) > 20
    assert not set(stated) - {found for text in tables.values() for found in interval.findall(rows_of(text))}


def rows_of(text):
    return "\n".join(line for line in text.splitlines() if line.startswith("|"))


@pytest.mark.parametrize("setting", comparisons.SETTINGS)
def test_the_methods_that_the_results_leave_out_are_below_grpo(setting):
    runs = budgets.by_method(budgets.runs_of("report", setting))
    worst_of = {
        method: fmean(budgets.mean_over_budgets(run, budgets.worst_accuracy) for run in own)
        for method, versions in runs.items()
        for own in versions.values()
    }
    left_out = worst_of.keys() & set(equal_rollouts.BELOW_GRPO)
    assert all(worst_of[method] < worst_of["grpo"] for method in left_out)
    assert left_out or not comparisons.SETTINGS[setting].grid


def test_three_of_those_differences_from_grpo_do_not_count():
    def lead(setting, method):
        of_grpo, own = (
            np.array([budgets.mean_over_budgets(run, budgets.worst_accuracy) for run in reported(setting, name)])
            for name in ("grpo", method)
        )
        return (of_grpo - own).tolist()

    leads = {
        (setting, method): lead(setting, method)
        for setting in ("equal", "nine", "unequal")
        for method in equal_rollouts.BELOW_GRPO
        if method in comparisons.SETTINGS[setting].batches
    }
    assert {key for key, values in leads.items() if fmean(values) <= budgets.half_width(values)} == {
        ("equal", "mt_grpo_0.1"),
        ("equal", "mt_grpo_reg"),
        ("unequal", "mt_grpo_reg"),
    }
    assert "Each of these differences is significant but three" in words_of_the_results()


def reported(setting, method):
    """The runs of one method."""
    return next(iter(budgets.by_method(budgets.runs_of("report", setting))[method].values()))


def mean_of(setting, method, measure):
    return fmean(measure(run) for run in reported(setting, method))


def groups_to_level(setting, method):
    """Mean over the seeds, as the tables have it: a run that does not get there counts as all of its groups."""
    level = comparisons.SETTINGS[setting].level
    return mean_of(setting, method, lambda run: min(budgets.groups_to(run, level), comparisons.GROUPS))


def ratio_of_groups(setting, method, other):
    return groups_to_level(setting, method) / groups_to_level(setting, other)


def words_of_the_results():
    return " ".join((comparisons.MINI / "RESULTS.md").read_text(encoding="utf-8").split())


def test_shares_and_ratios_that_the_results_state():
    """Numbers of the text that stand in no table."""
    text = words_of_the_results()
    settings = ("equal", "nine", "unequal")
    lean, iwu = ([mean_of(s, method, budgets.share_error) for s in settings] for method in ("mt_grpo_lean", "grpo_iwu"))
    equal, nine, unequal = (mean_of(s, "mt_grpo", budgets.trained_over_informative) for s in settings)
    to_level = [
        ratio_of_groups("equal", ours, other)
        for ours in ("mt_grpo_lean", "grpo_iwu")
        for other in ("static_mix", "gdro")
    ]
    evenly = ratio_of_groups("unequal", "grpo", "mt_grpo_lean")
    stated = [
        f"({lean[0]:.1f}, {lean[1]:.1f} and {lean[2]:.1f} points off with three tasks, nine, and unequal files, "
        f"instead of {iwu[0]:.1f}, {iwu[1]:.1f} and {iwu[2]:.1f})",
        f"no task's share is more than {max(lean):.1f} points off its weight",
        f"trains on {nine:.0f} % (nine tasks), {unequal:.0f} % (unequal files) and {equal:.0f} % (three tasks)",
        f"`mt_grpo_lean` needs {to_level[0]:.2f} times as many as the static mix, which is the best one, "
        f"and at most {to_level[1]:.2f} times as many as `gdro`; "
        f"`grpo_iwu`, {to_level[2]:.2f} and at most {to_level[3]:.2f} times.",
        f"with at most {to_level[1]:.2f} times its rollouts",
        f"takes at least {evenly:.1f} times as many rollouts to 40 %",
    ]
    assert [sentence for sentence in stated if sentence not in text] == []
    ends = [budgets.at_groups(run, budgets.worst_accuracy, 2400) for run in reported("equal", "grpo")]
    assert "are at 47.8 %, above nine of ten here" in text
    assert sum(end < 47.8 for end in ends) == 9 and len(ends) == 10


def test_accuracies_that_the_results_state():
    """Of the rare task at the beginning and in the end, with tasks drawn as they come, and how far ours is ahead."""
    text = words_of_the_results()

    def accuracy(method, groups, setting="unequal", measure=budgets.worst_accuracy):
        return mean_of(setting, method, lambda run: budgets.at_groups(run, measure, groups))

    plain, streaming = "grpo_proportional", "dapo_stream_proportional"
    lead = [
        accuracy("mt_grpo_lean", 2400, measure=measure) - accuracy(other, 2400, measure=measure)
        for measure in budgets.MEASURES.values()
        for other in (plain, streaming)
    ]
    stated = [
        f"from {accuracy(plain, 0):.0f} to {accuracy(plain, 2400):.0f} % after 2,400 groups",
        f"With 90 : 1 : 9 plain verl ends at {accuracy(plain, 2400, 'rare'):.0f} %",
        "after 2,400 groups it is {:.0f} and {:.0f} points, and {:.0f} and {:.0f}".format(*lead),
    ]
    assert [sentence for sentence in stated if sentence not in text] == []
    assert accuracy(streaming, 2400) < accuracy(plain, 2400), "does no better"


def has_an_idle_task(run):
    """Whether a step of the budget sampler began with a task that had shown no informative group for long."""
    tracker = AcceptanceTracker(len(run.trained_tasks), decay=0.9)
    generated, trained = (
        np.stack([run.series(metric.of(task)).values for task in run.trained_tasks], axis=1).astype(int)
        for metric in (GENERATED, TRAINED)
    )
    for generated_K, trained_K in zip(generated, trained, strict=True):
        if tracker.idle_K.any():
            return True
        tracker.update(generated_K - trained_K, generated_K)
    return False


def test_how_far_the_runs_with_nine_tasks_rose_once_the_sampler_was_mended():
    text, replaced = words_of_the_results(), budgets.by_method(budgets.runs_of("replaced", "nine"))

    def worst(runs):
        return np.array([budgets.mean_over_budgets(run, budgets.worst_accuracy) for run in runs])

    def before(method):
        return worst(replaced[method][9, comparisons.LEARNING_RATE])

    first, second = before("mt_grpo_lean"), worst(reported("nine", "mt_grpo_lean"))
    with_fault = np.array(list(map(has_an_idle_task, replaced["mt_grpo_lean"][9, comparisons.LEARNING_RATE])))
    assert with_fault.sum() == 6
    assert first[with_fault].mean() < first[~with_fault].mean()
    rose = second - first
    lead = (first - worst(reported("nine", "static_mix"))).mean()
    smallest, medium = (
        (worst(reported("nine", name)), before(name)) for name in ("mt_grpo_lean_0.1", "mt_grpo_lean_0.4")
    )
    stated = [
        f"The first were {lead:.1f} points above the static mix",
        f"{rose[with_fault].mean():.1f} in the six seeds whose first runs have steps with the fault, "
        f"{rose[~with_fault].mean():.1f} in the other four",
        f"λ = 0.1 rose as well ({smallest[0].mean():.1f} after {smallest[1].mean():.1f} %), "
        f"λ = 0.4 did not ({medium[0].mean():.1f} after {medium[1].mean():.1f} %)",
    ]
    assert [sentence for sentence in stated if sentence not in text] == []


def test_the_check_with_fresh_seeds():
    ours, text = reported("fresh", "mt_grpo_lean"), words_of_the_results()

    def lead(over, measure, groups=None):
        values = [
            budgets.at_groups(one, measure, groups) - budgets.at_groups(other, measure, groups)
            if groups
            else budgets.mean_over_budgets(one, measure) - budgets.mean_over_budgets(other, measure)
            for one, other in zip(ours, reported("fresh", over), strict=True)
        ]
        return budgets.cell(values)

    worst, average = budgets.MEASURES.values()
    baselines = ("grpo", "gdro", "dapo_stream")
    over_budgets = [lead(over, worst) for over in baselines]
    stated = [
        "by {}, {} and {} points over the budgets on ten fresh seeds".format(*over_budgets),
        f"it is {lead('grpo', worst, 2400)} above GRPO's and {lead('dapo_stream', worst, 2400)} above DAPO's; "
        f"over `gdro`, {lead('gdro', worst, 2400)} is not significant",
        "({}, {} and {})".format(*(lead(over, average) for over in baselines)),
        f"**{lead('static_mix', worst)} on the worst task, and {lead('static_mix', average)} on the average**",
        f"the fresh ones {lead('grpo_iwu', worst)}",
    ]
    assert [sentence for sentence in stated if sentence not in text] == []
    fresh, ten = (
        fmean(budgets.mean_over_budgets(run, worst) for run in reported(setting, "mt_grpo_lean"))
        for setting in ("fresh", "nine")
    )
    assert f"is at {fresh:.1f} % there, and at {ten:.1f} % in the first ten" in text


def test_where_the_largest_trade_off_has_its_weight():
    """On one task at a time, which is an ARC task for most of the run."""
    runs = reported("nine", "mt_grpo_lean_1.2")
    weights = [np.stack([run.series(WEIGHT.of(task)).values for task in run.trained_tasks]) for run in runs]
    share = 100 * fmean(float(of_run.max(0).mean()) for of_run in weights)
    assert f"{share:.0f} % of the weight is on one task at a time" in words_of_the_results()
    for run, of_run in zip(runs, weights, strict=True):
        heaviest = [run.trained_tasks[task] for task in of_run.argmax(0)]
        assert fmean(task.startswith("arc") for task in heaviest) > 0.75
