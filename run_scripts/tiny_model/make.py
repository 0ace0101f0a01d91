"""Build the tiny model and warm it up by supervised training on the mini tasks.

The warm-up stops long before the tasks are solved, and shows unequal numbers of puzzles of each: that makes one task
easy and one hard, and leaves all three room to improve. No wrong answer is ever shown.
"""

import argparse
import time
from collections.abc import Container, Hashable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from random import Random

import torch
from build import build_model, build_tokenizer
from measure import TASKS, measure
from torch.nn.functional import cross_entropy
from transformers import PreTrainedTokenizerBase, Qwen2ForCausalLM
from transformers.utils.logging import disable_progress_bar

from data_prep.prepare import draw, stream
from data_prep.puzzle import Puzzle

BATCH = {"countdown-mini": 16, "arc-mini": 16, "zebra-mini": 20}  # puzzles per step
POOL = {"countdown": 4000, "zebra": 2500}  # puzzles drawn beforehand: each takes reasoning-gym milliseconds
RL_SEED, RL_TRAIN, RL_TEST = 0, 2000, 100  # the defaults of `mt-grpo prepare`: none of those puzzles is shown here
LEARNING_RATE, RAMP = 3e-3, 50  # AdamW's, and the steps it rises over; it then falls linearly to a tenth


def held_out_puzzles(tasks: Iterable[str], train_puzzles: int) -> tuple[set[Hashable], dict[str, list[Puzzle]]]:
    """Return the keys of the puzzles that reinforcement learning will train and test on, and the test puzzles."""
    train, test = draw(dict.fromkeys(tasks, train_puzzles), RL_TEST, RL_SEED)
    return {puzzle.key for rows in (train, test) for puzzles in rows.values() for puzzle in puzzles}, test


def demonstrations(task: str, seed: int, held_out: Container[Hashable]) -> Iterator[Puzzle]:
    """Yield puzzles of `task` endlessly, none of them `held_out`."""
    rng = Random(seed)
    fresh = (puzzle for puzzle in stream(task, seed) if puzzle.key not in held_out)
    family = task.partition("-")[0]
    if family not in POOL:
        yield from fresh
    pool = list(islice(fresh, POOL[family]))
    while True:
        puzzle = varied(task, rng.choice(pool), rng)
        if puzzle.key not in held_out:
            yield puzzle


def varied(task: str, puzzle: Puzzle, rng: Random) -> Puzzle:
    """Return `puzzle` in another form, so that a small pool goes a long way.

    Countdown: the numbers in another order. Zebra: other letters for people and things, and another order of clues.
    """
    if task.startswith("countdown"):
        numbers = str(puzzle.ground_truth["numbers"]).split(",")
        rng.shuffle(numbers)
        return replace(puzzle, prompt=f"make {puzzle.ground_truth['target']} from {' '.join(numbers)}")
    kinds = [kind[: len(puzzle.solution)] for kind in ("abcd", "xyzw", "pqrs")]
    letters = str.maketrans("".join(kinds), "".join("".join(rng.sample(kind, len(kind))) for kind in kinds))
    _, *clues = puzzle.prompt.split()
    clues = [clue.translate(letters) for clue in rng.sample(clues, len(clues))]
    return replace(
        puzzle,
        prompt=f"houses {' '.join(clues)}",
        key=tuple(sorted(clues)),
        solution=puzzle.solution.translate(letters),
    )


def answer_loss(model: Qwen2ForCausalLM, tokenizer: PreTrainedTokenizerBase, puzzles: list[Puzzle]) -> torch.Tensor:
    """Return the mean cross-entropy (nats per token) of the boxed solutions and their end-of-sequence tokens."""
    asked, answered = [], []
    for puzzle in puzzles:
        chat = [{"role": "user", "content": puzzle.prompt}]
        asked.append(tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False))
        answered.append(f"{asked[-1]}\\boxed{{{puzzle.solution}}}{tokenizer.eos_token}")
    tokens = tokenizer(answered, return_tensors="pt", padding=True, padding_side="right")
    is_answer = tokens.attention_mask.bool()
    for row, prompt_ids in enumerate(tokenizer(asked).input_ids):
        is_answer[row, : len(prompt_ids)] = False
    hidden = model.model(input_ids=tokens.input_ids, attention_mask=tokens.attention_mask).last_hidden_state
    predicted, wanted = hidden[:, :-1][is_answer[:, 1:]], tokens.input_ids[:, 1:][is_answer[:, 1:]]
    return cross_entropy(model.lm_head(predicted), wanted)


def rate(step: int, steps: int) -> float:
    """Return the learning rate of `step` as a share of the highest."""
    return min(1.0, (step + 1) / RAMP) * (1.0 - 0.9 * step / steps)


def teach(
    model: Qwen2ForCausalLM,
    tokenizer: PreTrainedTokenizerBase,
    shown: Mapping[str, Iterator[Puzzle]],
    batch: Mapping[str, int],
    learning_rate: float,
    steps: int,
) -> Iterator[dict[str, float]]:
    """Update the model `steps` times, on `batch` puzzles of `shown` per step; yield each step's losses by task."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, betas=(0.9, 0.98), weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step, steps))
    for _ in range(steps):
        losses = {}
        optimizer.zero_grad()
        for task, count in batch.items():  # one task at a time: their lengths differ, and padding is half the work
            loss = answer_loss(model, tokenizer, list(islice(shown[task], count)))
            (loss * count / sum(batch.values())).backward()
            losses[task] = loss.item()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        yield losses


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--out", type=Path, default=Path("outputs/tiny_model"), help="(%(default)s)")
    parser.add_argument("--seed", type=int, default=1234, help="of weights, batches and puzzles (%(default)s)")
    parser.add_argument("--steps", type=int, default=4000, help="steps the learning rate falls over (%(default)s)")
    parser.add_argument("--stop", type=int, default=1000, help="step to stop after (%(default)s)")
    parser.add_argument("--report-every", type=int, default=250, metavar="STEPS", help="(%(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="of torch (%(default)s)")
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    disable_progress_bar()
    tokenizer = build_tokenizer()
    model = build_model(tokenizer)
    print(f"{sum(weights.numel() for weights in model.parameters()):,} parameters, {len(tokenizer)} tokens", flush=True)

    held_out, test = held_out_puzzles(TASKS, RL_TRAIN)
    shown = {task: demonstrations(task, args.seed, held_out) for task in TASKS}
    losses: dict[str, list[float]] = {task: [] for task in TASKS}
    start = time.monotonic()
    taught = teach(model, tokenizer, shown, BATCH, LEARNING_RATE, args.steps)
    for step, loss in enumerate(islice(taught, args.stop), start=1):
        for task, value in loss.items():
            losses[task].append(value)
        if step % args.report_every == 0 or step == args.stop:
            for task, values in losses.items():
                mean = sum(values) / max(len(values), 1)
                print(
                    f"step {step} {time.monotonic() - start:.0f} s  {task:15} loss {mean:.3f}  "
                    f"{measure(model, tokenizer, task, test[task])}",
                    flush=True,
                )
                values.clear()
            model.save_pretrained(args.out)
            tokenizer.save_pretrained(args.out)


if __name__ == "__main__":
    main()
