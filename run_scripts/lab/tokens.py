"""What a causal language model of transformers makes of tokens: sampled answers, and log-probabilities of given ones.

Prompts and answers are padded on the right. Every prompt is read once, whatever the number of its answers.

Letters: P prompts, G answers per prompt, N = P x G answers, T tokens of the longest answer, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import DynamicCache, PreTrainedModel


def pad(sequences: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids, padded on the right with zeros, and a mask that is one on tokens; both of shape (N, T)."""
    lengths_N = torch.tensor([len(sequence) for sequence in sequences])
    mask_NT = torch.arange(int(lengths_N.max())) < lengths_N[:, None]
    tokens_NT = torch.zeros(mask_NT.shape, dtype=torch.long)
    tokens_NT[mask_NT] = torch.tensor([token for sequence in sequences for token in sequence])
    return tokens_NT, mask_NT.long()


class _Reading:
    """Prompts that a model has read, each repeated for its answers, and what it says next.

    Args:
        model: in any mode; gradients flow if they are on.
        prompts: token ids of P prompts.
        answers_each: G.
    """

    def __init__(self, model: PreTrainedModel, prompts: Sequence[Sequence[int]], answers_each: int):
        self._model = model
        self._cache = DynamicCache(config=model.config)
        tokens_PT, mask_PT = pad(prompts)
        lengths_P = mask_PT.sum(1)
        hidden = model.model(input_ids=tokens_PT, attention_mask=mask_PT, past_key_values=self._cache).last_hidden_state
        logits_PV = model.lm_head(hidden[torch.arange(len(prompts)), lengths_P - 1])
        self._cache.batch_repeat_interleave(answers_each)
        self._mask = mask_PT.repeat_interleave(answers_each, 0)
        self._lengths_N = lengths_P.repeat_interleave(answers_each)
        self.next_logits_NV = logits_PV.repeat_interleave(answers_each, 0)
        """Logits of the token after each prompt, shape (N, V)."""

    def read_on(self, tokens_NT: torch.Tensor, mask_NT: torch.Tensor) -> torch.Tensor:
        """Read the next tokens of each answer; returns the logits after each of them, shape (N, T, V)."""
        positions_NT = self._lengths_N[:, None] + torch.arange(tokens_NT.shape[1])
        self._mask = torch.cat([self._mask, mask_NT], 1)
        hidden = self._model.model(
            input_ids=tokens_NT, attention_mask=self._mask, position_ids=positions_NT, past_key_values=self._cache
        ).last_hidden_state
        self._lengths_N = self._lengths_N + tokens_NT.shape[1]
        return self._model.lm_head(hidden)

    def keep(self, rows: torch.Tensor) -> None:
        """Go on with these answers alone."""
        self._cache.batch_select_indices(rows)
        self._mask, self._lengths_N = self._mask[rows], self._lengths_N[rows]


@torch.no_grad()
def generate(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    answers_each: int,
    max_tokens: int,
    temperature: float,
    generator: torch.Generator,
) -> list[list[list[int]]]:
    """Answer prompts, token by token, until the model's end-of-sequence token or `max_tokens`.

    Args:
        model: its config names the end-of-sequence token.
        prompts: token ids of P prompts.
        answers_each: G.
        max_tokens: most tokens of an answer.
        temperature: of the sampling; 0 takes the likeliest token.
        generator: source of the draws.

    Returns:
        Token ids of G answers per prompt, the end-of-sequence token included where it came.
    """
    reading = _Reading(model, prompts, answers_each)
    logits_NV = reading.next_logits_NV
    answers: list[list[int]] = [[] for _ in range(len(prompts) * answers_each)]
    going = torch.arange(len(answers))
    while True:
        token_N = _sample(logits_NV, temperature, generator)
        for answer, token in zip(going.tolist(), token_N.tolist(), strict=True):
            answers[answer].append(token)
        rows = (token_N != model.config.eos_token_id).nonzero()[:, 0]
        if not len(rows) or len(answers[going[rows[0]]]) == max_tokens:
            break
        if len(rows) < len(going):
            going, token_N = going[rows], token_N[rows]
            reading.keep(rows)
        token_N1 = token_N[:, None]
        logits_NV = reading.read_on(token_N1, torch.ones_like(token_N1))[:, -1]
    return [answers[start : start + answers_each] for start in range(0, len(answers), answers_each)]


def _sample(logits_NV: torch.Tensor, temperature: float, generator: torch.Generator) -> torch.Tensor:
    """A token of each row, shape (N,)."""
    if temperature == 0:
        return logits_NV.argmax(-1)
    return torch.multinomial((logits_NV / temperature).softmax(-1), 1, generator=generator)[:, 0]


def log_probs(
    model: PreTrainedModel, prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]], temperature: float
) -> torch.Tensor:
    """Log-probability of every token of given answers, shape (N, T), differentiable; values on padding are noise.

    Args:
        model: any mode.
        prompts: token ids of P prompts.
        answers: token ids of N = P x G answers, those of a prompt side by side.
        temperature: that the answers were sampled at, above 0.
    """
    reading = _Reading(model, prompts, len(answers) // len(prompts))
    tokens_NT, mask_NT = pad(answers)
    logits_NTV = reading.next_logits_NV[:, None]
    if tokens_NT.shape[1] > 1:
        logits_NTV = torch.cat([logits_NTV, reading.read_on(tokens_NT[:, :-1], mask_NT[:, :-1])], 1)
    return (logits_NTV / temperature).log_softmax(-1).gather(-1, tokens_NT[..., None])[..., 0]
