"""The README's table is what the committed logs give."""

from pathlib import Path

import against_verl
import pytest

RUN_SCRIPTS = Path(__file__).resolve().parents[2] / "run_scripts"
README = RUN_SCRIPTS / "lab" / "README.md"


def test_the_table_is_computed_from_the_logs():
    lab = against_verl.runs_by_method(RUN_SCRIPTS / "lab" / "logs")
    verl = against_verl.runs_by_method(RUN_SCRIPTS / "mini" / "logs" / "equal")
    table = [*against_verl.HEADING.splitlines(), *against_verl.rows(lab, verl)]
    assert len(table) == 2 + 5 * 2 * 4
    assert "\n".join(table) in README.read_text(encoding="utf-8")


def test_a_row_by_hand():
    """Worst task of GRPO at step 80: verl's runs are at 18.4 ± 2.3 in run_scripts/mini/EQUAL_STEPS.md."""
    runs = against_verl.runs_by_method(RUN_SCRIPTS / "mini" / "logs" / "equal")
    found = [row for row in against_verl.rows(runs, runs) if row.startswith("| grpo, 3 / 3 | worst task | 80 |")]
    assert found == ["| grpo, 3 / 3 | worst task | 80 | 18.4 ± 2.3 | 18.4 ± 2.3 | +0.0 ± 1.9 |"]


def test_the_difference_and_its_standard_error():
    apart, error = against_verl.difference([10.0, 14.0], [9.0, 9.0, 9.0])
    assert apart == pytest.approx(3.0) and error == pytest.approx((8 / 2) ** 0.5)
