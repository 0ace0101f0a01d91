"""The report as one page: HTML that opens offline, in light or dark, or Markdown."""

from __future__ import annotations

import math
from html import escape

from mt_grpo_recipe.report.measure.accuracy import mean_accuracy, worst_accuracy
from mt_grpo_recipe.report.measure.comparison import Comparison
from mt_grpo_recipe.report.measure.groups import over_runs
from mt_grpo_recipe.report.measure.stats import Stat
from mt_grpo_recipe.report.show.pictures import Picture, inline_svg
from mt_grpo_recipe.report.show.style import DARK, GRID, INK, MUTED, PAPER, Mark, method_marks
from mt_grpo_recipe.report.show.tables import Table, show, to_markdown

CSS = """
:root { color-scheme: light dark; LIGHT }
@media (prefers-color-scheme: dark) { :root { NIGHT } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 68rem; color: var(--ink); background: var(--paper);
  font: 16px/1.55 system-ui, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .5rem; }
h2 { font-size: 1.25rem; margin: 2.75rem 0 .75rem; padding-top: .75rem; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.75rem 0 .5rem; }
p { max-width: 46rem; }
.lead { font-size: 1.05rem; }
.note, figcaption, .remarks { color: var(--muted); font-size: .875rem; }
.note { border: 1px solid var(--line); border-radius: 6px; padding: .5rem 1rem; }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; padding: 0; list-style: none; }
a { color: inherit; }
figure { margin: 1rem 0 1.5rem; overflow-x: auto; }
figure svg { display: block; width: 100%; height: auto; min-width: 40rem; }
.table { overflow-x: auto; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .55rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
thead th { vertical-align: bottom; white-space: normal; min-width: 4rem; }
th.text, td.text, tbody th { text-align: left; }
tbody th { font-weight: 600; }
.remarks { margin: .5rem 0 0; }
.key { display: inline-block; width: .7em; height: .7em; margin-right: .5em; border-radius: 2px; }
@media print { body { max-width: none; } h2 { break-after: avoid; } figure, tr { break-inside: avoid; } }
"""

SECTIONS = (
    ("result", "Result", ("summary", "budget"), ("final", "courses")),
    ("tasks", "Task by task", ("tasks", "task-changes"), ("tasks",)),
    ("speed", "Steps and time to a worst-task accuracy", ("thresholds",), ()),
    ("sampling", "Weights and sampling", ("sampling",), ("weights", "zero-gradient", "shares")),
    ("cost", "Cost", ("cost", "use", "audit", "audit-late"), ("cost", "audit")),
    ("runs", "Runs", ("runs",), ()),
)
"""Anchor, heading, tables, figures; "shares" stands for the figures of all methods."""


def headline(comparison: Comparison) -> str:
    """Say what was compared and which method ends highest, with the distance to the next one or to the baseline."""
    runs, groups = len(comparison.runs), comparison.groups
    sentences = [
        f"{_count(runs, 'run')} of {_count(len(groups), 'method')} on {_count(len(comparison.trained_tasks), 'task')}."
    ]
    for what, accuracy in (("the worst task", worst_accuracy), ("the average", mean_accuracy)):
        finals = {group.name: over_runs(group, lambda run, a=accuracy: a(run).last) for group in groups}
        known = {name: stat for name, stat in finals.items() if not math.isnan(stat.mean)}
        if not known:
            continue
        first = max(known, key=lambda name: known[name].mean)
        sentence = f"At the end, {what} is highest under {first}: {_with_spread(known[first])}"
        if len(known) == 1:
            sentence = f"Under {first}, {what} ends at {_with_spread(known[first])}"
        base = comparison.baseline.name if comparison.baseline else None
        others = [name for name in known if name != first]
        other = base if base in others else max(others, key=lambda name: known[name].mean, default=None)
        if other is not None:
            sentence += f", beside {_with_spread(known[other])} under {other}"
        sentences.append(sentence + ".")
    if len(groups) > 1 and any(len(group.runs) == 1 for group in groups):
        sentences.append("Where a method has only one run, its lead may be the luck of a seed.")
    return " ".join(sentences)


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _with_spread(stat: Stat) -> str:
    return f"{100 * stat.mean:.1f} %" if math.isnan(stat.sd) else f"{100 * stat.mean:.1f} ± {100 * stat.sd:.1f} %"


