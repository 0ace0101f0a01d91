"""Answers and log-probabilities are those that transformers gives, one prompt at a time and without a cache."""

import pytest
import torch
from tokens import generate, log_probs, pad


@pytest.fixture
def prompts(puzzles):
    """Eight prompts of unequal length, 20 to 43 tokens."""
    return [puzzle.prompt for puzzle in [p for rows in puzzles.values() for p in rows[:3]][:8]]


def test_padding_stands_on_the_right():
    tokens_NT, mask_NT = pad([[5, 6, 7], [8]])
    assert tokens_NT.tolist() == [[5, 6, 7], [8, 0, 0]]
    assert mask_NT.tolist() == [[1, 1, 1], [1, 0, 0]]


def test_greedy_answers_are_those_of_transformers(model, prompts):
    assert len({len(prompt) for prompt in prompts}) > 2
    answers = generate(model, prompts, 2, 32, 0.0, torch.Generator())
    for prompt, (first, second) in zip(prompts, answers, strict=True):
        expected = model.generate(torch.tensor([prompt]), do_sample=False, max_new_tokens=32)[0, len(prompt) :]
        assert first == second == expected.tolist()


def test_answers_end_with_the_end_token_or_at_the_limit(model, prompts):
    end = model.config.eos_token_id
    answers = [a for group in generate(model, prompts, 8, 9, 1.0, torch.Generator().manual_seed(0)) for a in group]
    assert len(answers) == 64
    assert {len(answer) for answer in answers if answer[-1] != end} == {9}
    assert all(end not in answer[:-1] for answer in answers)
    assert any(len(answer) < 9 for answer in answers)


def test_sampling_follows_the_model(model, prompts):
    """Frequencies of the first token over 4000 draws against its probability, at a temperature that spreads it out."""
    draws = generate(model, prompts[3:4], 4000, 1, 4.0, torch.Generator().manual_seed(1))[0]
    with torch.no_grad():
        expected_V = (model(torch.tensor(prompts[3:4])).logits[0, -1] / 4.0).softmax(-1)
    found_V = torch.bincount(torch.tensor([draw[0] for draw in draws]), minlength=len(expected_V)) / len(draws)
    deviation_V = (expected_V * (1 - expected_V) / len(draws)).sqrt()
    assert 0.01 < float(expected_V.max()) < 0.9
    assert bool(((found_V - expected_V).abs() <= 5 * deviation_V + 1e-3).all())


def test_log_probs_and_gradients_are_those_of_a_plain_forward_pass(model, prompts):
    answers = generate(model, prompts, 3, 32, 1.0, torch.Generator().manual_seed(2))
    flat = [answer for group in answers for answer in group]
    values = log_probs(model, prompts, flat, 0.7)
    _, mask_NT = pad(flat)
    (values * mask_NT).sum().backward()
    gradients = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    for row, answer in enumerate(flat):
        prompt = prompts[row // 3]
        logits = model(torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1] / 0.7
        expected = logits.log_softmax(-1)[torch.arange(len(answer)), answer]
        assert torch.allclose(values[row, : len(answer)], expected, atol=1e-4)
        expected.sum().backward()
    for gradient, parameter in zip(gradients, model.parameters(), strict=True):
        assert torch.allclose(gradient, parameter.grad, rtol=1e-3, atol=1e-3 * float(parameter.grad.abs().max()))
