"""The streaming sampler: followed by hand, unbiased by length, and thrifty with hopeless tasks."""

from __future__ import annotations

import heapq
from collections import Counter

import numpy as np
import pytest

from mt_grpo_recipe.algorithm.acceptance import AcceptanceTracker
from mt_grpo_recipe.algorithm.groups import FAILED_GROUP, GroupResult, Outcome
from mt_grpo_recipe.algorithm.samplers.base import Step
from mt_grpo_recipe.algorithm.samplers.streaming import StreamingSampler
from mt_grpo_recipe.algorithm.settings import StreamingSettings

KEPT = GroupResult(Outcome.INFORMATIVE, 0.5, spread=True)
FILTERED = GroupResult(Outcome.FILTERED, 0.0, spread=False)
FAILED = FAILED_GROUP


def make(weights=(0.5, 0.5), batch_size=4, tracker=None, seed=0, **settings):
    config = StreamingSettings(**{"quota": "stratified", **settings})
    tracker = tracker or AcceptanceTracker(len(weights), decay=0.9)
    return StreamingSampler(Step(np.array(weights), tracker, config, batch_size, np.random.default_rng(seed)))


def ids_of(launches, task, first_id=0):
    return [first_id + i for i, launched in enumerate(launches) if launched == task]


def test_a_step_by_hand():
    tracker = AcceptanceTracker(2, decay=0.9)
    sampler = make(tracker=tracker)
    assert sampler.quota_K.tolist() == [2, 2]
    # Nothing known: acceptance (0 + 1/2) / (0 + 1) = 1/2, two missing: 4 groups of each task.
    first = sampler.ask()
    assert Counter(first) == {0: 4, 1: 4}
    assert sampler.ask() == []
    a, b = ids_of(first, 0), ids_of(first, 1)

    # The second and third of task 0 end well. The quota is reached, but the first one could still take a place.
    sampler.tell(a[1], KEPT)
    sampler.tell(a[2], KEPT)
    assert sampler.ask() == []
    assert not sampler.done

    # The first of task 1 is filtered: 2 missing, acceptance (1/2) / (1 + 1) = 1/4, so 8 should be in flight; 3 are.
    sampler.tell(b[0], FILTERED)
    second = sampler.ask()
    assert second == [1] * 5
    # Two successes: acceptance (2 + 1/2) / (3 + 1); nothing is missing. b[0] has ended, so task 1 is settled.
    sampler.tell(b[1], KEPT)
    sampler.tell(b[2], KEPT)
    assert sampler.ask() == []
    assert not sampler.done

    # The first of task 0 ends well too and takes the place of the third. Seven groups are in flight and not waited for.
    sampler.tell(a[0], KEPT)
    assert sampler.done
    assert sampler.in_flight == 13 - 6
    selection = sampler.select()
    assert selection.launch_ids == sorted([a[0], a[1], b[1], b[2]])
    assert selection.shortfall_K.tolist() == [0, 0]
    assert selection.launched_K.tolist() == [4, 9]
    assert selection.finished_K.tolist() == [3, 3]
    assert selection.rounds == 2
    # rho = 0.1 * (0/3, 1/3)
    assert tracker.filtered_rate_K == pytest.approx([0.0, 0.1 / 3])


def test_an_earlier_group_that_is_filtered_lets_the_later_one_keep_its_place():
    sampler = make(weights=(1.0,), batch_size=1)
    assert sampler.ask() == [0, 0]
    sampler.tell(1, KEPT)
    assert not sampler.done
    sampler.tell(0, FILTERED)
    assert sampler.done
    assert sampler.select().launch_ids == [1]


def test_the_safety_margin_counts_deviations_of_the_number_of_tries():
    # Two missing at acceptance 1/2: mean 2 / 0.5 = 4, deviation sqrt(2 * 0.5) / 0.5 = 2.
    assert len(make(weights=(1.0,), batch_size=2).ask()) == 4
    assert len(make(weights=(1.0,), batch_size=2, safety_margin=1.0, max_inflight=3.0).ask()) == 6


def test_a_step_starts_from_what_earlier_steps_taught():
    tracker = AcceptanceTracker(2, decay=0.9)
    tracker.update(np.array([30, 0]), np.array([40, 40]))
    # Task 0: (10 + 0.5) / (40 + 1) = 0.256, 2 / 0.256 = 7.81 -> 8. Task 1: 40.5 / 41, 2 / 0.988 = 2.02 -> 3.
    assert Counter(make(tracker=tracker, max_inflight=5.0).ask()) == {0: 8, 1: 3}


