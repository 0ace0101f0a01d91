"""Every line of `cases.jsonl`: what a response earns, in right and wrong variants of each kind."""

import json
from collections import defaultdict
from pathlib import Path

import pytest

from reward_fns import compute_score

LINES = Path(__file__).with_name("cases.jsonl").read_text(encoding="utf-8").splitlines()
CASES = [json.loads(line) for line in LINES]


@pytest.mark.parametrize("case", CASES, ids=[f"{number}-{case['kind']}" for number, case in enumerate(CASES)])
def test_a_response_earns_what_it_should(case):
    assert compute_score(case["data_source"], case["response"], case["ground_truth"], {})["score"] == case["score"]


def test_every_kind_has_right_and_wrong_variants():
    accuracies = defaultdict(list)
    for case in CASES:
        accuracies[case["kind"]].append(case["score"] == 1.0)
    assert [kind for kind, right in accuracies.items() if not (any(right) and not all(right) and len(right) >= 3)] == []
