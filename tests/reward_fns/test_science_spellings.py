"""SciKnowEval: equations, relations and short texts as its public files write them, in other spellings of the same."""

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


SAME_TEXTS = [
    ("9.8 m/s^2", r"9.8 \text{ m/s}^{2}"),
    ("9.8 m/s\N{SUPERSCRIPT TWO}", r"9.8 \text{ m/s}^2"),
    ("9.8 m/s\N{SUPERSCRIPT TWO}", "9.8 m/s^2"),
    ("10^8 m/s", r"10^{8}\text{ m/s}"),
    ("3.0 x 10^8 m/s", r"3.0 \times 10^{8} \text{ m/s}"),
    ("1600 cm^-1", r"1600\ \mathrm{cm^{-1}}"),
    ("25 \N{DEGREE SIGN}C", r"25^{\circ}\text{C}"),
    ("x^2", "x^{2}"),
    ("e^-kt", "e^{-kt}"),
    ("k_B T", "k_{B} T"),
    ("V_max", r"V_{\text{max}}"),
    ("50%", r"50\%"),
    ("50 %", r"\text{50}\%"),
    ("R&D", r"R\&D"),
    ("\N{GREEK SMALL LETTER BETA}-sheet", r"\beta\text{-sheet}"),
    ("Na, K", r"\text{Na}, \text{K}"),
    ("F=ma", r"\text{F} = \text{ma}"),
    ("x + y", "x+y"),
    ("0.001", "10^{-3}"),
    ("0.001", "10^-3"),
    ("1000", "10^3"),
    ("-1000", "-10^{3}"),
    ("1000", "1{,}000"),
]
OTHER_TEXTS = [
    ("10^3", "103"),
    ("1000", "10^{-3}"),
    ("1000", "10^{2}"),
    ("10^3 m", "103 m"),
    ("x^2", "x2"),
    ("x^2y", "x^{2y}"),
    ("x^12", "x^{1}2"),
    ("k_B", "kB"),
    ("k_cat", "k_{c}at"),
    ("cm^-1", "cm^{1}"),
    ("50%", "50"),
    ("50%", "0.5"),
    ("x+y", "x-y"),
    ("R&D", "RD"),
]
SAME_SPECIES = [
    ("Na+", "Na^+"),
    ("Na+", r"\text{Na}^+"),
    ("Ca2+", r"\text{Ca}^{2+}"),
    ("Fe3+", "Fe^{+3}"),
    ("Fe+3", "Fe^{3+}"),
    ("Fe^{3+}", "Fe3+"),
    ("OH-", r"\text{OH}^-"),
    ("NH4+", "NH_4^+"),
    ("NH4+", "NH_4+"),
    ("NO3-", "NO_3^-"),
    ("SO42-", "SO_4^{2-}"),
    ("SO4 2-", r"\mathrm{SO_4^{2-}}"),
    ("Cr2O72-", "Cr_2O_7^{2-}"),
    ("Hg22+", "Hg_2^{2+}"),
    ("I3-", "I_3^-"),
    ("C6H11-", "C_6H_{11}^-"),
    ("[Fe(CN)6]3-", "[Fe(CN)_6]^{3-}"),
    ("Cu(NH3)42+", "Cu(NH_3)_4^{2+}"),
    ("Fe3+ + 3OH- = Fe(OH)3", r"\text{Fe}^{3+} + 3\text{OH}^- \rightarrow \text{Fe(OH)}_3"),
    ("Fe3++3OH-=Fe(OH)3", r"Fe^{3+} + 3OH^- = Fe(OH)_3"),
    ("Na+(aq) + Cl-(aq) = NaCl(s)", "Na^+ + Cl^- -> NaCl"),
    ("Fe3+ + e- = Fe2+", "Fe^{3+} + e^- = Fe^{2+}"),
    ("2H2+O2=2H2O", r"O_2 + 2H_2 \to 2H_2O"),
    ("H2 + 1/2 O2 = H2O", r"H_2 + \frac{1}{2}O_2 \to H_2O"),
    ("CeO2", "CeO_2"),
]
OTHER_SPECIES = [
    ("H2O", "H20"),
    ("CO", "Co"),
    ("Fe2+", "Fe^{3+}"),
    ("Fe2+", "Fe_2^+"),
    ("Na+", "Na"),
    ("Na+", "Na^-"),
    ("NO3-", "NO^{3-}"),
    ("NH4+", "NH^{4+}"),
    ("SO42-", "SO_{42}^-"),
    ("O2-", "O_2^-"),
    ("2Fe3+", "Fe^{3+}"),
    ("2H2+O2", "2H2+"),
    ("Na+ + Cl- = NaCl", "Na + Cl = NaCl"),
    ("Fe3+ + 3OH- = Fe(OH)3", "Fe2+ + 3OH- = Fe(OH)3"),
]


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


@pytest.mark.parametrize(("target", "answer"), SAME_TEXTS + SAME_SPECIES)
def test_a_short_answer_is_right_as_plain_text_and_as_latex(target, answer):
    assert score(target, "filling", answer) == 1.0


@pytest.mark.parametrize(("target", "answer"), OTHER_TEXTS + OTHER_SPECIES)
def test_what_looks_like_a_short_answer_is_wrong(target, answer):
    assert score(target, "filling", answer) == 0.1


def test_escaped_signs_are_read_in_relations_too():
    assert score("(gene_1, int, R&D)", "relation_extraction", r"(gene\_1, int, R\&D)") == 1.0
