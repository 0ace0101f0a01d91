"""What is compared at equal rollouts: methods, and settings, which are tasks, puzzles and a model to start from.

`run_scripts/mini/PROTOCOL.md` says why these, and on what the batches and mixes were chosen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from data_prep.puzzle import MINI as MINI_SIZES

MINI = Path(__file__).resolve().parents[1] / "mini"
DATA = Path("outputs/mini")
ROLLOUTS_PER_GROUP = 8
GROUPS = 2400
"""Groups that each run generates, at least."""
LEARNING_RATE = 3e-4
"""With which the batches were chosen."""
RATES = (1e-4, LEARNING_RATE, 1e-3)
"""Learning rates that there were to choose from, at the batch that was chosen."""

_STREAMING = "mt_grpo.sampler.schedule=streaming"
_AS_THEY_COME = "mt_grpo.weights.rule=proportional"
METHODS: dict[str, tuple[str, list[str]]] = {
    "grpo": ("grpo", []),
    "grpo_proportional": ("proportional", []),
    "static_mix": ("grpo", []),
    "sec_grpo": ("sec_grpo", []),
    "dump": ("dump", []),
    "gdro": ("gdro", []),
    "dapo": ("dapo", []),
    "dapo_proportional": ("dapo", [_AS_THEY_COME]),
    "dapo_stream": ("dapo", [_STREAMING]),
    "dapo_stream_proportional": ("dapo", [_STREAMING, _AS_THEY_COME]),
    "sec_dapo": ("sec_dapo", []),
    "grpo_iwu": ("grpo_iwu", []),
    "grpo_rps": ("grpo_rps", []),
    "mt_grpo": ("mt_grpo", []),
    "mt_grpo_0.1": ("mt_grpo", ["mt_grpo.weights.trade_off=0.1"]),
    "mt_grpo_reg": ("mt_grpo_reg", []),
    "mt_grpo_stream": ("mt_grpo_stream", []),
    "mt_grpo_lean": ("mt_grpo_lean", []),
    "mt_grpo_lean_0.1": ("mt_grpo_lean", ["mt_grpo.weights.trade_off=0.1"]),
    "mt_grpo_lean_0.4": ("mt_grpo_lean", ["mt_grpo.weights.trade_off=0.4"]),
    "mt_grpo_lean_1.2": ("mt_grpo_lean", ["mt_grpo.weights.trade_off=1.2"]),
    "mt_grpo_targets": ("mt_grpo_targets", []),
}
"""Name -> file of mt_grpo_recipe/config/mt_grpo, and overrides. What draws in proportion is verl on files joined."""

Purpose = Literal["choose", "rates", "report"]


@dataclass(frozen=True)
class Training:
    """One run of the laboratory.

    Attributes:
        name: of the method, as reports have it.
        config: a file of mt_grpo_recipe/config/mt_grpo.
        batch: groups in it.
        seed: of quotas, puzzles and answers.
        rate: the learning rate.
        others: what else is overridden of verl's command line.
    """

    name: str
    config: str
    batch: int
    seed: int
    rate: float = LEARNING_RATE
    others: Sequence[str] = ()

    @property
    def label(self) -> str:
        """Its method in reports: with the batch, and the learning rate if it is another."""
        rate = "" if self.rate == LEARNING_RATE else f"_lr{self.rate:g}"
        return f"{self.name}_b{self.batch}{rate}"

    @property
    def folder(self) -> str:
        """Name of its directory."""
        return f"{self.label}-{self.seed}"

    @property
    def overrides(self) -> list[str]:
        """Of verl's command line."""
        return [
            f"data.train_batch_size={self.batch}",
            f"actor_rollout_ref.actor.ppo_mini_batch_size={self.batch}",
            f"actor_rollout_ref.actor.optim.lr={self.rate}",
            *self.others,
        ]


def read_label(label: str) -> tuple[str, int, float]:
    """Method, batch and learning rate of a run's label."""
    name, _, rest = label.rpartition("_b")
    batch, _, rate = rest.partition("_lr")
    return name, int(batch), float(rate or LEARNING_RATE)


