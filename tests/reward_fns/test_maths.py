"""Mathematics: what counts as equal, what is refused, and that hostile answers end."""

import math
import threading

import pytest

from reward_fns import compute_score


def accuracy(reference, answer):
    return compute_score("math_train", rf"So \boxed{{{answer}}}", reference)["acc"]


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        ("3", "3"),
        ("3", "03"),
        ("3", "3.0"),
        ("3", "x = 3"),
        ("3", "$3$"),
        ("3000", "3,000"),
        ("3000", "3{,}000"),
        (r"10\%", "10"),
        (r"\$18.90", "18.9"),
        (r"\frac{1}{2}", "0.5"),
        (r"\frac12", r"\dfrac{2}{4}"),
        (r"11\sqrt2", r"11\sqrt{2}"),
        (r"2\sqrt{2}", r"\sqrt{8}"),
        ("x^2+2x+1", "(x+1)^2"),
        ("(1,2)", "(1, 2)"),
        ("1,2", "2, 1"),
        ("5", r"5\text{ cm}"),
        ("0.6666666666666666", r"\frac{2}{3}"),
        (r"\frac{14}{3}", "4.666666666666667"),
        ("2.3333333333333335", r"\frac{7}{3}"),
        (r"90^\circ", "90"),
        (r"\text{Friday}", "Friday"),
        (r"11,\! 111,\! 111,\! 100", "11111111100"),
        (r"10,\! 080", "10080"),
        ("10080", r"10,\!080"),
        ("1000000", r"1 \text{ million}"),
        (r"\$1.5\text{ million}", "1500000"),
        ("36", r"3 \text{ dozen}"),
        ("300000", "3 hundred thousand"),
        ("0.05", r"5\text{ hundredths}"),
        ("3", r"3\text{ times}"),
        (r"7\text{ cm}^2", r"7\text{ cm squared}"),
        (r"\frac{1}{3}", r"0.\overline{3}"),
        (r"0.\overline{81}", r"\frac{9}{11}"),
        (r"0.4\overline{5}", r"\frac{41}{90}"),
        (r"-\frac{10}{3}", r"-3.\bar{3}"),
        (r"\frac{\pi}{3}", r"0.\overline{3}\pi"),
        (r"0.\overline{3}", r"0.3\overline{3}"),
        ("y=2x+1", "y = 1 + 2x"),
        (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}"),
    ],
)
def test_equal_values_are_correct(reference, answer):
    assert accuracy(reference, answer) == 1.0


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        ("3", "4"),
        ("3", "2 or 3"),
        ("3", "2, 3"),
        ("3", "4=3"),
        ("3", "2+2=3"),
        ("3", "1=2=3"),
        ("3", r"7 \equiv 3"),
        ("3", r"3 \approx 3.1"),
        ("3", "4$ $3"),
        ("12", "1 2"),
        ("(1,2]", "(1,2)"),
        ("x", "y"),
        ("3", "x"),
        ("3", "="),
        ("3", "x ="),
        ("3", "\x00"),
        ("3", "\ud800"),
        (r"\frac{1}{3}", "0.333"),
        (r"\frac{1}{3}", "0.333333"),
        (r"\frac{14}{3}", "4.666666666666669"),
        ("4.666666666666667", "4.666666666666668"),
        ("12,5", r"12,\! 500"),
        ("3", r"3\text{ million}"),
        (r"3\text{ million}", r"3\text{ billion}"),
        ("3", r"3 \text{ dozen}"),
        ("5", "5 thousand"),
        ("5", r"5\text{ hundredths}"),
        ("7", r"7 \text{ squared}"),
        ("7", r"7\text{ cubed}"),
        ("7", r"7\text{ plus 1}"),
        (r"\frac{1}{3}", r"0.\overline{4}"),
        (r"\frac{1}{3}", r"3.\overline{3}"),
        (r"\frac{41}{90}", r"0.\overline{45}"),
        ("0.3", r"0.\overline{3}"),
        (r"\frac{1}{3}", r"0.\overline{3}_4"),
    ],
)
def test_other_values_are_wrong(reference, answer):
    assert accuracy(reference, answer) == 0.0


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        (0.00005, "0.00005"),
        (0.00005, r"5 \times 10^{-5}"),
        (0.00005, r"\frac{1}{20000}"),
        (1e16, "10000000000000000"),
        (1e22, "10^{22}"),
        (-1.5e-7, "-0.00000015"),
        (2.0, "2"),
        (3, "3"),
        ("1e-5", "0.00001"),
        ("0.00001", "1e-05"),
        ("1.5e3", "1500"),
        ("1500", "1.5E3"),
        ("1500", "1.5E+3"),
        ("6.02e23", r"6.02 \times 10^{23}"),
        (r"1.5e3\text{ cm}", "1500"),
        ("(1e3, 2)", "(1000, 2)"),
        ("2e - 5", "-5 + 2e"),  # Euler's number, with blanks
        ("3e", r"3 \cdot e"),
        ("3e^2", "3e^{2}"),
    ],
)
def test_a_number_with_an_exponent_is_read_by_value(reference, answer):
    assert accuracy({"target": reference}, answer) == 1.0


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        ("1e-5", "e-5"),
        ("1e-5", "1e-6"),
        (0.00005, "0.0005"),
        ("1500", "1.5e4"),
        ("0", "1e-400"),  # no float is as small
        ("0.1234567890123", "1e999"),  # nor as large
        ("0.1234567890123", "-1e999"),
    ],
)
def test_another_exponent_is_wrong(reference, answer, caplog):
    assert accuracy({"target": reference}, answer) == 0.0
    assert caplog.text == ""


