"""Join the attempts at one run into one record of its training."""

from __future__ import annotations

from mt_grpo_recipe.metrics import AVERAGE_ACCURACY, STEPS_LEFT, TASK_ACCURACY, WORST_TASK_ACCURACY, is_step_metric
from mt_grpo_recipe.report.read.attempts import Attempt, Records

STEP_SECONDS = "timing_s/step"
"""Seconds of a training step. verl times validation separately."""


def is_training(data: dict[str, float]) -> bool:
    """Whether a record comes from a training step, and not from a validation alone."""
    return any(map(_of_a_training_step, data))


def training_metrics(data: dict[str, float]) -> dict[str, float]:
    """The part of a record that a training step writes, and a validation alone does not."""
    return {name: value for name, value in data.items() if _of_a_training_step(name)}


def _of_a_training_step(name: str) -> bool:
    return name == STEP_SECONDS or is_step_metric(name) or name.startswith("actor/")


def is_validation(data: dict[str, float]) -> bool:
    """Whether a record holds validation accuracies."""
    summaries = (WORST_TASK_ACCURACY.name, AVERAGE_ACCURACY.name)
    return any(name in summaries or name.startswith(TASK_ACCURACY.of("")) for name in data)


def join(attempts: list[Attempt]) -> tuple[Records, list[str]]:
    """Join attempts in their order: one that starts at step s replaces what earlier ones wrote from s on.

    Returns:
        The metrics by step, in rising order, and sentences on steps that are lost for good.
    """
    joined: Records = {}
    problems: list[str] = []
    for attempt in attempts:
        if not attempt.records:
            continue
        start = min(attempt.records)
        if start <= 1 and _has_finished(joined):
            problems.append(
                f"{attempt.path.name} starts over although the run had finished: if it is a run of its own, give it a "
                "directory or a name of its own"
            )
        dropped = [step for step in joined if step > start]
        if any(is_training(joined[step]) for step in dropped):
            # Mere overlap is what a resume looks like; only steps that no later attempt rewrote are worth reporting.
            gone = [step for step in dropped if step not in attempt.records]
            if gone:
                problems.append(f"steps left out, as {attempt.path.name} went back to step {start}: {_span(gone)}")
        for step in dropped:
            del joined[step]
        if is_training(attempt.records[start]):
            joined.pop(start, None)
        for step, data in attempt.records.items():
            # A resumed run validates at the step it resumes from: that step's training metrics stay.
            joined.setdefault(step, {}).update(data)
    return {step: joined[step] for step in sorted(joined)}, problems


def _has_finished(records: Records) -> bool:
    return bool(records) and records[max(records)].get(STEPS_LEFT.name) == 0


def unfinished(records: Records) -> list[str]:
    """Sentences on what a joined log lacks: steps in between, validations, its end."""
    trained = [step for step, data in records.items() if is_training(data)]
    if not trained:
        return ["no training step is logged yet"]
    problems = []
    missing = sorted(set(range(1, trained[-1] + 1)) - set(trained))
    if missing:
        problems.append(f"steps not logged: {_span(missing)}")
    validated = [step for step, data in records.items() if is_validation(data)]
    last = trained[-1]
    left = int(records[last].get(STEPS_LEFT.name, 0))
    # An older log does not say how many steps are left; verl validates on the last, if it does while training.
    unsaid = STEPS_LEFT.name not in records[last]
    if left or (unsaid and validated and validated[-1] < last):
        problems.append(
            f"unfinished: it stops at step {last}"
            + (f" of {last + left}" if left else "")
            + (f", last validated at step {validated[-1]}" if validated else "")
        )
    if not validated:
        problems.append("no validation is logged")
    return problems + _missing_at_the_end({step: records[step] for step in validated})


def _missing_at_the_end(validations: Records) -> list[str]:
    """A sentence on each task that the last validation lacks, such as one whose rewards failed."""
    prefix = TASK_ACCURACY.of("")
    last_of: dict[str, int] = {}
    for step, data in validations.items():
        last_of |= {name.removeprefix(prefix): step for name in data if name.startswith(prefix)}
    last = max(last_of.values(), default=0)
    return [
        f"the validation of step {last} lacks {task}, whose last accuracy is that of step {step}"
        for task, step in last_of.items()
        if step < last
    ]


def _span(steps: list[int]) -> str:
    """Write rising steps as ranges: [3, 4, 5, 9] is "3-5, 9"."""
    spans: list[list[int]] = []
    for step in steps:
        if spans and step == spans[-1][1] + 1:
            spans[-1][1] = step
        else:
            spans.append([step, step])
    return ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in spans)
