"""Settings of every rule, for tests that hold for all of them."""

from mt_grpo_recipe.algorithm.settings import RULES


def needed_settings(rule, tasks):
    """What a rule requires, beside its defaults, to train these tasks."""
    needed = {
        "sequential": {"stages": [[task] for task in tasks], "stage_steps": 3},
        "targets": {"targets": {tasks[-1]: 0.6}, "floors": {tasks[0]: "start"}, "tolerance": 0.1},
    }
    return needed.get(rule, {})


def example_settings(rule, tasks, **others):
    """Settings of a rule at their defaults, with what it requires to train these tasks."""
    return RULES[rule](**needed_settings(rule, tasks), **others)
