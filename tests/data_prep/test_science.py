"""SciKnowEval's kinds of rows, modelled on its public files: what is asked, and which rows are left out."""

import pytest

from data_prep.fields import LeftOut
from data_prep.science import instruction_of, science_puzzle
from reward_fns import compute_score

CHOOSE = (
    'Given a question and four options, please select the right answer. Your answer should be "A", "B", "C" or "D". '
    "Please directly give the answer without any explanation."
)
JUDGE = (
    "Given a true or false question, your task is to answer whether the question is true or not. Your answer should be "
    '"Yes" or "No". Please directly give the answer, DO NOT output any other characters.'
)
BALANCE = "Given a chemical equation, please balance it without any explanation and keep the order of the species."
PAIRS = (
    "Please identify all the [compound,disease] relations in the abstract, only in the list format "
    '"[[compound 1, disease 1], [...,...], ...]". Directly give me the list, DO NOT output any other characters.'
)
TRIPLES = (
    "You need to extract the (gene, change, disease) triplet. Types of change are: LOF and GOF. "
    'Return all of them in the list format: "[(GENE1, CHANGE1, DISEASE1), ...]".'
)
INTERACTIONS = (
    'Identify all drug-drug interactions, presented only in the list format "[(drug1, interaction1, drug2), ...]". '
    "Directly give me the list, DO NOT output any other characters."
)
DOPING = 'Identify host and dopant in the list format: ["The host [host 1] was doped with [substance 1].", ...].'


def row(kind, question, answer, instruction=None, **fields):
    return {
        "prompt": {"default": instruction},
        "question": question,
        "answer": answer,
        "answerKey": "",
        "choices": {"text": [], "label": []},
        "type": kind,
        "domain": "Biology",
        "details": {"level": "L2", "task": "t", "subtask": "s", "source": "web"},
        **fields,
    }


def choice(key="B", texts=("one", "two", "three", "four"), labels="ABCD", **fields):
    choices = {"text": list(texts), "label": list(labels)}
    return row("mcq-4-choices", "Which?", "", CHOOSE, **{"answerKey": key, "choices": choices, **fields})


def pairs(answer, question="Aspirin caused Headache\n and, rarely, renal failure (RF).", instruction=PAIRS):
    return row("relation_extraction", question, answer, instruction)


def triples(answer, instruction=TRIPLES):
    return row("relation_extraction", "ABC1 mutations cause Kallmann syndrome and ichthyosis.", answer, instruction)


ADMITTED = {
    "choice": choice(),
    "choice of numbers": choice("C", (1, 2, 3.5, 1), "ABCD"),
    "judgement": row("true_or_false", "Is the protein 'MKI' soluble?", "No", JUDGE),
    "equation": row("filling", "Mg + HCl = MgCl2 + H2", "Mg + 2HCl = MgCl2 + H2", BALANCE),
    "pairs": pairs("(aspirin,headache), (aspirin,renal failure)"),
    "one pair": pairs("(aspirin,RF)"),
    "pairs with and": pairs("(aspirin, headache) and (aspirin, RF)."),
    "a list of lists": pairs("[[aspirin, headache], [aspirin, renal failure]]"),
    "triples": triples("(ABC1, LOF, Kallmann syndrome), (ABC1, GOF, ichthyosis)"),
}


@pytest.mark.parametrize("kind", ADMITTED)
def test_the_prompt_has_instruction_and_question_and_the_answer_scores(kind):
    puzzle = science_puzzle(ADMITTED[kind])
    asked = ADMITTED[kind]["prompt"]["default"].split(".")[0].replace(" without any explanation", "")
    for text in (puzzle.prompt, puzzle.question):
        assert asked in text and ADMITTED[kind]["question"] in text
        assert "directly give" not in text.lower() and "do not output" not in text.lower()
        assert "without any explanation" not in text
    score = compute_score("sciknoweval-biology-train", f"\\boxed{{{puzzle.solution}}}", puzzle.ground_truth)
    assert score["score"] == 1.0


def test_the_answer_is_asked_for_in_the_words_of_the_row():
    assert "B) two" in science_puzzle(choice()).question
    assert "the one word Yes or No" in science_puzzle(ADMITTED["judgement"]).question
    truth = row("true_or_false", "Water boils.", "True")
    assert "the one word True or False" in science_puzzle(truth).question
    assert "in the form asked for" in science_puzzle(ADMITTED["pairs"]).question


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (row("open-ended-qa", "Why?", "It depends."), "no rule can judge"),
        (row("", "Why?", "It depends."), "no rule can judge"),
        (row("true_or_false", "Is it?", "maybe"), "no rule can judge"),
        (row("filling", " ", "x"), "no question"),
        (row("filling", "?", ""), "no answer"),
        (row("filling", "?", ["NaCl", "salt"]), "several right answers"),
        (choice("E"), "right letter is not one of its choices"),
        (choice(labels="ABBD"), "right letter is not one of its choices"),
        (choice(texts=("4", "2", "4", "2"), key="A"), "more than one choice has the text"),
        (choice(choices=None), "no choices"),
        (pairs("(aspirin,headache)", instruction=None), "no instruction that says what"),
        (pairs("(aspirin,headache)", instruction=" "), "no instruction that says what"),
        (pairs("(aspirin, headache, RF), (aspirin, RF)"), "no list of relations"),
        (pairs("(aspirin, )"), "no list of relations"),
        (pairs("(aspirin), (aspirin, RF)"), "no rule can judge"),
        (pairs("aspirin, RF"), "no list of relations"),
        (pairs("(aspirin,migraine)"), "words that are not in the question"),
        (pairs("(aspirin,ache)"), "words that are not in the question"),
        (triples("(ABC1, int, ichthyosis)", INTERACTIONS), "does not name the kinds of relation"),
        (pairs("The host 'aspirin' was doped with 'RF'.\n\nEND", instruction=DOPING), "no list of relations"),
    ],
)
def test_a_row_whose_answer_does_not_follow_is_left_out(fields, reason):
    with pytest.raises(LeftOut, match=reason):
        science_puzzle(fields)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"question": "?", "type": "filling"}, "no field answerKey or answer"),
        ({"type": "filling", "answer": "x"}, "no field question"),
        ({"question": "?", "answer": "x"}, "no field type"),
        (row(7, "?", "x"), "'type' must be text; it is 7"),
        (row("filling", "?", "x", {"text": "?"}), "'prompt' must be text"),
        (choice(choices=["one", "two"]), "'choices' must hold lists"),
        (choice(texts=("one", "two")), "'choices' must hold lists"),
        (choice(texts=("one", {"a": 1}, "three", "four")), "'text' must be text"),
    ],
)
def test_a_field_that_cannot_be_meant_is_said(fields, words):
    with pytest.raises(ValueError, match=words):
        science_puzzle(fields)


def test_the_instruction_may_be_text_and_the_type_a_list_of_one():
    assert instruction_of({"prompt": JUDGE}).endswith('should be "Yes" or "No".')
    assert instruction_of({"prompt": {"default": BALANCE}}).endswith(
        "please balance it and keep the order of the species."
    )
    assert instruction_of({}) == instruction_of({"prompt": {}}) == ""
    assert science_puzzle(choice(type=["mcq-4-choices"])).ground_truth["type"] == "mcq-4-choices"