@dataclass(frozen=True)
class Setting:
    """What every method is trained on.

    Attributes:
        rows: training puzzles by task.
        data: folder of the puzzles that are reported; those that settings are chosen on lie beside it.
        batches: the batch of each method that is compared, as PROTOCOL.md says it was chosen.
        grid: the batches that were to choose from, by method.
        rates: the learning rates that were chosen, by method, where it is not `LEARNING_RATE`.
        mix: shares of `static_mix`, one number per task.
        seeds: those that are reported.
        first_seeds: those of them whose results were known when the others were added.
        timed_seeds: those for which all methods in the pictures ran on one kind of processor, so that times compare.
        choice_seeds: of the runs that settings are chosen on.
        model: to start from.
        validate_groups: groups from one validation to the next, in what is reported.
        answers: to each test puzzle in a validation.
        level: per cent of the worst task whose cost is reported.
        ours: the method that the others are compared with.
        paired: methods whose difference from each other one is tabled, budget by budget.
    """

    rows: Mapping[str, int]
    data: Path
    batches: Mapping[str, int]
    grid: Mapping[str, tuple[int, ...]]
    mix: tuple[float, ...]
    rates: Mapping[str, float] = field(default_factory=dict)
    seeds: tuple[int, ...] = tuple(range(10))
    first_seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    timed_seeds: tuple[int, ...] = tuple(range(10))
    choice_seeds: tuple[int, ...] = (100, 101)
    model: Path = MINI / "warm_model"
    validate_groups: int = 240
    answers: int = 2
    level: float = 40.0
    ours: str = "mt_grpo_lean"
    paired: tuple[str, ...] = ("mt_grpo_lean", "mt_grpo_targets", "grpo")

    def puzzles(self, purpose: Purpose) -> tuple[Path, int]:
        """Folder of the puzzles, and the seed that they are made with."""
        return (self.data, 0) if purpose == "report" else (self.data.with_name(f"{self.data.name}-1"), 1)

    def runs(self, purpose: Purpose) -> Iterator[Training]:
        """All of them, one seed after another."""
        for seed in self.seeds if purpose == "report" else self.choice_seeds:
            if purpose == "choose":
                for method, sizes in self.grid.items():
                    yield from (self.training(method, batch, seed) for batch in sizes)
            elif purpose == "rates":
                for method in self.grid:
                    others = (rate for rate in RATES if rate != LEARNING_RATE)
                    yield from (self.training(method, self.batches[method], seed, rate) for rate in others)
            else:
                for method, batch in self.batches.items():
                    yield self.training(method, batch, seed, self.rates.get(method, LEARNING_RATE))

    def training(self, method: str, batch: int, seed: int, rate: float = LEARNING_RATE) -> Training:
        """The run of one method."""
        config, overrides = METHODS[method]
        overrides = [
            *overrides,
            f"actor_rollout_ref.model.path={self.model}",
            f"actor_rollout_ref.rollout.val_kwargs.n={self.answers}",
        ]
        if method == "static_mix":
            overrides.append(f"mt_grpo.weights.initial=[{','.join(map(str, self.mix))}]")
        if method == "mt_grpo_targets":
            overrides.append("mt_grpo.weights.targets={" + ",".join(f"{task}:{TARGET}" for task in self.rows) + "}")
        return Training(method, config, batch, seed, rate, overrides)


