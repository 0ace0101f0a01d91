"""The table of nine tasks in verl is what the committed logs give."""

import gzip
import json
from statistics import fmean

import comparisons
import in_verl
import numpy as np
import pytest
from against_verl import runs_by_method

RESULTS = (comparisons.MINI / "RESULTS.md").read_text(encoding="utf-8")


def test_the_results_show_the_table():
    assert "\n".join(in_verl.rows(runs_by_method(in_verl.LOGS))) in RESULTS


@pytest.mark.parametrize("method", in_verl.METHODS)
def test_the_worst_task_after_the_budget_read_without_the_code_of_the_report(method):
    """The groups of each step are added up, and the lowest of nine accuracies is interpolated at the budget."""
    found = []
    for seed in (0, 1, 2):
        [log] = (in_verl.LOGS / f"{method}-{seed}").glob("*.jsonl.gz")
        groups, validated = 0, []
        for line in gzip.decompress(log.read_bytes()).decode().splitlines():
            data = json.loads(line)["data"]
            groups += sum(value for name, value in data.items() if name.startswith("mt_grpo/generated/"))
            accuracies = [value for name, value in data.items() if name.startswith("val-core/mt_grpo/acc/")]
            if accuracies:
                assert len(accuracies) == 9
                validated.append((groups, 100 * min(accuracies)))
        assert validated[0][0] == 0 and validated[-1][0] >= in_verl.BUDGET
        found.append(float(np.interp(in_verl.BUDGET, *zip(*validated, strict=True))))
    [row] = [
        row for row in in_verl.rows(runs_by_method(in_verl.LOGS)) if row.replace("*", "").startswith(f"| {method}, ")
    ]
    assert float(row.split("|")[2].split("±")[0]) == pytest.approx(fmean(found), abs=0.051)
