r"""What `compute_score` returns, case by case: gold answers, edge cases and every form of ground truth."""

import json

import numpy as np
import pytest

from reward_fns import compute_score

COUNTDOWN = ("countdown-mini-train", {"numbers": "8,73,96", "target": 31})
ZEBRA = ("zebra-hard-test", {"target": "carol"})
ARC = ("arc-medium-test", {"target": "0 0 9"})

CORRECT = {"score": 1.0, "acc": 1.0, "format": 1.0}
WRONG = {"score": 0.1, "acc": 0.0, "format": 1.0}
NO_ANSWER = {"score": 0.0, "acc": 0.0, "format": 0.0}


def judge(task, response):
    data_source, ground_truth = task
    return compute_score(data_source, response, ground_truth)


@pytest.mark.parametrize(
    ("task", "response", "expected"),
    [
        # Where the answer stands.
        (ZEBRA, r"It must be \boxed{carol}", CORRECT),
        (ZEBRA, "It must be <answer>carol</answer>", CORRECT),
        (ZEBRA, "\\boxed{carol}\n\nThat was easy.\n<|endoftext|>", CORRECT),
        (ZEBRA, r"\boxed{carol}<|im_end|>", CORRECT),
        (ZEBRA, r"$$\boxed {carol}$$", CORRECT),
        (ZEBRA, r"\boxed{\boxed{carol}}", CORRECT),
        (ZEBRA, r"\boxed{<answer>carol</answer>}", CORRECT),
        (ZEBRA, r"<answer>\boxed{carol}</answer>", CORRECT),
        (ZEBRA, r"carol", NO_ANSWER),
        (ZEBRA, "", NO_ANSWER),
        (ZEBRA, None, NO_ANSWER),
        (ZEBRA, 7, NO_ANSWER),
        (ZEBRA, b"\\boxed{carol}", NO_ANSWER),
        (ZEBRA, r"\fbox{carol}", NO_ANSWER),
        (ZEBRA, r"boxed{carol}", NO_ANSWER),
        (ZEBRA, r"\boxed carol", NO_ANSWER),
        # A blank box is not an answer.
        (ZEBRA, r"\boxed{}", NO_ANSWER),
        (ZEBRA, "\\boxed{ \n }", NO_ANSWER),
        (ZEBRA, "<answer> </answer>", NO_ANSWER),
        # The answer that opens last counts, finished or not.
        (ZEBRA, r"\boxed{bob} no, \boxed{carol}", CORRECT),
        (ZEBRA, r"\boxed{carol} no, \boxed{bob}", WRONG),
        (ZEBRA, r"<answer>bob</answer> no, \boxed{carol}", CORRECT),
        (ZEBRA, r"\boxed{bob} no, <answer>carol</answer>", CORRECT),
        (ZEBRA, r"\boxed{carol} or \boxed{", NO_ANSWER),
        (ZEBRA, r"\boxed{carol} or <answer>bob", NO_ANSWER),
        (ZEBRA, r"\boxed{carol", NO_ANSWER),
        (ZEBRA, r"\boxed{{carol}", NO_ANSWER),
        (ZEBRA, r"\boxed{carol} is what I put into \boxed now", CORRECT),
        # A prompt in front is cut away, its example box with it.
        (ZEBRA, "User: such as \\boxed{carol}\nAssistant: Let me think", NO_ANSWER),
        (ZEBRA, "User: such as \\boxed{bob}\nAssistant: \\boxed{carol}", CORRECT),
        (ZEBRA, "<|im_start|>user\n\\boxed{bob}<|im_end|>\n<|im_start|>assistant\n\\boxed{carol}", CORRECT),
        (ZEBRA, "\\boxed{carol}\nUser: and now?\nAssistant: no idea", CORRECT),
        # What comes after the answer in a turn that is not the model's is no answer.
        (ZEBRA, "\\boxed{carol}\nUser: and now?\nAssistant: \\boxed{bob}", CORRECT),
        (ZEBRA, "\\boxed{carol}\n\n**Human:** and now? \\boxed{bob}", CORRECT),
        (ZEBRA, "\\boxed{carol}<|endoftext|>\\boxed{bob}", CORRECT),
        (ZEBRA, "\\boxed{carol} (as the User: says) \\boxed{bob}", WRONG),
        (ZEBRA, "\\boxed{carol}. Assistant: \\boxed{bob}", WRONG),
        (ZEBRA, "<tool_response>\\boxed{carol}</tool_response>", NO_ANSWER),
        (ZEBRA, "\\boxed{carol}<tool_response>\\boxed{bob}", CORRECT),
        (ZEBRA, "\\boxed{bob}<|im_start|>user\n<tool_response>x</tool_response> \\boxed{carol}", CORRECT),
        (
            ZEBRA,
            "<|im_start|>system\nUse \\boxed{}.<|im_end|><|im_start|>user\n?<|im_start|>assistant\n\\boxed{carol}",
            CORRECT,
        ),
        # Zebra: letter case is free, nothing else is.
        (ZEBRA, r"\boxed{ CAROL }", CORRECT),
        (ZEBRA, r"\boxed{carol.}", CORRECT),
        (ZEBRA, r"\boxed{\text{carol}}", CORRECT),
        (ZEBRA, r"\boxed{carol or bob}", WRONG),
        # ARC: digits with single spaces.
        (ARC, r"\boxed{0 0 9}", CORRECT),
        (ARC, r"\boxed{ 0 0 9 }", CORRECT),
        (ARC, r"\boxed{0 0 8}", WRONG),
        (ARC, r"\boxed{0  0 9}", CORRECT),
        (ARC, "\\boxed{0 0\n9}", CORRECT),
        (ARC, r"\boxed{0, 0, 9}", WRONG),
        (ARC, r"\boxed{[0 0 9]}", CORRECT),
        (ARC, r"\boxed{009}", WRONG),
        (ARC, "\\boxed{0 0 \u0669}", WRONG),
        # Text that no model should write, but some do.
        (ZEBRA, "\x00\\boxed{carol}\x00", CORRECT),
        (ZEBRA, "\\boxed{caro\x00l}", WRONG),
        (ZEBRA, "\\boxed{\ud800}", WRONG),
        (COUNTDOWN, "\\boxed{\ud800\x00}", WRONG),
    ],
)
def test_where_the_answer_stands(task, response, expected):
    assert judge(task, response) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("96 - 73 + 8", CORRECT),
        ("96-73+8=31", CORRECT),
        ("96-73+8 = +31", WRONG),
        ("96-73+8 = 3 1", WRONG),
        ("96-73+8 = 32", WRONG),
        ("96-73+8 =", WRONG),
        ("96-73+8 = 31 = 31", WRONG),
        ("31 = 96-73+8", WRONG),
        ("31", WRONG),
        ("96 - 73", WRONG),  # a number is left
        ("96 - 73 + 8 + 8 - 8", WRONG),  # a number is used again
        ("96 - 73 + 08", WRONG),  # not as it was given
        ("96 - (73 - 8)", CORRECT),
        (r"\left(96 - 73\right) + 8", CORRECT),
        ("((96)) - 73 + ((8))", CORRECT),
        ("-73 + 96 + 8", CORRECT),
        ("-(73 - 96) + 8", CORRECT),
        ("96 - 73 - -8", CORRECT),
        ("96 \N{MINUS SIGN} 73 + 8", CORRECT),
        ("+96 - 73 + 8", WRONG),
        ("96 - 73 + 8.", CORRECT),
        ("96 - 73 + 8.0", WRONG),
        ("96, 73, 8", WRONG),
        ("(96 - 73 + 8", WRONG),
        ("96 - 73 + 8)", WRONG),
        ("{96 - 73} + 8", CORRECT),
        ("$96 - 73 + 8$", CORRECT),
        ("96 - 73 + \u0668", WRONG),  # an Arabic-Indic eight
        ("96 - 73 + \N{SUPERSCRIPT EIGHT}", WRONG),
        ("96 73 8", WRONG),
        ("__import__('os')", WRONG),
        ("96 - 73 + 8 # 31", WRONG),
        ("96 - 73 + 8; 31", WRONG),
    ],
)
def test_countdown_expressions(answer, expected):
    assert judge(COUNTDOWN, rf"\boxed{{{answer}}}") == expected


