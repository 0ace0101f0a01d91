"""Write a whole report: page, Markdown, tables, figures."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from mt_grpo_recipe.report.measure.comparison import Comparison
from mt_grpo_recipe.report.show.accuracy_tables import (
    budget_table,
    summary_table,
    task_change_table,
    task_table,
    threshold_table,
)
from mt_grpo_recipe.report.show.audit_tables import audit_table, late_audit_table
from mt_grpo_recipe.report.show.page import SECTIONS, build_markdown, build_page
from mt_grpo_recipe.report.show.pictures import draw_all
from mt_grpo_recipe.report.show.sampling_tables import cost_table, runs_table, sampling_table, use_table
from mt_grpo_recipe.report.show.tables import Table, to_csv, to_markdown

PAGE, MARKDOWN = "report.html", "report.md"
FIGURES, TABLES = "figures", "tables"


def all_tables(comparison: Comparison) -> list[Table]:
    """Every table of the report, in its order."""
    makers = (
        summary_table,
        budget_table,
        task_table,
        task_change_table,
        threshold_table,
        sampling_table,
        cost_table,
        use_table,
        audit_table,
        late_audit_table,
        runs_table,
    )
    # A table of method names alone says nothing.
    return [table for make in makers if len((table := make(comparison)).columns) > 1 and table.rows]


def write_report(comparison: Comparison, directory: Path) -> Path:
    """Write the report into `directory`, created if needed; it takes the place of an earlier report there.

    It gets `report.html`, which stands alone, `report.md`, and the folders `figures` (PNG, SVG) and `tables` (CSV,
    Markdown).

    Returns:
        Path of the page.
    """
    earlier = _files_of_report(directory)
    pictures = draw_all(comparison, directory / FIGURES)
    tables = all_tables(comparison)
    (directory / TABLES).mkdir(parents=True, exist_ok=True)
    for table in tables:
        (directory / TABLES / f"{table.key}.csv").write_text(to_csv(table), encoding="utf-8")
        (directory / TABLES / f"{table.key}.md").write_text(to_markdown(table), encoding="utf-8")
    (directory / MARKDOWN).write_text(build_markdown(comparison, tables, pictures), encoding="utf-8")
    page = directory / PAGE
    page.write_text(build_page(comparison, tables, pictures), encoding="utf-8")
    kept = _paths(directory, [table.key for table in tables], [picture.key for picture in pictures])
    for file in earlier - kept:
        file.unlink(missing_ok=True)
    return page


def _files_of_report(directory: Path) -> set[Path]:
    """What the report that a directory holds may have written as tables and figures; none where it holds none."""
    page, markdown = directory / PAGE, directory / MARKDOWN
    if not (page.is_file() and markdown.is_file()):
        return set()
    # The keys of other figures come from names of methods; the report's own links have them.
    linked = re.findall(rf"\]\({FIGURES}/([^/)]+)\.png\)", markdown.read_text("utf-8", errors="replace"))
    tables = [key for _, _, keys, _ in SECTIONS for key in keys]
    return _paths(directory, tables, [*linked, *(key for _, _, _, keys in SECTIONS for key in keys)])


def _paths(directory: Path, tables: Iterable[str], figures: Iterable[str]) -> set[Path]:
    """The files of tables and figures with these keys."""
    files = {directory / TABLES / f"{key}{ending}" for key in tables for ending in (".csv", ".md")}
    return files | {directory / FIGURES / f"{key}{ending}" for key in figures for ending in (".png", ".svg")}
