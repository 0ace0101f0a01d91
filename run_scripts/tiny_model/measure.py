"""Measure a checkpoint: sampled accuracy per task, and how many prompts would give no gradient."""

import argparse
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from data_prep.prepare import draw
from data_prep.puzzle import Puzzle
from reward_fns import compute_score

TASKS = ("countdown-mini", "arc-mini", "zebra-mini")
MAX_NEW_TOKENS = 24


@dataclass(frozen=True)
class Measured:
    """Shares in [0, 1]; the first three over rollouts, the last two over prompts."""

    accuracy: float
    boxed: float
    ended: float
    all_wrong: float
    all_right: float

    def __str__(self) -> str:
        return "  ".join(f"{name} {value:.3f}" for name, value in asdict(self).items())


@torch.no_grad()
def measure(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, task: str, puzzles: list[Puzzle], rollouts: int = 8
) -> Measured:
    """Sample `rollouts` answers per puzzle at temperature 1 and score them with the task's reward."""
    tokenizer.padding_side = "left"
    chats = [[{"role": "user", "content": puzzle.prompt}] for puzzle in puzzles]
    prompts = tokenizer.apply_chat_template(
        chats, add_generation_prompt=True, padding=True, return_dict=True, return_tensors="pt"
    )
    output = model.generate(
        **prompts,
        do_sample=True,
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        max_new_tokens=MAX_NEW_TOKENS,
        num_return_sequences=rollouts,
    )
    answers = output[:, prompts["input_ids"].shape[1] :]
    ended = (answers == tokenizer.eos_token_id).any(dim=1)
    texts = tokenizer.batch_decode(answers, skip_special_tokens=True)
    scores = [
        compute_score(f"{task}-test", text, puzzles[index // rollouts].ground_truth) for index, text in enumerate(texts)
    ]
    acc_P_G = torch.tensor([score["acc"] for score in scores]).view(len(puzzles), rollouts)
    return Measured(
        accuracy=acc_P_G.mean().item(),
        boxed=sum(score["format"] for score in scores) / len(scores),
        ended=ended.float().mean().item(),
        all_wrong=(acc_P_G.amax(dim=1) == 0).float().mean().item(),
        all_right=(acc_P_G.amin(dim=1) == 1).float().mean().item(),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path, nargs="?", default=Path(__file__).parent / "checkpoint")
    parser.add_argument("--prompts", type=int, default=200, help="test puzzles per task (%(default)s)")
    parser.add_argument("--rollouts", type=int, default=8, help="answers a puzzle (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the puzzles, as in `mt-grpo prepare` (%(default)s)")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    tokenizer = AutoTokenizer.from_pretrained(args.checkpoint)
    model = AutoModelForCausalLM.from_pretrained(args.checkpoint, dtype=torch.float32)
    _, puzzles = draw(dict.fromkeys(TASKS, 0), test=args.prompts, seed=args.seed)
    for task in TASKS:
        print(f"{task:15} {measure(model, tokenizer, task, puzzles[task], args.rollouts)}")


if __name__ == "__main__":
    main()
