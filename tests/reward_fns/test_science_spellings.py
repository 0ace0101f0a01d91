"""SciKnowEval: equations and relations in the notation of its public files, in every spelling that people may use."""

import json
import re

import pytest

from reward_fns import compute_score
from reward_fns.scoring.relations import tuples

EQUATIONS = [
    "2Na + 2H2O = 2NaOH + H2",
    "C3H8(g) + 5O2(g) = 3CO2(g) + 4H2O(l)",
    "3Ca(OH)2 + 2H3PO4 = Ca3(PO4)2 + 6H2O",
    "4K4[Fe(CN)6] + O2 + 2H2O = 4K3[Fe(CN)6] + 4KOH",
    "Cu + 2Ag{+} = Cu{+2} + 2Ag",
    "MnO4{-} + 5Fe{+2} + 8H{+} = Mn{+2} + 5Fe{+3} + 4H2O",
]
RELATIONS = [
    "(lithium,tremor)",
    "(amiodarone,thyroid disease), (amiodarone,av block), (iron(II),nausea)",
    "(PAX6, LOF, aniridia), (WT1, COM, Wilms tumour)",
]


def in_latex(equation):
    charged = re.sub(r"\{([+-][0-9]?)\}", r"^{\1}", equation)
    return re.sub(r"(?<=[A-Za-z)\]])([0-9]+)", r"_{\1}", charged)


def with_charges(opening, closing):
    return lambda equation: re.sub(r"\{([+-])([0-9]?)\}", lambda m: f"^{opening}{m[2]}{m[1]}{closing}", equation)


SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
EQUATION_SPELLINGS = {
    "as it is": lambda e: e,
    "an arrow": lambda e: e.replace("=", "->"),
    "an arrow of Unicode, subscripts too": lambda e: re.sub(
        r"(?<=[A-Za-z)\]])[0-9]+", lambda m: m[0].translate(SUBSCRIPTS), e
    ).replace("=", "→"),
    "LaTeX": lambda e: f"${in_latex(e)}$".replace("=", r"\rightarrow"),
    r"\text": lambda e: rf"\text{{{e}}}",
    r"\ce": lambda e: rf"\ce{{{e.replace('=', '->')}}}",
    r"\ce in LaTeX": lambda e: rf"\ce{{{in_latex(e)}}}",
    r"\mathrm": lambda e: rf"\mathrm{{{in_latex(e)}}}".replace("=", r"\longrightarrow"),
    r"\mathrm per element": lambda e: re.sub(r"([A-Z][a-z]?)", r"\\mathrm{\1}", in_latex(e)),
    "charges behind a hat": with_charges("", ""),
    "charges in braces": with_charges("{", "}"),
    "no blanks": lambda e: e.replace(" + ", "+").replace(" = ", "="),
    "blanks behind coefficients": lambda e: re.sub(r"(?<![\w{+(\[])([0-9]+)(?=[A-Z(])", r"\1 ", e),
    "no states": lambda e: re.sub(r"\((aq|s|l|g)\)", "", e),
    "another order": lambda e: " = ".join(" + ".join(side.split(" + ")[::-1]) for side in e.split(" = ")),
}
EQUATION_CHANGES = {
    "sides swapped": lambda e: " = ".join(e.split(" = ")[::-1]),
    "another coefficient": lambda e: f"7{e.lstrip('0123456789')}",
    "a species more": lambda e: f"{e} + O2",
    "another element": lambda e: e.replace("O", "S").replace("Cu", "Au"),
}


def listed(relations, part=lambda text: text):
    return "[" + ", ".join("[" + ", ".join(map(part, one)) + "]" for one in relations) + "]"


RELATION_SPELLINGS = {
    "as it is": lambda r: r,
    "a list of lists": lambda r: listed(tuples(r)),
    "another order": lambda r: listed(tuples(r)[::-1]),
    "capitals": lambda r: listed(tuples(r), str.upper),
    "JSON": lambda r: json.dumps(tuples(r)),
    "tuples in a list": lambda r: f"[{r}]",
    "a line each": lambda r: r.replace("), (", ")\n("),
    "semicolons": lambda r: r.replace("), (", "); ("),
    r"\text round it": lambda r: rf"\text{{{listed(tuples(r))}}}",
    r"\text per part": lambda r: listed(tuples(r), lambda part: rf"\text{{{part}}}"),
}
RELATION_CHANGES = {
    "ends swapped": lambda r: listed([one[::-1] for one in tuples(r)]),
    "one more": lambda r: f"{r}, ({', '.join(['x'] * len(tuples(r)[0]))})",
    "another word": lambda r: listed(
        tuples(r), lambda part: part.replace("e", "a").replace("L", "G").replace("i", "o")
    ),
}


def score(target, kind, answer):
    return compute_score("sciknoweval", rf"So \boxed{{{answer}}}", {"target": target, "type": kind})["score"]


def with_another_score(expected, golds, kind, written):
    """The answers, each gold as `written` writes it, that do not get the expected score."""
    answers = [(gold, written(gold)) for gold in golds]
    return [answer for gold, answer in answers if score(gold, kind, answer) != expected]


@pytest.mark.parametrize("spelling", EQUATION_SPELLINGS)
def test_an_equation_is_right_in_every_spelling(spelling):
    assert with_another_score(1.0, EQUATIONS, "filling", EQUATION_SPELLINGS[spelling]) == []


@pytest.mark.parametrize("change", EQUATION_CHANGES)
def test_a_changed_equation_is_wrong(change):
    assert with_another_score(0.1, EQUATIONS, "filling", EQUATION_CHANGES[change]) == []


@pytest.mark.parametrize("spelling", RELATION_SPELLINGS)
def test_relations_are_right_in_every_spelling(spelling):
    assert with_another_score(1.0, RELATIONS, "relation_extraction", RELATION_SPELLINGS[spelling]) == []


@pytest.mark.parametrize("change", RELATION_CHANGES)
def test_changed_relations_are_wrong(change):
    assert with_another_score(0.1, RELATIONS, "relation_extraction", RELATION_CHANGES[change]) == []