@pytest.mark.parametrize(
    ("numbers", "target", "answer", "expected"),
    [
        ("96,8,2", 24, r"96 \div 8 \times 2", CORRECT),
        ("96,8,2", 24, r"\frac{96}{8} \cdot 2", CORRECT),
        ("96,8,2", 24, r"\dfrac{96 \times 2}{8} = 24", CORRECT),
        ("96,8,2", 24, r"\frac{96}8 * 2", CORRECT),
        ("96,8,2", 24, "96 \N{DIVISION SIGN} 8 \N{MULTIPLICATION SIGN} 2", CORRECT),
        ("96,8,2", 24, "96 / 8 \N{MIDDLE DOT} 2", CORRECT),
        ("96,8,2", 24, "96 / 8 x 2", WRONG),
        ("96,8,2", 24, "(96)(2) / 8", CORRECT),
        ("96,8,2", 24, r"\sqrt{96} 8 2", WRONG),
        ("2,3", 8, "2**3", WRONG),
        ("2,3", 8, "2^3", WRONG),
        ("7,2", 3, "7//2", WRONG),
        ("7,2", 3, "7/2", WRONG),
        ("1,3,3", 1, "1/3*3", CORRECT),  # exact: no rounding on the way
        ("1,5,10", 15, "1.5*10", WRONG),
        ("5,8", 16, "8/.5", WRONG),
        ("3,3,8", 4, "8/(3-3)", WRONG),
        ("3,3,8", 0, "(3-3)/8", CORRECT),
        ("3,3", 6, "3+3", CORRECT),
        ("3,3", 3, "3", WRONG),
        ("5", 5, "5", CORRECT),
        ("5,8", -3, "5-8", CORRECT),
        ("5,8", -3, "5-8=-3", CORRECT),
        ("0,4", 0, "0/4", CORRECT),
        ("0,4", 0, "4/0", WRONG),
    ],
)
def test_countdown_values(numbers, target, answer, expected):
    assert judge(("countdown", {"numbers": numbers, "target": target}), rf"\boxed{{{answer}}}") == expected