NO_UNITS = (
    "divided by five|over five|times two|below zero|mod 5|mod five|at least|or more|less than|doubled|twice|k|half|"
    "wrong|false|point five|negative|remainder 3|out of 20|to one|and a third|plus 1"
)
SCALES = {"tens": 120, "bn": 12 * 10**9, "lakh": 1_200_000, "crore": 120_000_000, "mln": 12_000_000}


@pytest.mark.parametrize("words", NO_UNITS.split("|"))
def test_words_that_say_something_else_are_no_unit(words):
    assert accuracy("12", rf"12\text{{ {words}}}") == 0.0
    assert accuracy("12", f"12 {words}") == 0.0


@pytest.mark.parametrize(("word", "value"), SCALES.items())
def test_a_word_for_a_scale_multiplies(word, value):
    assert accuracy("12", rf"12\text{{ {word}}}") == 0.0
    assert accuracy(str(value), rf"12\text{{ {word}}}") == 1.0


@pytest.mark.parametrize("words", ["times", "ways", "K", "students", "cm^2", "one-dollar bills", "m^2 per hour", "ft."])
def test_any_other_word_may_be_a_unit(words):
    assert accuracy("12", rf"12\text{{ {words}}}") == 1.0
    assert accuracy(rf"12\text{{ {words}}}", "12") == 1.0