def test_old_evidence_is_bounded_so_that_a_change_shows_within_the_step():
    tracker = AcceptanceTracker(1, decay=0.9)
    tracker.update(np.array([0]), np.array([100_000]))
    sampler = make(weights=(1.0,), batch_size=64, tracker=tracker)
    # (128 + 0.5) / (128 + 1): 64 / 0.9961 = 64.2 -> 65
    assert len(sampler.ask()) == 65
    for launch_id in range(64):
        sampler.tell(launch_id, FILTERED)
    # 128.5 / (128 + 64 + 1) = 0.666: 64 / 0.666 = 96.1 -> 97, one is in flight. 100,000 groups would have said 65.
    assert len(sampler.ask()) == 96


def test_groups_in_flight_are_bounded_and_cheap_tasks_go_first():
    tracker = AcceptanceTracker(2, decay=0.9)
    tracker.update(np.array([90, 10]), np.array([100, 100]))
    sampler = make(tracker=tracker, max_inflight=2.0)
    # Task 1: 2 / (90.5 / 101) = 2.2 -> 3. Task 0 wants 2 / (10.5 / 101) = 19.2 -> 20; 2 * 4 - 3 = 5 places are left.
    launches = sampler.ask()
    assert Counter(launches) == {0: 5, 1: 3}
    assert sampler.ask() == []
    sampler.tell(ids_of(launches, 0)[0], FILTERED)
    assert sampler.ask() == [0]


def test_without_inflation_only_what_is_missing_is_in_flight():
    sampler = make(inflate=False)
    launches = sampler.ask()
    assert Counter(launches) == {0: 2, 1: 2}
    sampler.tell(0, FILTERED)
    assert sampler.ask() == [launches[0]]


def test_without_ratio_the_batch_is_one_quota_and_tasks_are_drawn_from_z():
    sampler = make(weights=(0.75, 0.25), batch_size=4, ratio=False)
    # Nothing known: acceptance 1/2, four missing: 8 groups in shares z.
    launches = sampler.ask()
    assert Counter(launches) == {0: 6, 1: 2}
    for launch_id in (0, 2, 3, 4):
        sampler.tell(launch_id, KEPT)
        assert not sampler.done
    sampler.tell(1, FILTERED)
    assert sampler.done
    assert sampler.in_flight == 3
    assert sampler.select().launch_ids == [0, 2, 3, 4]


def test_without_ratio_single_refills_follow_z_even_where_quotas_are_rounded():
    drawn = Counter()
    for seed in range(300):
        sampler = make(weights=(0.7, 0.3), batch_size=1, ratio=False, quota="rounded", inflate=False, seed=seed)
        drawn.update(sampler.ask())
    # Rounding 0.7 and 0.3 of one group would always give it to task 0. Deviation sqrt(300 * 0.7 * 0.3) = 7.9
    assert drawn[1] == pytest.approx(90, abs=4 * 7.9)


def test_without_filter_nothing_is_launched_twice_unless_it_fails():
    sampler = make(drop_uninformative=False, ratio=False)
    launches = sampler.ask()
    assert Counter(launches) == {0: 2, 1: 2}
    for launch_id in (0, 1, 2):
        sampler.tell(launch_id, KEPT)
    assert sampler.ask() == []
    sampler.tell(3, FAILED)
    assert sampler.ask() == [launches[3]]
    sampler.tell(4, KEPT)
    assert sampler.done
    assert sampler.select().launch_ids == [0, 1, 2, 4]


def test_selecting_twice_teaches_the_tracker_once(drive):
    tracker = AcceptanceTracker(2, decay=0.9)
    sampler = make(tracker=tracker)
    drive(sampler, lambda i, task: KEPT if i % 2 else FILTERED, np.random.default_rng(0))
    taught = tracker.state_dict()
    sampler.select()
    assert tracker.state_dict() == taught


def test_groups_that_overtook_one_in_flight_do_not_teach_the_tracker():
    tracker = AcceptanceTracker(1, decay=0.0)
    sampler = make(weights=(1.0,), batch_size=2, tracker=tracker)
    assert len(sampler.ask()) == 4
    sampler.tell(0, KEPT)
    sampler.tell(1, KEPT)
    sampler.tell(3, FILTERED)  # short; group 2, launched before it, is still in flight
    assert sampler.done
    sampler.select()
    assert tracker.filtered_rate_K.tolist() == [0.0]


def run_hopeless(drive, hopeless, **settings):
    weights = (0.4, 0.3, 0.3)
    rng = np.random.default_rng(1)
    rates = [0.0 if task in hopeless else 0.5 for task in range(3)]
    sampler = make(weights=weights, batch_size=30, **settings)
    run = drive(sampler, lambda _, task: KEPT if rng.random() < rates[task] else FILTERED, rng)
    return sampler, run


