"""Seeded logs that look like real ones: weights move, a task is hard, the sampler falls short now and then."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

TASKS = ("countdown", "arc", "zebra")


def synthetic_lines(
    tasks: Sequence[str] = TASKS,
    steps: int = 60,
    test_freq: int = 10,
    seed: int = 0,
    skill: float = 1.0,
    focus: float = 1.0,
    batch_size: int = 32,
) -> list[dict]:
    """One dict per logged line, `{"step", "data"}`, starting with the validation of step 0.

    Args:
        tasks: names of the K tasks; the later a task comes, the slower it is learnt.
        steps: training steps.
        test_freq: steps from one validation to the next; the last step is validated too.
        seed: seed of the noise.
        skill: how fast accuracy rises.
        focus: how strongly the weights follow the weakest task; 0 keeps them uniform.
        batch_size: B, prompts per batch.
    """
    rng = np.random.default_rng(seed)
    k = len(tasks)
    speed_K = skill / (10 + 25 * np.arange(k))
    ceiling_K = np.linspace(0.92, 0.6, k)
    logits_K = np.zeros(k)
    lines = [{"step": 0, "data": _validation(tasks, 0.02 + 0.1 * rng.random(k))}]
    for step in range(1, steps + 1):
        accuracy_K = np.clip(ceiling_K * (1 - np.exp(-speed_K * step)) + rng.normal(0, 0.015, k), 0.01, 0.99)
        z_K = np.exp(logits_K) / np.exp(logits_K).sum()
        data = _training_step(step, steps - step, tasks, accuracy_K, z_K, batch_size, rng)
        if step % test_freq == 0 or step == steps:
            data |= {"timing_s/testing": 20.0} | _validation(tasks, accuracy_K)
        lines.append({"step": step, "data": data})
        logits_K += focus * 0.15 * (accuracy_K.mean() - accuracy_K)
    return lines


def _training_step(
    step: int,
    steps_left: int,
    tasks: Sequence[str],
    accuracy_K: np.ndarray,
    z_K: np.ndarray,
    batch_size: int,
    rng: np.random.Generator,
) -> dict[str, float]:
    quota_K = rng.multinomial(batch_size, z_K)
    zero_K = np.clip(np.abs(accuracy_K - 0.45) * 1.6 + rng.normal(0, 0.04, len(tasks)), 0, 0.98)
    short_K = np.minimum(quota_K, rng.poisson(1.5 * zero_K**6))
    chosen_K = quota_K - short_K
    generated_K = np.ceil(quota_K / (1 - np.minimum(zero_K, 0.8))).astype(int) + 1
    data = {
        "mt_grpo/steps_left": float(steps_left),
        "mt_grpo/rounds": float(1 + int(zero_K.max() > 0.6)),
        "timing_s/step": float(9 + 0.06 * generated_K.sum() + rng.exponential(0.5)),
        "timing_s/gen": float(5 + 0.05 * generated_K.sum()),
        "timing_s/update_actor": float(2 + rng.exponential(0.1)),
        "actor/grad_norm": float(rng.gamma(3, 0.1)),
        "response_length/mean": float(200 + step),
    }
    for i, task in enumerate(tasks):
        data |= {
            f"mt_grpo/weight/{task}": float(z_K[i]),
            f"mt_grpo/target_share/{task}": float(quota_K[i] / batch_size),
            f"mt_grpo/batch_share/{task}": float(chosen_K[i] / max(chosen_K.sum(), 1)),
            f"mt_grpo/zero_grad_rate/{task}": float(zero_K[i]),
            f"mt_grpo/accuracy/{task}": float(accuracy_K[i]),
            f"mt_grpo/improvement/{task}": float(rng.normal(0.01, 0.01)),
            f"mt_grpo/generated/{task}": float(generated_K[i]),
            f"mt_grpo/shortfall/{task}": float(short_K[i]),
        }
    return data


def _validation(tasks: Sequence[str], accuracy_K: np.ndarray) -> dict[str, float]:
    by_task = {f"val-core/mt_grpo/acc/{task}": float(a) for task, a in zip(tasks, accuracy_K, strict=True)}
    return by_task | {
        "val-core/mt_grpo/worst_task_acc": float(accuracy_K.min()),
        "val-core/mt_grpo/avg_acc": float(accuracy_K.mean()),
    }


def with_costs(lines: Sequence[dict], n: int, batch_size: int = 32) -> list[dict]:
    """The lines with what each training step cost, as if every launched group of `n` rollouts ended in the same step.

    A response has 10 tokens. Of a task's groups at most an equal share of `batch_size` is trained on.
    """
    return [{**line, "data": line["data"] | _costs(line["data"], n, batch_size)} for line in lines]


def _costs(data: dict[str, float], n: int, batch_size: int) -> dict[str, float]:
    groups = {name.rpartition("/")[2]: value for name, value in data.items() if name.startswith("mt_grpo/generated/")}
    costs = {"mt_grpo/age": 0.0, "mt_grpo/trained_over_informative": 0.5} if groups else {}
    for task, generated in groups.items():
        trained = min(generated, batch_size // len(groups))
        costs |= {
            f"mt_grpo/trained/{task}": trained,
            f"mt_grpo/discarded/{task}": generated - trained,
            f"mt_grpo/carried/{task}": 0.0,
            f"mt_grpo/generated_rollouts/{task}": n * generated,
            f"mt_grpo/trained_rollouts/{task}": n * trained,
            f"mt_grpo/generated_tokens/{task}": 10 * n * generated,
            f"mt_grpo/trained_tokens/{task}": 10 * n * trained,
        }
    return costs


def write_log(path: Path, lines: Sequence[dict], tail: str = "") -> Path:
    """Write lines as verl's file logger does, and `tail` raw behind them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + tail, encoding="utf-8")
    return path


def write_run(
    directory: Path, method: str = "mt_grpo", seed: int = 0, label: str | None = None, n: int | None = None, **options
) -> Path:
    """Write a whole run, `run.json` beside its log, with costs if `n` is given; `options` go to `synthetic_lines`."""
    lines = synthetic_lines(seed=seed, **options)
    write_log(directory / "attempt-1.jsonl", with_costs(lines, n) if n else lines)
    said = {"method": method, "seed": seed} | ({"label": label} if label else {})
    (directory / "run.json").write_text(json.dumps(said), encoding="utf-8")
    return directory
