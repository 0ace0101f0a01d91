"""The shipped checkpoints are what verl and vLLM need them to be."""

from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from data_prep.prepare import draw
from data_prep.puzzle import MINI
from data_prep.tasks import FAMILIES

RUN_SCRIPTS = Path(__file__).parents[2] / "run_scripts"
CHECKPOINTS = {
    "tiny_model/checkpoint": ("mini",),
    "mini/warm_model": ("mini",),
    "mini/warm_model_nine": MINI,
}
"""And the sizes of puzzles that each was made for."""


@pytest.fixture(scope="module", params=CHECKPOINTS)
def checkpoint(request):
    return RUN_SCRIPTS / request.param


@pytest.fixture(scope="module")
def tokenizer(checkpoint):
    return AutoTokenizer.from_pretrained(checkpoint)


@pytest.fixture(scope="module")
def model(checkpoint):
    return AutoModelForCausalLM.from_pretrained(checkpoint)


@pytest.fixture(scope="module")
def puzzles(checkpoint):
    sizes = CHECKPOINTS[str(checkpoint.relative_to(RUN_SCRIPTS))]
    _, test = draw({f"{family}-{size}": 0 for family in FAMILIES for size in sizes}, test=5)
    return [puzzle for puzzles in test.values() for puzzle in puzzles]


def test_it_is_a_small_qwen2_of_a_few_megabytes(model, checkpoint):
    assert model.config.architectures == ["Qwen2ForCausalLM"]
    assert model.num_parameters() < 3_000_000
    assert model.config.hidden_size // model.config.num_attention_heads in (32, 64, 128)  # what vLLM's CPU kernels take
    assert sum(path.stat().st_size for path in checkpoint.iterdir()) < 8 * 2**20


def test_the_vocabularies_are_equal(model, tokenizer):
    """vLLM masks ids the tokenizer lacks, a trainer does not: the log-probabilities would differ."""
    assert model.config.vocab_size == len(tokenizer) == model.get_input_embeddings().weight.shape[0]


def test_special_tokens(model, tokenizer):
    assert tokenizer.pad_token_id != tokenizer.eos_token_id
    assert (model.config.pad_token_id, model.config.eos_token_id) == (tokenizer.pad_token_id, tokenizer.eos_token_id)
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    assert len(tokenizer.encode("\n", add_special_tokens=False)) == 1


@pytest.mark.parametrize("text", ["a  b\n\nc ", "\\boxed{3*(7-2)}", " \\boxed {1 2}", "é €", "\\boxed{\\boxed{1}"])
def test_text_survives_the_tokenizer(tokenizer, text):
    """Loaded by AutoTokenizer, which rebuilds Qwen2's splitting rules whatever the files say."""
    assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) == text


def test_the_chat_template(tokenizer):
    chat = [{"role": "user", "content": "make 17 from 2 3 7"}]
    assert tokenizer.apply_chat_template(chat, tokenize=False) == "make 17 from 2 3 7\n"
    assert tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False) == "make 17 from 2 3 7\n>"
    chat.append({"role": "assistant", "content": "\\boxed{2*7+3}"})
    assert tokenizer.apply_chat_template(chat, tokenize=False) == "make 17 from 2 3 7\n>\\boxed{2*7+3}<eos>\n"


def test_prompts_and_answers_are_short_in_tokens(checkpoint, tokenizer, puzzles):
    most = (66, 24) if checkpoint.name == "warm_model_nine" else (64, 16)
    for puzzle in puzzles:
        chat = [{"role": "user", "content": puzzle.prompt}]
        prompt = tokenizer.apply_chat_template(chat, add_generation_prompt=True)["input_ids"]
        assert len(prompt) == len(puzzle.prompt) + 2 <= most[0]
        assert len(tokenizer.encode(f"\\boxed{{{puzzle.solution}}}", add_special_tokens=False)) <= most[1]


def test_it_answers_in_a_box_and_ends(model, tokenizer, puzzles):
    tokenizer.padding_side = "left"
    chats = [[{"role": "user", "content": puzzle.prompt}] for puzzle in puzzles]
    prompts = tokenizer.apply_chat_template(
        chats, add_generation_prompt=True, padding=True, return_dict=True, return_tensors="pt"
    )
    output = model.generate(**prompts, do_sample=False, max_new_tokens=24)
    for text in tokenizer.batch_decode(output[:, prompts["input_ids"].shape[1] :]):
        answer, _, rest = text.partition("<eos>")
        assert answer.startswith("\\boxed{") and answer.endswith("}")
        assert set(rest) <= set("<pad>")
