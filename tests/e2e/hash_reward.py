"""A reward that does not look at the answer, so that nothing an engine samples reaches a decision of the sampler.

A rollout is right or wrong by a hash of its prompt and of its number among the rollouts of its group: about three
groups in four are informative, and the same ones in every run.
"""

import hashlib
from collections import Counter

ROLLOUTS = 4
"""Rollouts per group; a run that uses this reward sets `actor_rollout_ref.rollout.n` to it."""

calls = Counter()


def compute_score(data_source, solution_str, ground_truth, extra_info=None, **_):
    """Score one rollout; the calls for a prompt count its rollouts."""
    name = f"{extra_info['task']} {extra_info['index']}"
    number = calls[name] % ROLLOUTS
    calls[name] += 1
    right = hashlib.sha256(f"{name} {number}".encode()).digest()[0] < 80
    return {"score": float(right), "acc": float(right), "format": 1.0}
