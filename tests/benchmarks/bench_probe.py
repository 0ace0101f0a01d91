"""What `improvement.probe_fraction` saves and what it loses: cost and error of I_k on a part of the samples.

    python tests/benchmarks/bench_probe.py [--groups 12] [--draws 40]        (a minute and a half on two cores)

One policy update of the tiny model on groups of the three mini tasks, as in the demo (8 rollouts, learning rate 3e-4).
I_k is then measured on all samples and, many times, on drawn parts of them. The error is the root mean square over
draws and tasks; beside it is the spread of I_k over the tasks, the signal that moves the weights.
"""

import argparse
import math
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from data_prep.prepare import draw
from mt_grpo_recipe.algorithm.objective import (
    Clip,
    clipped_surrogate,
    group_advantages,
    has_spread,
    probe_rows,
    task_improvement,
)
from reward_fns import compute_score

MODEL = Path(__file__).parents[2] / "run_scripts/tiny_model/checkpoint"
TASKS = ("countdown-mini", "arc-mini", "zebra-mini")
CLIP = Clip(low=0.2, high=0.28, dual=3.0)
ROLLOUTS, MAX_TOKENS = 8, 32


@dataclass
class Samples:
    """What is known of each of the N rollouts, in lists of length N."""

    rows: list[list[int]] = field(default_factory=list)  # prompt and response
    prompt_lengths: list[int] = field(default_factory=list)
    tasks: list[int] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)


def roll_out(model, tokenizer, task, puzzles, wanted):
    """Sample groups of a task until `wanted` have a reward spread; sequences, prompt lengths and rewards of each."""
    groups = []
    for puzzle in puzzles:
        ids = tokenizer.apply_chat_template(
            [{"role": "user", "content": puzzle.prompt}], add_generation_prompt=True, return_dict=True
        )["input_ids"]
        out = model.generate(
            torch.tensor([ids] * ROLLOUTS),
            attention_mask=torch.ones(ROLLOUTS, len(ids), dtype=torch.int64),
            do_sample=True,
            max_new_tokens=MAX_TOKENS,
            pad_token_id=tokenizer.pad_token_id,
        )
        rows = [row[: len(ids)].tolist() + _answer(row[len(ids) :].tolist(), tokenizer.eos_token_id) for row in out]
        texts = [tokenizer.decode(row[len(ids) :], skip_special_tokens=True) for row in rows]
        rewards = [compute_score(task, text, puzzle.ground_truth)["score"] for text in texts]
        if has_spread(rewards):
            groups.append((rows, len(ids), rewards))
        if len(groups) == wanted:
            return groups
    raise SystemExit(f"only {len(groups)} of {wanted} groups have a spread: lower --groups")


def _answer(tokens, eos):
    return tokens[: tokens.index(eos) + 1] if eos in tokens else tokens


def log_probs(model, rows, prompt_lengths):
    """Log-probability of each response token, padded, shape (N, T), and the mask."""
    width = max(map(len, rows))
    ids = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    attention = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    logits = model(input_ids=ids, attention_mask=attention).logits[:, :-1].float().log_softmax(-1)
    values = logits.gather(-1, ids[:, 1:, None]).squeeze(-1)
    places = torch.arange(width - 1)[None]
    starts = torch.tensor(prompt_lengths)[:, None] - 1
    ends = torch.tensor([len(row) for row in rows])[:, None] - 1
    return values, ((places >= starts) & (places < ends)).long()


def sample(model, tokenizer, groups):
    """`groups` groups of each task, every one with a reward spread."""
    puzzles, _ = draw(dict.fromkeys(TASKS, 40 * groups), test=0, seed=5)
    samples = Samples()
    for task, name in enumerate(TASKS):
        for number, (rows, length, rewards) in enumerate(roll_out(model, tokenizer, name, puzzles[name], groups)):
            samples.rows += rows
            samples.prompt_lengths += [length] * ROLLOUTS
            samples.tasks += [task] * ROLLOUTS
            samples.rewards += rewards
            samples.groups += [f"{name} {number}"] * ROLLOUTS
    return samples


class Update:
    """A policy update on `samples`, after which I_k can be measured on any of them."""

    def __init__(self, model, samples):
        self.model, self.samples = model, samples
        old, mask = log_probs(model, samples.rows, samples.prompt_lengths)
        self.old_NT = old.detach()
        advantages_N = group_advantages(torch.tensor(samples.rewards), samples.groups, scale_by_std=True)
        self.advantages_NT = advantages_N[:, None] * mask
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4)
        for _ in range(2):  # the first step of Adam is all signs; the second is more like one of a training run
            new, _ = log_probs(model, samples.rows, samples.prompt_lengths)
            surrogate = clipped_surrogate((new - self.old_NT) * mask, self.advantages_NT, CLIP)
            loss = -(surrogate * mask).sum() / mask.sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    def improvement(self, chosen):
        """I_k on the rows `chosen`, and the seconds of its forward pass."""
        samples = self.samples
        with torch.no_grad():
            start = time.perf_counter()
            after, mask = log_probs(
                self.model, [samples.rows[i] for i in chosen], [samples.prompt_lengths[i] for i in chosen]
            )
            seconds = time.perf_counter() - start
        width = after.shape[1]
        ratio = (after - self.old_NT[chosen, :width]) * mask
        advantages, tasks = self.advantages_NT[chosen, :width], [samples.tasks[i] for i in chosen]
        return task_improvement(ratio, advantages, mask, tasks, len(TASKS), CLIP), seconds


def print_table(update, draws):
    """Print I_k on all samples, then one row per fraction, each measured `draws` times."""
    tasks = update.samples.tasks
    everything = list(range(len(tasks)))
    full, _ = update.improvement(everything)
    seconds = [update.improvement(everything)[1] for _ in range(7)]
    spread = full.max() - full.min()
    print("I_k on all samples: " + ", ".join(f"{n} {v:.4f}" for n, v in zip(TASKS, full, strict=True)))
    print(f"spread over the tasks: {spread:.4f}\n")
    print(f"{'fraction':>8s} {'rows':>5s} {'time, share of full':>20s} {'rms error':>10s} {'error / spread':>15s}")
    rng = np.random.default_rng(0)
    for fraction in (1.0, 0.5, 0.25, 0.125):
        errors, times = [], []
        for _ in range(draws if fraction < 1 else 3):
            chosen = probe_rows(tasks, fraction, 1, rng)
            estimate, spent = update.improvement(chosen)
            errors.append(estimate - full)
            times.append(spent)
        rms = math.sqrt(float(np.square(errors).mean()))
        share = float(np.median(times) / np.median(seconds))
        print(f"{fraction:8.3f} {len(chosen):5d} {share:20.2f} {rms:10.5f} {rms / spread:15.2f}")


def main() -> None:
    """Sample, update, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--groups", type=int, default=12, help="groups per task (%(default)s)")
    parser.add_argument("--draws", type=int, default=40, help="draws per fraction (%(default)s)")
    args = parser.parse_args()
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    model = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32)
    print_table(Update(model, sample(model, tokenizer, args.groups)), args.draws)


if __name__ == "__main__":
    main()
