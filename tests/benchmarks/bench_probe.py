"""What `improvement.probe_fraction` saves and what it loses: cost and error of I_k on a part of the samples.

    python tests/benchmarks/bench_probe.py [--groups 12] [--draws 40]        (a minute and a half on two cores)

One policy update of the tiny model on groups of the three mini tasks, as in the demo (8 rollouts, learning rate 3e-4).
I_k is then measured on all samples and, many times, on drawn parts of them. The error is the root mean square over
draws and tasks; beside it stands the spread of I_k over the tasks, the signal that moves the weights.
"""

import argparse
import math
import time
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


def main() -> None:
    """Print a row a fraction."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--groups", type=int, default=12, help="groups a task (%(default)s)")
    parser.add_argument("--draws", type=int, default=40)
    args = parser.parse_args()
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    model = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32)
    puzzles, _ = draw(dict.fromkeys(TASKS, 40 * args.groups), test=0, seed=5)
    rows, lengths, tasks, rewards, names = [], [], [], [], []
    for task, name in enumerate(TASKS):
        for number, (group, length, scores) in enumerate(roll_out(model, tokenizer, name, puzzles[name], args.groups)):
            rows += group
            lengths += [length] * ROLLOUTS
            tasks += [task] * ROLLOUTS
            rewards += scores
            names += [f"{name} {number}"] * ROLLOUTS
    advantages_N = group_advantages(torch.tensor(rewards), names, scale_by_std=True)

    old, mask = log_probs(model, rows, lengths)
    old = old.detach()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4)
    advantages_NT = advantages_N[:, None] * mask
    for _ in range(2):  # the first step of Adam is all signs; the second is more like a training's
        new, _ = log_probs(model, rows, lengths)
        loss = -(clipped_surrogate((new - old) * mask, advantages_NT, CLIP) * mask).sum() / mask.sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def improvement(chosen):
        with torch.no_grad():
            start = time.perf_counter()
            after, part_mask = log_probs(model, [rows[i] for i in chosen], [lengths[i] for i in chosen])
            seconds = time.perf_counter() - start
        width = after.shape[1]
        ratio = (after - old[chosen, :width]) * part_mask
        part_tasks = [tasks[i] for i in chosen]
        part = advantages_NT[chosen, :width]
        return task_improvement(ratio, part, part_mask, part_tasks, len(TASKS), CLIP), seconds

    everything = list(range(len(rows)))
    full, _ = improvement(everything)
    seconds = [improvement(everything)[1] for _ in range(7)]
    print("I_k on all samples: " + ", ".join(f"{n} {v:.4f}" for n, v in zip(TASKS, full, strict=True)))
    print(f"spread over the tasks: {full.max() - full.min():.4f}\n")
    print(f"{'fraction':>8s} {'rows':>5s} {'time, share of full':>20s} {'rms error':>10s} {'error / spread':>15s}")
    rng = np.random.default_rng(0)
    for fraction in (1.0, 0.5, 0.25, 0.125):
        errors, times = [], []
        for _ in range(args.draws if fraction < 1 else 3):
            chosen = probe_rows(tasks, fraction, 1, rng)
            estimate, spent = improvement(chosen)
            errors.append(estimate - full)
            times.append(spent)
        rms = math.sqrt(float(np.square(errors).mean()))
        share = float(np.median(times) / np.median(seconds))
        print(f"{fraction:8.3f} {len(chosen):5d} {share:20.2f} {rms:10.5f} {rms / (full.max() - full.min()):15.2f}")


if __name__ == "__main__":
    main()