@pytest.mark.parametrize(
    ("data_source", "ground_truth", "answer"),
    [
        ("countdown", {"numbers": "8,73,96", "target": "31"}, "96-73+8"),
        ("countdown", {"numbers": " 8, 73, 96 ", "target": 31.0}, "96-73+8"),
        ("countdown", {"numbers": [8, 73, 96], "target": 31}, "96-73+8"),
        ("countdown", {"numbers": np.array([8, 73, 96]), "target": np.int64(31)}, "96-73+8"),
        ("countdown", json.dumps({"numbers": "8,73,96", "target": 31}), "96-73+8"),
        ("countdown", np.array({"numbers": "8,73,96", "target": 31}, dtype=object), "96-73+8"),
        ("zebra", {"numbers": None, "target": "carol"}, "carol"),
        ("zebra", "carol", "carol"),
        ("zebra", np.str_("Carol"), "carol"),
        ("arc", {"numbers": None, "target": "0 0 9"}, "0 0 9"),
        ("arc", "0 0 9", "0 0 9"),
    ],
)
def test_every_form_of_ground_truth_is_read(data_source, ground_truth, answer):
    assert compute_score(data_source, rf"\boxed{{{answer}}}", ground_truth) == CORRECT


@pytest.mark.parametrize(
    ("data_source", "ground_truth"),
    [
        ("countdown-mini-train", None),
        ("countdown-mini-train", {}),
        ("countdown-mini-train", "31"),
        ("countdown-mini-train", {"numbers": None, "target": 31}),
        ("countdown-mini-train", {"numbers": [], "target": 31}),
        ("countdown-mini-train", {"numbers": "8,73,", "target": 31}),
        ("countdown-mini-train", {"numbers": "8,-73", "target": 31}),
        ("countdown-mini-train", {"numbers": "8,7.5", "target": 31}),
        ("countdown-mini-train", {"numbers": [8, True], "target": 31}),
        ("countdown-mini-train", {"numbers": "8,73", "target": None}),
        ("countdown-mini-train", {"numbers": "8,73", "target": 0.5}),
        ("countdown-mini-train", {"numbers": "8,73", "target": float("nan")}),
        ("countdown-mini-train", {"numbers": "9" * 5000, "target": 31}),
        ("zebra-mini-train", {"target": " "}),
        ("zebra-mini-train", {"target": 3}),
        ("zebra-mini-train", None),
        ("arc-mini-train", {"target": "0,0,9"}),
        ("arc-mini-train", {"target": "0  0"}),
        ("arc-mini-train", ["0", "0"]),
    ],
)
@pytest.mark.parametrize("response", ["no answer at all", r"\boxed{1}"])
def test_a_bad_ground_truth_is_a_fault_of_the_data_whatever_the_model_wrote(data_source, ground_truth, response):
    with pytest.raises(ValueError, match=rf"data_source '{data_source}': bad ground_truth"):
        compute_score(data_source, response, ground_truth)