@pytest.mark.parametrize(
    ("reference", "answer", "expected"),
    [
        (r"\frac13", r"0.\dot{3}", 1.0),
        (r"\frac13", r"0.\dot3", 1.0),
        (r"\frac13", "0.(3)", 1.0),
        (r"\frac13", r"0.3\text{ repeating}", 1.0),
        (r"\frac13", "0.33 repeating", 1.0),
        (r"\frac13", r"0.3\text{ recurring}", 1.0),
        (r"-\frac16", r"-0.1\dot{6}", 1.0),
        (r"\frac16", "0.1(6)", 1.0),
        (r"\frac{9}{11}", r"0.\dot{8}\dot{1}", 1.0),
        (r"\frac17", r"0.\dot{1}4285\dot{7}", 1.0),
        ("0.3", r"0.\dot{3}", 0.0),
        ("0.3", "0.(3)", 0.0),
        ("0.3", r"0.3\text{ repeating}", 0.0),
        ("0.16", "0.16 repeating", 0.0),  # 0.1616... or 0.1666...
        (r"\frac{16}{99}", "0.16 repeating", 0.0),
        ("0.3", r"0.3\ldots", 0.0),
        ("0.3", "0.3...", 0.0),
        ("3", r"3\ldots", 0.0),
        (r"\frac19", "0.(3)", 0.0),
        (r"\dot{x}", r"\dot{x}", 1.0),
    ],
)
def test_a_repeating_decimal_is_worth_its_fraction(reference, answer, expected):
    assert accuracy(reference, answer) == expected


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        ("391", r"17\cdot 23"),
        ("391", r"17\times 23"),
        ("391", "17*23"),
        ("391", "17(23)"),
        ("391", "(17)(23)"),
        ("391", "200+191"),
        ("-5", "1-6"),
        ("5", r"10 \div 2"),
        (r"\frac{3}{4}", r"1-\frac14"),
        (r"\frac{5}{6}", r"\frac12+\frac13"),
        ("391", r"x = 17 \cdot 23"),
        ("391", r"17 \cdot 23\text{ cm}"),
        ("(391,1)", r"(17 \cdot 23, 1)"),
        ("5050", r"\sum_{k=1}^{100} k"),
        ("24", r"\prod_{k=1}^4 k"),
        ("0.5", r"\int_0^1 x\,dx"),
        ("9", r"\lim_{x\to 0} 9"),
        ("120", "5!"),
        ("10", r"\binom{5}{2}"),
        ("10", r"\dbinom{5}{2}"),
        ("3", r"\log_2 8"),
        ("2", r"\ln e^2"),
        ("6", r"\gcd(12,18)"),
        ("1", r"\sin 90^\circ"),
        ("1", "tan(45)"),
    ],
)
def test_how_to_compute_a_number_is_no_answer(reference, answer):
    assert accuracy(reference, answer) == 0.0


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        ("1500", r"1.5\times10^3"),
        ("1500", r"1.5 \cdot 10^{3}"),
        ("-0.0015", r"-1.5 \times 10^{-3}"),
        (r"\frac{7}{2}", r"3\frac12"),
        (r"\frac{7}{2}", r"3+\frac{1}{2}"),
        (r"\frac{7}{2}", "3 1/2"),
        (r"-\frac{7}{2}", r"-3\frac12"),
        ("30", r"2\frac12\text{ dozen}"),
        ("10", r"10\%"),
        ("0.001", "10^{-3}"),
        ("3", "a+b=3"),
        ("-5", "(-5)"),
        ("120", "\\frac{240}{2}"),
        ("5!", "120"),
        ("5!", r"5 \cdot 4!"),
        (r"\log_2 7", r"\frac{\ln 7}{\ln 2}"),
        (r"17 \cdot 23", r"23 \cdot 17"),
        ("x+5", "x+2+3"),
    ],
)
def test_a_number_written_otherwise_and_a_reference_that_is_an_expression_go_by_value(reference, answer):
    assert accuracy(reference, answer) == 1.0


@pytest.mark.parametrize("data_source", ["math", "math_train", "test_math", "test_amc", "test_aime", "math-easy-train"])
def test_the_released_names_are_known(data_source):
    assert compute_score(data_source, r"\boxed{70}", "70")["acc"] == 1.0
    assert compute_score(data_source, r"\boxed{70}", {"target": 70})["acc"] == 1.0


@pytest.mark.parametrize("answer", ["9^{9^{9^9}}", "10000000!", "(" * 140 + "3" + ")" * 140, r"\sqrt{" * 60 + "}" * 60])
def test_an_answer_without_end_is_wrong_in_the_end(answer, monkeypatch):
    monkeypatch.setattr("reward_fns.maths.CPU_SECONDS", 0.5)
    assert accuracy("3", answer) == 0.0


def test_an_answer_runs_no_code(tmp_path):
    for answer in (f"__import__('os').system('touch {tmp_path}/pwned')", f"open('{tmp_path}/pwned', 'w')"):
        assert accuracy("3", answer) == 0.0
    assert list(tmp_path.iterdir()) == []


def test_it_works_in_a_thread():
    results = []
    thread = threading.Thread(target=lambda: results.append(accuracy(r"\frac12", "0.5")))
    thread.start()
    thread.join()
    assert results == [1.0]


def test_a_missing_package_is_an_error_and_not_a_wrong_answer(monkeypatch):
    def missing(*arguments, **options):
        raise ImportError("No module named 'math_verify'")

    monkeypatch.setattr("reward_fns.maths.call", missing)
    with pytest.raises(ImportError, match="math_verify"):
        accuracy(r"\frac12", "x")


@pytest.mark.parametrize("reference", [None, "", "  ", {"target": None}, {"target": True}, ["1"], math.nan, math.inf])
def test_a_reference_that_is_none_is_refused(reference):
    with pytest.raises(ValueError, match="bad ground_truth"):
        accuracy(reference, "3")