def test_one_hopeless_task_takes_a_part_of_the_budget_and_nothing_from_the_others(drive):
    sampler, run = run_hopeless(drive, {0})
    assert sampler.quota_K.tolist() == [12, 9, 9]
    # Budget 33 * 30 = 990. Given up at 12 t > 4 * (left + in flight), about t = 240 ended, with up to 3 * 30 in flight.
    assert run.selection.launched_K[0] < 240 + 90
    # Its places went to surplus groups of the others, as far as there were any, and the shortfall shows it.
    assert run.selection.shortfall_K.tolist() == [12, 0, 0]
    assert (run.selection.chosen_K[1:] >= 9).all()


def test_a_tight_budget_goes_to_the_tasks_that_can_use_it(drive):
    for seed in range(10):
        _, run = run_hopeless(drive, {0}, max_resample_rounds=1, seed=seed)
        assert run.selection.shortfall_K.tolist() == [12, 0, 0]


def test_tasks_that_all_fail_end_the_step_within_the_budget(drive):
    sampler, run = run_hopeless(drive, {0, 1, 2})
    assert run.selection.launch_ids == []
    assert len(run.task_of) <= 990
    assert sampler.done


def test_a_rare_signal_is_pursued_to_the_end_of_the_budget(drive):
    shortfalls = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        sampler = make(weights=(0.5, 0.5), batch_size=16, seed=seed)
        rates = [0.04, 0.6]
        run = drive(sampler, lambda _, task, rng=rng, r=rates: KEPT if rng.random() < r[task] else FILTERED, rng)
        shortfalls.append(run.selection.shortfall_K.tolist())
    # 33 * 16 = 528 groups, 0.04 * 500 = 20 expected for 8 places.
    assert np.mean(shortfalls, axis=0)[1] == 0
    assert np.mean(shortfalls, axis=0)[0] < 0.25


def run_timed(sampler, kept, durations):
    """Drive a step on an engine with endless slots; `kept` and `durations` by launch id. Return the chosen ids and
    what a sampler that takes whichever groups end first would have chosen."""
    running, launched, now = [], 0, 0.0
    first_ended: list[int] = []
    while not sampler.done:
        for _ in sampler.ask():
            heapq.heappush(running, (now + durations[launched], launched))
            launched += 1
        now, launch_id = heapq.heappop(running)
        sampler.tell(launch_id, KEPT if kept[launch_id] else FILTERED)
        if kept[launch_id]:
            first_ended.append(launch_id)
    chosen = sampler.select().launch_ids
    return chosen, first_ended[: len(chosen)]


@pytest.mark.parametrize("how", ["length says nothing of the outcome", "long answers are filtered less"])
def test_selection_does_not_prefer_short_answers(how):
    chosen_lengths, first_lengths, all_lengths = [], [], []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        durations = rng.lognormal(sigma=0.6, size=400)
        rate = 0.4 if how.startswith("length") else np.clip(durations / 4, 0.05, 0.95)
        kept = rng.random(400) < rate
        sampler = make(weights=(1.0,), batch_size=16, seed=seed)
        chosen, first_ended = run_timed(sampler, kept, durations)
        # Exactly the first sixteen informative groups in order of launch: when a group ended does not matter.
        assert chosen == np.flatnonzero(kept)[:16].tolist()
        chosen_lengths.append(durations[chosen].mean())
        first_lengths.append(durations[first_ended].mean())
        all_lengths.append(durations[kept].mean())
    error = 4 * np.std(np.subtract(chosen_lengths, all_lengths)) / np.sqrt(len(all_lengths))
    assert np.mean(chosen_lengths) == pytest.approx(np.mean(all_lengths), abs=error)
    # The groups that end first, by contrast, are shorter by far more than chance.
    assert np.mean(first_lengths) < np.mean(all_lengths) - 2 * error


def test_two_tasks_of_different_length_keep_their_ratio(drive):
    """Task 1's groups always end last; it gets its quota all the same."""
    sampler = make(weights=(0.5, 0.5), batch_size=8)
    tasks: list[int] = []
    waiting: list[int] = []
    rng = np.random.default_rng(0)
    while not sampler.done:
        launches = sampler.ask()
        waiting += range(len(tasks), len(tasks) + len(launches))
        tasks += launches
        waiting.sort(key=lambda i: tasks[i])
        sampler.tell(waiting.pop(0), KEPT if rng.random() < 0.4 else FILTERED)
    assert sampler.select().chosen_K.tolist() == [4, 4]
