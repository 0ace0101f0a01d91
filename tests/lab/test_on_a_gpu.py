"""What verl_plugin/README.md says of the runs on a GPU is what their committed logs give, beside the runs on a CPU."""

import gzip
import json
from pathlib import Path
from statistics import fmean, median

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "mt_grpo_recipe" / "verl_plugin" / "README.md").read_text(encoding="utf-8")
LOGS = ROOT / "run_scripts" / "mini" / "logs"
ON_GPU = LOGS / "h100" / "mt_grpo_lean-0"
WITH_GRAPHS = LOGS / "h200" / "mt_grpo_lean-0"
ON_CPU = [LOGS / "equal" / f"mt_grpo_lean-{seed}" for seed in (0, 1, 2)]


def attempts(run):
    """The steps of each start of a run: step -> what it logged."""
    for log in sorted(run.glob("*.jsonl.gz")):
        lines = map(json.loads, gzip.decompress(log.read_bytes()).decode().splitlines())
        yield {line["step"]: line["data"] for line in lines}


def accuracies(run, step):
    """Worst task and average in per cent, as the first start that validated at this step has them."""
    data = next(records[step] for records in attempts(run) if step in records)
    values = [100 * value for name, value in data.items() if name.startswith("val-core/mt_grpo/acc/")]
    assert len(values) == 3
    return min(values), fmean(values)


def test_the_table():
    for step in (0, 20, 40, 60):
        (worst, average), on_cpu = accuracies(ON_GPU, step), [accuracies(run, step) for run in ON_CPU]
        cpu_worst, cpu_average = (", ".join(f"{value:.1f}" for value in values) for values in zip(*on_cpu, strict=True))
        assert f"| {step} | {worst:.1f} | {cpu_worst} | {average:.1f} | {cpu_average} |\n" in PAGE


def test_where_it_was_killed_and_how_it_went_on():
    first, second = attempts(ON_GPU)
    assert (max(first), min(second), max(second)) == (24, 20, 74)
    assert "killed after step 24, resumed from the checkpoint\nof step 20" in PAGE and "after step 74 of 80" in PAGE
    weights = [name for name in first[21] if name.startswith("mt_grpo/weight/")]
    assert len(weights) == 3
    assert all(second[21][name] == first[21][name] != first[20][name] for name in weights)


def test_times_and_agreement_of_the_probabilities():
    steps = [data for records in attempts(ON_GPU) for data in records.values() if "timing_s/step" in data]
    trained = [data for data in steps if "timing_s/gen" in data]
    step_s, generation_s = (median(data[f"timing_s/{name}"] for data in trained) for name in ("step", "gen"))
    assert f"A step took {step_s:.1f} s (median), {generation_s:.1f} s of it generation" in PAGE
    agreement = [data["training/rollout_actor_probs_pearson_corr"] for data in trained]
    assert len(agreement) == len(steps) - 1 and min(agreement) >= 0.999


def test_the_run_with_cuda_graphs():
    (steps,) = attempts(WITH_GRAPHS)
    trained = [data for step, data in steps.items() if step > 0]
    words = " ".join(PAGE.split())
    assert len(trained) == max(steps) and f"{len(trained)} of 80 steps, each with a gradient" in words
    assert all(sum(data[name] for name in data if name.startswith("mt_grpo/trained/")) > 0 for data in trained)
    step_s, generation_s = (median(data[f"timing_s/{name}"] for data in trained) for name in ("step", "gen"))
    assert f"A step took {step_s:.1f} s (median), {generation_s:.1f} s of it generation, and" in words
    assert min(data["training/rollout_actor_probs_pearson_corr"] for data in trained) >= 0.998
    (worst_0, average_0), (worst_20, average_20), (worst_40, average_40) = (
        accuracies(WITH_GRAPHS, step) for step in (0, 20, 40)
    )
    stated = (
        f"were {worst_0:.1f} and {average_0:.1f} % at the start, {worst_20:.1f} and {average_20:.1f} % after step 20, "
        f"{worst_40:.1f} and {average_40:.1f} % after step 40."
    )
    assert stated in words