@pytest.mark.parametrize("data_source", ["zebra", "math"])
@pytest.mark.parametrize("text", ["['carol']", '["carol"]', "[ \"carol\", 'bob' ]", "['it\\'s']", '["34",]'])
def test_a_list_written_as_text_is_refused_where_there_is_one_right_answer(data_source, text):
    with pytest.raises(ValueError, match=r"a list written as text.*give the entry alone"):
        compute_score(data_source, r"\boxed{carol}", {"target": text})


@pytest.mark.parametrize("text", ["[2,5)", "[3, 4]", "[a, b]", "[]", "'carol'", "['carol'"])
def test_other_brackets_are_no_list_of_texts(text):
    assert compute_score("math", rf"\boxed{{{text}}}", {"target": text})["format"] == 1.0


@pytest.mark.parametrize("data_source", ["countdown", "countdown-a", "countdown-very_hard-test", "countdown:x"])
def test_a_task_is_found_by_the_head_of_the_data_source(data_source):
    assert compute_score(data_source, r"\boxed{3}", {"numbers": "3", "target": 3}) == CORRECT


@pytest.mark.parametrize("data_source", ["", "gsm8k", "countdowns", "count-down", "-countdown", "Countdown", None, 3])
def test_an_unknown_data_source_is_an_error_that_helps(data_source):
    with pytest.raises(ValueError, match=r"arc, countdown.*zebra.*To add a task, write one file"):
        compute_score(data_source, r"\boxed{3}", {"target": "3"})


def test_verl_s_way_of_calling_works():
    result = compute_score(
        data_source="zebra-mini-train",
        solution_str=r"\boxed{carol}",
        ground_truth={"target": "carol"},
        extra_info={"index": 3, "num_turns": None, "rollout_reward_scores": {}},
        reward_router_address="localhost:1",
        reward_model_tokenizer=None,
    )
    assert result == CORRECT
    assert [type(value) for value in result.values()] == [float, float, float]


@pytest.mark.slow
def test_verl_loads_it_by_the_documented_flags():
    from omegaconf import OmegaConf
    from verl.trainer.ppo.reward import get_custom_reward_fn

    import reward_fns

    for path in ("pkg://reward_fns", reward_fns.__file__):
        function = {"path": path, "name": "compute_score", "reward_kwargs": {"strict": True}}
        score = get_custom_reward_fn(OmegaConf.create({"reward": {"custom_reward_function": function}}))
        assert score is not None
        assert score(*ZEBRA[:1], r"\boxed{carol}", ZEBRA[1]) == CORRECT
