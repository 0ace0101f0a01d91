"""The tiny model's two parts, untrained: a character tokenizer and a Qwen2 of under a million parameters."""

from tokenizers import AddedToken
from tokenizers.pre_tokenizers import ByteLevel
from transformers import Qwen2Config, Qwen2ForCausalLM, Qwen2Tokenizer

PAD, EOS, BOX = "<pad>", "<eos>", "\\boxed{"

# A question, a newline, then ">" and the answer. Short, since every character is a token to generate or to read.
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}{{ '>' + message['content'] + eos_token + '\\n' }}"
    "{% else %}{{ message['content'] + '\\n' }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '>' }}{% endif %}"
)


def build_tokenizer() -> Qwen2Tokenizer:
    """Return a tokenizer with one token per byte, and one for the opening of a box.

    It is Qwen2's own class, without a single merge: `AutoTokenizer` picks that class for a Qwen2 model whatever the
    files say. Every answer opens with the same seven characters; as one token they cost one step of generation.
    """
    vocabulary = {token: index for index, token in enumerate([PAD, EOS, *sorted(ByteLevel.alphabet())])}
    tokenizer = Qwen2Tokenizer(
        vocab=vocabulary,
        merges=[],
        pad_token=PAD,
        eos_token=EOS,
        unk_token=PAD,  # never produced: every byte has its token
        padding_side="left",
        model_max_length=256,
        chat_template=CHAT_TEMPLATE,
    )
    tokenizer.add_tokens([AddedToken(BOX, special=False, normalized=False)])
    return tokenizer


def build_model(tokenizer: Qwen2Tokenizer) -> Qwen2ForCausalLM:
    """Return a freshly initialised model whose vocabulary is exactly the tokenizer's.

    Equal vocabularies matter: an inference engine masks ids that the tokenizer does not know, but a trainer does not,
    so their log-probabilities would differ.
    """
    return Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=len(tokenizer),
            hidden_size=96,
            intermediate_size=288,
            num_hidden_layers=4,
            num_attention_heads=3,
            num_key_value_heads=3,
            max_position_embeddings=256,
            rope_theta=10_000.0,
            tie_word_embeddings=True,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            bos_token_id=None,
            attention_dropout=0.0,
        )
    )
