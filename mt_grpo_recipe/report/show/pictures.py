"""All figures of a report with their captions, written as PNG and SVG."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from mt_grpo_recipe.metrics import task_slugs
from mt_grpo_recipe.report.measure.comparison import Comparison
from mt_grpo_recipe.report.show.accuracy_figures import costs_of_courses, draw_courses, draw_final, draw_tasks
from mt_grpo_recipe.report.show.audit_figure import can_be_audited, draw_audit
from mt_grpo_recipe.report.show.sampling_figures import draw_cost, draw_shares, draw_weights, draw_zero_gradient
from mt_grpo_recipe.report.show.style import styled

BAND = "Lines are means over a method's runs, as far as all of them go; bands are one standard deviation either way."
SMOOTH = (
    "Lines are means over a method's runs and over the steps just before each point: a twelfth of the run, 50 at most."
)

AUDIT = (
    "Means over a method's runs. Bars: the groups generated per step, by what they ended as. Marks: the share of the "
    "batch asked for, of the response tokens trained on, and of the gradient."
)

LONGEST = 120
"""Bytes of a group's name in the name of a file; file systems take 255 in all."""


@dataclass(frozen=True)
class Picture:
    """A drawn figure: `key` names its files, `svg` is the whole file."""

    key: str
    title: str
    caption: str
    svg: str


def draw_all(comparison: Comparison, directory: Path) -> list[Picture]:
    """Draw every figure and write it to `directory` as `<key>.png` and `<key>.svg`."""
    *costs, last_cost = (cost.key for cost in costs_of_courses(comparison))
    wanted: list[tuple[str, str, str, Callable[[], Figure]]] = [
        (
            "final",
            "Worst task and average at the end",
            "One point per method: the mean over its runs, with one standard deviation if there are several.",
            lambda: draw_final(comparison),
        ),
        (
            "courses",
            f"Accuracy over {', '.join(['steps', *costs])} and {last_cost}",
            f"{BAND} Time is training alone, without validation.",
            lambda: draw_courses(comparison),
        ),
        ("cost", "Gap, rounds, prompts and time, step by step", SMOOTH, lambda: draw_cost(comparison)),
    ]
    if comparison.tasks:
        wanted += [
            ("tasks", "Accuracy, task by task", BAND, lambda: draw_tasks(comparison)),
            ("weights", "Task weights", f"{BAND} Dotted: uniform weights.", lambda: draw_weights(comparison)),
            ("zero-gradient", "Prompts without a gradient", SMOOTH, lambda: draw_zero_gradient(comparison)),
        ]
    if can_be_audited(comparison):
        wanted.append(("audit", "Where the rollouts went", AUDIT, lambda: draw_audit(comparison)))
    keys = shares_keys([group.name for group in comparison.groups])
    wanted += [
        (
            keys[group.name],
            f"Shares of the batch: {group.name}",
            f"{SMOOTH} The dashed line is the quota of the step as a share of the batch.",
            lambda group=group: draw_shares(comparison, group),
        )
        for group in comparison.groups
        if any(run.trained_tasks for run in group.runs)
    ]
    directory.mkdir(parents=True, exist_ok=True)
    with styled():
        return [write_picture(directory, key, title, caption, draw()) for key, title, caption, draw in wanted]


def shares_keys(names: Sequence[str]) -> dict[str, str]:
    """Name of a group -> key of its figure: distinct, and short enough for the name of a file."""
    keys = {}
    for name, slug in task_slugs(names).items():
        if len(written := slug.encode()) > LONGEST:
            digest = hashlib.sha256(written).hexdigest()[:8]
            slug = f"{written[: LONGEST - 9].decode(errors='ignore')}-{digest}"
        keys[name] = f"shares-{slug}"
    return keys


def write_picture(directory: Path, key: str, title: str, caption: str, figure: Figure) -> Picture:
    """Write a figure as `<key>.png` and `<key>.svg`; the same figure gives the same bytes."""
    # Lay out once for both formats: that is most of the work.
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    figure.savefig(directory / f"{key}.png", dpi=160)
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Title": title})
    svg = out.getvalue()
    (directory / f"{key}.svg").write_text(svg, encoding="utf-8")
    return Picture(key, title, caption, svg)


def inline_svg(picture: Picture) -> str:
    """The figure's `<svg>` element for a page: no outside references, its own ids, colours set by the page."""
    svg = picture.svg[picture.svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<title>.*?</title>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg)
    # Ids must differ from those of the page's other figures.
    svg = re.sub(r'\bid="', f'id="{picture.key}-', svg)
    svg = re.sub(r"url\(#", f"url(#{picture.key}-", svg)
    svg = re.sub(r'xlink:href="#', f'href="#{picture.key}-', svg)
    svg = re.sub(r"#([0-9a-f]{6})\b(?=[;\"])", r"var(--c-\1, #\1)", svg)
    label = picture.title.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return svg.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)
