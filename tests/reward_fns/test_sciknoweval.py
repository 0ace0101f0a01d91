"""SciKnowEval: letters, judgements and short answers."""

import pytest

from reward_fns import compute_score
from reward_fns.scoring.relations import tuples


def accuracy(truth, answer):
    return compute_score("sciknoweval-chemistry-train", rf"\boxed{{{answer}}}", truth)["acc"]


CHOICE = {"target": "B", "type": "mcq-4-choices"}
JUDGEMENT = {"target": "True", "type": "true_or_false"}
SHORT = {"target": "Sodium chloride", "type": "filling"}
NUMBER = {"target": "1.50", "type": "filling"}


@pytest.mark.parametrize(
    ("truth", "answer", "expected"),
    [
        (CHOICE, "B", 1.0),
        (CHOICE, "b", 1.0),
        (CHOICE, "(B)", 1.0),
        (CHOICE, "B.", 1.0),
        (CHOICE, r"\text{B}", 1.0),
        (CHOICE, r"\textbf{(B)}", 1.0),
        (CHOICE, "A", 0.0),
        (CHOICE, "A, B", 0.0),
        (CHOICE, "A or B", 0.0),
        (CHOICE, "B. Methane", 1.0),
        (CHOICE, "B: vitamin C deficiency", 1.0),
        (CHOICE, "(B) Methane", 1.0),
        (CHOICE, r"\textbf{B.} Methane", 1.0),
        (CHOICE, "C. Methane", 0.0),
        (CHOICE, "B Methane", 0.0),
        (CHOICE, "B. Methane or C. Ethane", 0.0),
        (CHOICE, "B. and C.", 0.0),
        (CHOICE, "B) C", 0.0),
        (CHOICE, "B. Not sure, maybe C", 0.0),
        (CHOICE, "B. 12 V", 1.0),
        (CHOICE, "(B) 300 K", 1.0),
        (CHOICE, "B) 10 N", 1.0),
        (CHOICE, r"B. 12\text{ V}", 1.0),
        (CHOICE, "B. Vitamin C", 1.0),
        (CHOICE, "B. Coenzyme A", 1.0),
        (CHOICE, "B: Hepatitis B", 1.0),
        (CHOICE, "B. C. elegans", 1.0),
        (CHOICE, "B. ascorbic acid (vitamin C)", 1.0),
        (CHOICE, "B. 10 J/K", 1.0),
        (CHOICE, r"B. R\&D", 1.0),
        (CHOICE, "B. organic acids", 1.0),
        (CHOICE, "B. X and Y", 1.0),
        (CHOICE, "B. X and Y chromosomes", 1.0),
        (CHOICE, "B. Vitamins A and C", 1.0),
        (CHOICE, "(B) vitamins A, D, and E", 1.0),
        (CHOICE, "B. A and C only", 1.0),
        (CHOICE, "B. A and B antigens", 1.0),
        (CHOICE, "B. A and C", 0.0),
        (CHOICE, "B. C and D", 0.0),
        (CHOICE, "B. A or C only", 0.0),
        (CHOICE, "B. Options A and C", 0.0),
        (CHOICE, "B. Perhaps A and C", 0.0),
        (CHOICE, "B. A and C perhaps", 0.0),
        (CHOICE, "B. Vitamins A and C. D", 0.0),
        (CHOICE, "B. Vitamins A and C or D", 0.0),
        (CHOICE, "B. Acids and C", 0.0),
        (CHOICE, "A. Vitamins A and C", 0.0),
        (CHOICE, "B.C.D", 0.0),
        (CHOICE, "B)C)D)", 0.0),
        (CHOICE, "B:C", 0.0),
        (CHOICE, "B.Methane", 1.0),
        (CHOICE, "B.DNA", 1.0),
        (CHOICE, "B. C", 0.0),
        (CHOICE, "B. C. Ethane", 0.0),
        (CHOICE, "B. Methane, C", 0.0),
        (CHOICE, "B. Methane/C", 0.0),
        (CHOICE, "B. Methane and C", 0.0),
        (CHOICE, "B. Methane OR C", 0.0),
        (CHOICE, "B. Methane, possibly C", 0.0),
        (CHOICE, "B. Methane (or C)", 0.0),
        (CHOICE, "B. Methane (C)", 0.0),
        (CHOICE, "B. Methane - C", 0.0),
        (CHOICE, "B) or C", 0.0),
        (CHOICE, "B. & C", 0.0),
        (CHOICE, "Because", 0.0),
        (CHOICE, "BB", 0.0),
        (CHOICE, "\u0412", 0.0),  # Cyrillic
        ("B", "(b)", 1.0),
        ("(B)", "B", 1.0),
        ("(B)", "C", 0.0),
        ("b", "B. Methane", 1.0),
        (["(B)", "c"], "C", 1.0),
        ("yes", "True", 1.0),
        ("yes", "no", 0.0),
        ("No.", "false", 1.0),
        ("NO", "false", 0.0),  # nitric oxide
        ("NO", "no", 1.0),
        ('["NaCl", "table salt"]', "Table salt", 1.0),
        ({"target": '["NaCl", "table salt"]', "type": "filling"}, "nacl", 1.0),
        ({"target": "['NaCl', 'table salt']", "type": "filling"}, "nacl", 1.0),
        ({"target": '["NaCl", "table salt"]', "type": "filling"}, "KCl", 0.0),
        ({"target": '["B"]', "type": "mcq-4-choices"}, "(b)", 1.0),
        ('["True"]', "yes", 1.0),
        ("""['Hund\\'s rule', "it"]""", "Hund's rule", 1.0),
        ({"target": "[1, 2]", "type": "filling"}, "[1, 2]", 1.0),  # no quotes: one answer
        ({"target": "[1, 2]", "type": "filling"}, "1", 0.0),
        ({"target": '["(a, int, b)", "(b, int, c)"]', "type": "relation_extraction"}, "(a, int, b)", 0.0),
        ({"target": '["(a, int, b)", "(b, int, c)"]', "type": "relation_extraction"}, "(b, int, c), (a, int, b)", 1.0),
        (JUDGEMENT, "true", 1.0),
        (JUDGEMENT, "T", 1.0),
        (JUDGEMENT, "Yes.", 1.0),
        (JUDGEMENT, "False", 0.0),
        (JUDGEMENT, "true or false", 0.0),
        ({"target": True}, "true", 1.0),
        ("false", "F", 1.0),
        (SHORT, "sodium  chloride.", 1.0),
        (SHORT, r"\text{Sodium chloride}", 1.0),
        (SHORT, "chloride", 0.0),
        (NUMBER, "1.5", 1.0),
        (NUMBER, "15e-1", 1.0),
        (NUMBER, "1.51", 0.0),
        (NUMBER, "1.5 mol", 0.0),
        ({"target": 2, "type": "filling"}, "2.0", 1.0),
        ({"target": 0.00005, "type": "filling"}, "0.00005", 1.0),
        ({"target": ["NaCl", "sodium chloride"], "type": "filling"}, "nacl", 1.0),
        ({"target": "C", "type": "filling"}, "c", 1.0),  # carbon, not the third choice
        ({"target": "C", "type": "filling"}, "(C)", 0.0),
    ],
)
def test_answers(truth, answer, expected):
    assert accuracy(truth, answer) == expected