def build_page(comparison: Comparison, tables: list[Table], pictures: list[Picture]) -> str:
    """Build the whole page.

    Args:
        comparison: what is compared.
        tables: all tables.
        pictures: all figures.

    Returns:
        Self-contained HTML.
    """
    links = "".join(f'<li><a href="#{anchor}">{escape(heading)}</a></li>' for anchor, heading, _, _ in SECTIONS)
    body = [
        "<header><h1>Multi-task training, compared</h1>",
        f'<p class="lead">{escape(headline(comparison))}</p>',
        *(_box(heading, sentences) for heading, sentences in _boxes(comparison)),
        f'<nav aria-label="Sections"><ul>{links}</ul></nav></header><main>',
    ]
    marks = method_marks(comparison.groups)
    for anchor, heading, table_keys, picture_keys in SECTIONS:
        body.append(f'<section id="{anchor}"><h2>{escape(heading)}</h2>')
        body += [_table(table, marks) for key in table_keys for table in tables if table.key == key]
        body += [_figure(p) for key in picture_keys for p in pictures if p.key == key or p.key.startswith(f"{key}-")]
        body.append("</section>")
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Multi-task training, compared</title><style>{_css()}</style></head>\n<body>"
        + "\n".join(body)
        + "</main></body></html>\n"
    )


def build_markdown(comparison: Comparison, tables: list[Table], pictures: list[Picture]) -> str:
    """Build the whole report as Markdown; arguments as for `build_page`, figures linked as `figures/<key>.png`."""
    parts = ["# Multi-task training, compared", headline(comparison)]
    parts += [
        f"{heading}:\n\n" + "\n".join(f"- {sentence}" for sentence in sentences)
        for heading, sentences in _boxes(comparison)
    ]
    parts += [to_markdown(table).rstrip() for table in tables]
    parts.append("## Figures")
    parts += [f"### {p.title}\n\n![{p.title}](figures/{p.key}.png)\n\n{p.caption}" for p in pictures]
    return "\n\n".join(parts) + "\n"


def _css() -> str:
    light = f"--ink: {INK}; --muted: {MUTED}; --line: {GRID}; --paper: {PAPER};"
    night = f"--ink: {DARK[INK]}; --muted: {DARK[MUTED]}; --line: {DARK[GRID]}; --paper: {DARK[PAPER]};"
    night += "".join(f" --c-{color[1:]}: {dark};" for color, dark in DARK.items())
    return CSS.replace("LIGHT", light).replace("NIGHT", night)


def _boxes(comparison: Comparison) -> list[tuple[str, tuple[str, ...]]]:
    """Boxes between headline and contents: heading and sentences."""
    boxes = [("Starved tasks", comparison.alarms), ("Read with care", comparison.notes)]
    return [(heading, sentences) for heading, sentences in boxes if sentences]


def _box(heading: str, sentences: tuple[str, ...]) -> str:
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f'<aside class="note"><strong>{heading}</strong><ul>{items}</ul></aside>'


def _table(table: Table, marks: dict[str, Mark]) -> str:
    heads = "".join(
        f'<th scope="col"{_class(column.kind)}>{escape(column.title).replace(" %", "&nbsp;%")}</th>'
        for column in table.columns
    )
    rows = []
    for row in table.rows:
        cells = []
        for place, (cell, column) in enumerate(zip(row, table.columns, strict=True)):
            text = show(cell, column.kind)
            if place == 0:
                cells.append(f'<th scope="row">{_key(marks.get(text))}{escape(text)}</th>')
            else:
                cells.append(f"<td{_class(column.kind)}>{escape(text)}</td>")
        rows.append(f"<tr>{''.join(cells)}</tr>")
    remarks = "".join(f'<p class="remarks">{escape(remark)}</p>' for remark in table.remarks)
    return (
        f'<h3>{escape(table.title)}</h3><div class="table"><table><thead><tr>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>{remarks}"
    )


def _class(kind: str) -> str:
    return ' class="text"' if kind == "text" else ""


def _key(mark: Mark | None) -> str:
    if mark is None:
        return ""
    return f'<span class="key" style="background: var(--c-{mark.color[1:]}, {mark.color})"></span>'


def _figure(picture: Picture) -> str:
    return (
        f"<h3>{escape(picture.title)}</h3><figure>{inline_svg(picture)}"
        f"<figcaption>{escape(picture.caption)}</figcaption></figure>"
    )