TARGET = 0.5
"""What `mt_grpo_targets` is asked for, in every task."""
_RESAMPLED = ("grpo_rps", "mt_grpo", "mt_grpo_0.1", "mt_grpo_reg", "mt_grpo_stream", "mt_grpo_lean", "mt_grpo_targets")
_EQUAL = ("grpo", "static_mix", "sec_grpo", "dump", "gdro", "dapo", "dapo_stream", "sec_dapo", "grpo_iwu", *_RESAMPLED)
_UNEQUAL = (
    "grpo",
    "grpo_proportional",
    "static_mix",
    "sec_grpo",
    "dump",
    "gdro",
    "dapo_proportional",
    "dapo_stream_proportional",
    "sec_dapo",
    "grpo_iwu",
    *_RESAMPLED,
)
_UNEQUAL_AT_12 = ("grpo", "sec_grpo", "dapo_stream_proportional", "sec_dapo", "mt_grpo_stream", "mt_grpo_lean")
_NINE_AT_18 = (
    "static_mix",
    "sec_grpo",
    "dump",
    "sec_dapo",
    "grpo_iwu",
    "grpo_rps",
    "mt_grpo_stream",
    "mt_grpo_lean_1.2",
    "mt_grpo_targets",
)
_WIDE_GRID = ("grpo", "gdro", "dapo_stream", "grpo_iwu", "mt_grpo_stream", "mt_grpo_lean")
_TRADE_OFFS = ("mt_grpo_lean_0.1", "mt_grpo_lean_0.4", "mt_grpo_lean_1.2")
SETTINGS = {
    "equal": Setting(
        rows={"countdown-mini": 1900, "arc-mini": 1900, "zebra-mini": 1900},
        data=DATA / "data",
        batches=dict.fromkeys(_EQUAL, 6) | {"gdro": 12, "sec_dapo": 12},
        grid=dict.fromkeys(_EQUAL, (6, 12)) | dict.fromkeys(_WIDE_GRID, (3, 6, 12, 24)),
        mix=(1, 4, 1),
        rates={"sec_dapo": 1e-4},
        first_seeds=(0, 1, 2, 3, 4, 5),
        timed_seeds=(6, 7, 8, 9),
    ),
    "unequal": Setting(  # shares of 45, 5 and 50 %
        rows={"countdown-mini": 1710, "arc-mini": 190, "zebra-mini": 1900},
        data=DATA / "data-unequal",
        batches=dict.fromkeys(_UNEQUAL, 6) | dict.fromkeys(_UNEQUAL_AT_12, 12),
        grid=dict.fromkeys(_UNEQUAL, (6, 12)),
        mix=(1, 4, 1),
        rates={"sec_dapo": 1e-3},
    ),
    "rare": Setting(  # shares of 90, 1 and 9 %, and batches as in "unequal"
        rows={"countdown-mini": 9000, "arc-mini": 100, "zebra-mini": 900},
        data=DATA / "data-rare",
        batches={"grpo": 12, "grpo_proportional": 6, "gdro": 6, "grpo_iwu": 6, "mt_grpo_lean": 12},
        grid={},
        mix=(1, 4, 1),
        seeds=(0, 1, 2),
        paired=("mt_grpo_lean",),
    ),
    "nine": Setting(
        rows={f"{family}-{size}": 700 for family in ("countdown", "arc", "zebra") for size in MINI_SIZES},
        data=DATA / "data-nine",
        batches=dict.fromkeys((*_EQUAL, *_TRADE_OFFS), 9) | dict.fromkeys(_NINE_AT_18, 18),
        grid=dict.fromkeys((*_EQUAL, *_TRADE_OFFS), (9, 18)),
        mix=(10, 1, 2, 7, 24, 47, 1, 7, 1),  # mean weights of mt_grpo_lean where the batch was chosen
        rates={"gdro": 1e-4, "mt_grpo_reg": 1e-3, "mt_grpo_stream": 1e-3},
        choice_seeds=(100,),
        model=MINI / "warm_model_nine",
        validate_groups=480,
        answers=1,
        level=30.0,
        paired=("mt_grpo_lean", "mt_grpo_lean_0.1", "mt_grpo_targets", "grpo"),
    ),
}
SETTINGS["fresh"] = replace(  # "nine", with seeds that nothing had been run with
    SETTINGS["nine"],
    data=DATA / "data-fresh",
    batches={"grpo": 9, "static_mix": 18, "gdro": 9, "dapo_stream": 9, "grpo_iwu": 18, "mt_grpo_lean": 9},
    grid={},
    seeds=tuple(range(10, 20)),
    first_seeds=(10, 11, 12, 13, 14),
    paired=("mt_grpo_lean",),
)
