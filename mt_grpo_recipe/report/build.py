"""Write a whole report: page, Markdown, tables, figures."""

from __future__ import annotations

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
from mt_grpo_recipe.report.show.page import build_markdown, build_page
from mt_grpo_recipe.report.show.pictures import draw_all
from mt_grpo_recipe.report.show.sampling_tables import cost_table, runs_table, sampling_table, use_table
from mt_grpo_recipe.report.show.tables import Table, to_csv, to_markdown

PAGE, MARKDOWN = "report.html", "report.md"


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
    """Write the report into `directory`, created if needed; files of an earlier report are overwritten.

    It gets `report.html`, which stands alone, `report.md`, and the folders `figures` (PNG, SVG) and `tables` (CSV,
    Markdown).

    Returns:
        Path of the page.
    """
    pictures = draw_all(comparison, directory / "figures")
    tables = all_tables(comparison)
    (directory / "tables").mkdir(parents=True, exist_ok=True)
    for table in tables:
        (directory / "tables" / f"{table.key}.csv").write_text(to_csv(table), encoding="utf-8")
        (directory / "tables" / f"{table.key}.md").write_text(to_markdown(table), encoding="utf-8")
    (directory / MARKDOWN).write_text(build_markdown(comparison, tables, pictures), encoding="utf-8")
    page = directory / PAGE
    page.write_text(build_page(comparison, tables, pictures), encoding="utf-8")
    return page