@pytest.mark.parametrize(
    "truth",
    [
        {"target": "AB", "type": "mcq-4-choices"},
        {"target": "maybe", "type": "true_or_false"},
        {"target": "x", "type": "open-ended-qa"},
        {"target": [], "type": "filling"},
        {"target": '["NaCl", " "]', "type": "filling"},
        {"target": '["B", "maybe"]', "type": "mcq-4-choices"},
        {"target": ".", "type": "filling"},
        {"target": float("nan"), "type": "filling"},
        {"target": [1.5, float("inf")], "type": "filling"},
        {"type": "filling"},
        None,
    ],
)
def test_a_truth_that_rules_cannot_judge_is_refused(truth):
    with pytest.raises(ValueError, match="bad ground_truth"):
        accuracy(truth, "B")


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        ("[[geneA, breast cancer], [geneB, asthma]]", 1.0),
        ("[ [geneB, asthma], [geneA, breast cancer] ]", 1.0),
        ("(geneB, asthma), (geneA, breast cancer)", 1.0),
        ("[[geneA, breast cancer]]", 0.1),
        ("[[geneA, asthma], [geneB, breast cancer]]", 0.1),
        ("[[geneA, breast cancer], [geneB, asthma], [geneB, breast cancer]]", 0.1),
        ("(geneC), (geneA, breast cancer), (geneB, asthma)", 0.1),
        ("(1) (geneA, breast cancer) (2) (geneB, asthma)", 1.0),
    ],
)
def test_relations_are_a_set_of_tuples_in_either_kind_of_brackets(answer, score):
    truth = {"target": "(geneA, breast cancer), (geneB, asthma)", "type": "relation_extraction"}
    assert compute_score("sciknoweval", rf"\boxed{{{answer}}}", truth)["score"] == score


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(a,b), (c , d)", [["a", "b"], ["c", "d"]]),
        ("[(a, X, b)]", [["a", "X", "b"]]),
        ("[[a, X, b]]", [["a", "X", "b"]]),
        ("(iron(II), anaemia)", [["iron(II)", "anaemia"]]),
        ("(a, b), (c, X, d)", [["a", "b"], ["c", "X", "d"]]),
        ("(a, )", [["a", ""]]),
        ("(a, b) and (c, d).\n\nEND", [["a", "b"], ["c", "d"]]),
        ("(1) (a, b)", [["a", "b"]]),
        ("(a), (b, c)", None),
        ("(a, b) but not (c, d)", None),
        ("The host 'a (b)' was doped.", []),
        ("(a)", []),
        ("a, b", []),
        ("", []),
    ],
)
def test_tuples_are_read_as_they_are_written(text, expected):
    assert tuples(text) == expected
