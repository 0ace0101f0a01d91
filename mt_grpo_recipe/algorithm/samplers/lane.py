"""A lane: the groups that compete for the same places in the batch, and how many more it takes to fill those."""

from __future__ import annotations

import math

from mt_grpo_recipe.algorithm.groups import INFORMATIVE

MAX_PRIOR_GROUPS = 128.0
"""Earlier steps weigh at most as much as this many groups of the current step, so that a change shows within it."""

HOPELESS_SUCCESSES = 4
"""A lane without an informative group in t tries almost surely (all but e^-4 = 2 %) has an acceptance below 4 / t. It
is given up if even 4 / t could not yield what is missing within the budget that is left."""

PATIENCE_PER_SUCCESS = 16
"""Each informative group adds this many to those 4, so that any signal puts off giving up for long: part of a quota is
worth having, and one success in t tries suggests an acceptance near 1 / t, well below 20 / t."""


class Lane:
    """Groups that compete for the same places in the batch: those of one task, or all where no ratio is kept.

    Args:
        places: groups the batch wants from this lane.
        inflate: launch more than are missing, since the filter will take some.
        prior_informative: informative groups of earlier steps, weighted.
        prior_seen: all finished groups of earlier steps, weighted the same way.
        broken: launch no more groups than there are places until one finishes.
        barren: launch no more groups than there are places until one is informative.
    """

    __slots__ = (
        "barren", "broken", "carried", "ended", "failed", "head", "inflate", "informative", "launch_ids", "places",
        "prior_informative", "prior_seen", "settled",
    )  # fmt: skip

    def __init__(
        self,
        places: int,
        inflate: bool,
        prior_informative: float,
        prior_seen: float,
        broken: bool = False,
        barren: bool = False,
    ):
        self.places = places
        self.broken = broken
        self.barren = barren
        self.inflate = inflate
        discount = min(1.0, MAX_PRIOR_GROUPS / prior_seen) if prior_seen else 0.0
        self.prior_informative = discount * prior_informative
        self.prior_seen = discount * prior_seen
        self.launch_ids: list[int] = []
        self.ended = 0
        self.informative = 0
        self.carried = 0
        """Of those, the ones that ended in an earlier step: they are no evidence, since their failures are not here."""
        self.failed = 0
        self.head = 0
        """Position in `launch_ids` of the first group that has not ended."""
        self.settled = 0
        """Informative groups before `head`."""

    @property
    def met(self) -> bool:
        """The places are taken by groups that nothing launched earlier can displace."""
        return self.settled >= self.places

    @property
    def tries(self) -> float:
        """1 / a_k: groups to generate per informative one, by the estimate of earlier steps and this one; above 1."""
        # Half a success and half a failure are added: no estimate is zero or one, and the first guess is even.
        seen, informative = self.ended - self.failed - self.carried, self.informative - self.carried
        return (self.prior_seen + seen + 1) / (self.prior_informative + informative + 0.5)

    def settle(self, outcome_of: bytearray) -> None:
        """Move `head` past the groups that have ended; `outcome_of` is the ledger's."""
        ids, head, size = self.launch_ids, self.head, len(self.launch_ids)
        while head < size and (outcome := outcome_of[ids[head]]):
            if outcome == INFORMATIVE:
                self.settled += 1
            head += 1
        self.head = head

    def shortage(self, safety: float, budget_left: int) -> int:
        """Groups to launch now, beyond those in flight."""
        missing = self.places - self.informative
        if missing <= 0:
            return 0
        target: float = missing
        if self.inflate:
            tries = self.tries
            target = missing * tries
            if safety:
                target += safety * math.sqrt(target * (tries - 1))
        in_flight = len(self.launch_ids) - self.ended
        lacking = math.ceil(target) - in_flight
        untried = self.broken and self.ended == self.failed + self.carried
        if untried or (self.barren and self.informative == self.carried):
            lacking = min(lacking, self.places - len(self.launch_ids))
        # A hopeless lane would eat the budget.
        tried, informative = self.ended - self.carried, self.informative - self.carried
        successes = HOPELESS_SUCCESSES + PATIENCE_PER_SUCCESS * informative
        if lacking <= 0 or missing * tried > successes * (budget_left + in_flight):
            return 0
        return lacking
