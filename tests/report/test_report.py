"""The written report: page, Markdown, CSV, figures, command."""

import argparse
import csv
import math
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import pytest
from matplotlib.figure import Figure
from synthetic import TASKS, synthetic_lines, write_log, write_run

from mt_grpo_recipe.report.cli import add_arguments, run
from mt_grpo_recipe.report.measure.comparison import compare
from mt_grpo_recipe.report.measure.stats import Stat
from mt_grpo_recipe.report.read.log import RunLogError
from mt_grpo_recipe.report.show.accuracy_figures import draw_final
from mt_grpo_recipe.report.show.axes import over_amount
from mt_grpo_recipe.report.show.page import headline
from mt_grpo_recipe.report.show.pictures import write_picture
from mt_grpo_recipe.report.show.style import styled
from mt_grpo_recipe.report.show.tables import Column, Table, show, to_csv, to_markdown, without_empty

pytestmark = pytest.mark.slow


def command(*arguments):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return run(parser.parse_args([str(argument) for argument in arguments]))


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report on two seeds of two methods, one unfinished; made once, since drawing takes seconds."""
    root = tmp_path_factory.mktemp("report")
    for seed in (0, 1):
        write_run(root / "runs" / f"m{seed}", seed=seed, steps=30)
        write_run(root / "runs" / f"d{seed}", method="dapo", seed=seed, steps=30, skill=0.6, focus=0)
    write_log(root / "runs" / "d1" / "attempt-1.jsonl", synthetic_lines(seed=1, steps=30)[:22], '{"step')
    write_run(root / "runs" / "odd", method='a <b>&"c" $x', seed=0, steps=20)
    assert command(root / "runs", "-o", root / "out") == 0
    return root / "out"


def test_all_files_are_there(report):
    figures = {"final", "courses", "tasks", "weights", "zero-gradient", "cost"}
    shares = {"shares-mt-grpo", "shares-dapo", "shares-a-b-c-x"}
    assert {path.stem for path in (report / "figures").glob("*.png")} == figures | shares
    assert {path.stem for path in (report / "figures").glob("*.svg")} == figures | shares
    tables = {"summary", "budget", "tasks", "task-changes", "thresholds", "sampling", "cost", "runs"}
    assert {path.stem for path in (report / "tables").glob("*.csv")} == tables
    assert {path.stem for path in (report / "tables").glob("*.md")} == tables


class Page(HTMLParser):
    """Collects what matters of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.links, self.loaded, self.headings = set(), [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.tags.add(tag)
        self.ids += [given["id"]] if "id" in given else []
        self.links += [given["href"]] if "href" in given else []
        self.loaded += [given[name] for name in ("src", "srcset", "data", "action", "xlink:href") if name in given]
        self.headings += [int(tag[1])] if re.fullmatch("h[1-6]", tag) else []


def test_the_page_stands_alone(report):
    text = (report / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert "http" not in text and "@import" not in text and "//" not in re.sub(r"/\*.*?\*/", "", text)
    assert not page.tags & {"script", "link", "iframe", "object", "embed", "img"}
    assert not page.loaded
    assert all(link.startswith("#") for link in page.links)
    assert {link[1:] for link in page.links} <= set(page.ids)
    assert all(target in page.ids for target in re.findall(r"url\(#([^)]+)\)", text))
    assert len(page.ids) == len(set(page.ids))


def test_the_page_reads_well(report):
    text = (report / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.headings[0] == 1 and page.headings.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(page.headings, page.headings[1:], strict=False))
    assert "prefers-color-scheme: dark" in text
    assert text.count("<svg") == text.count('role="img"') == 9
    assert "a &lt;b&gt;&amp;&quot;c&quot; $x" in text and "<b>" not in text
    assert "is cut off" in text and "unfinished: it stops at step 21" in text
    # Every colour drawn can be set by the page.
    assert not re.search(r"[:\"] ?#[0-9a-f]{6}[;\"]", re.sub(r"<style>.*?</style>", "", text, count=1, flags=re.S))


def test_figures_are_whole_and_name_their_parts(report):
    for path in (report / "figures").glob("*.svg"):
        ElementTree.parse(path)
        assert path.with_suffix(".png").stat().st_size > 10_000
    tasks = (report / "figures" / "tasks.svg").read_text(encoding="utf-8")
    assert all(f">{task}<" in tasks for task in TASKS)
    assert "training step" in tasks and "validation accuracy" in tasks
    for name in ("mt_grpo", "dapo"):
        assert all(
            f">{name}<" in (report / "figures" / f"{figure}.svg").read_text(encoding="utf-8")
            for figure in ("final", "courses", "tasks", "weights", "zero-gradient", "cost")
        )


def test_costs_are_drawn_and_tabled_where_the_logs_have_them(tmp_path):
    for seed in (0, 1):
        write_run(tmp_path / "runs" / f"m{seed}", seed=seed, steps=20, n=8)
    write_run(tmp_path / "runs" / "d0", method="dapo", steps=20, n=8)
    command(tmp_path / "runs", "-o", tmp_path / "out")
    courses = (tmp_path / "out" / "figures" / "courses.svg").read_text(encoding="utf-8")
    assert ">rollouts generated<" in courses and ">response tokens generated<" in courses
    assert ">prompts generated<" not in courses
    text = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "### Accuracy over steps, time, rollouts and tokens" in text
    assert (tmp_path / "out" / "tables" / "use.md").read_text(encoding="utf-8").strip() in text
    assert "What was generated, and what of it was trained on" in (tmp_path / "out" / "report.html").read_text("utf-8")


def test_large_amounts_are_written_short():
    axes = Figure().subplots()
    over_amount(axes, "response tokens generated")
    write = axes.xaxis.get_major_formatter()
    assert [write(x) for x in (0, 950, 20_000, 2_500_000, 3e9)] == ["0", "950", "20k", "2.5M", "3B"]


def test_the_same_logs_give_the_same_file(report, tmp_path):
    comparison = compare([report.parent / "runs"])
    (tmp_path / "again").mkdir()
    with styled():
        write_picture(tmp_path / "again", "final", "Worst task and average at the end", "", draw_final(comparison))
    assert (tmp_path / "again" / "final.svg").read_bytes() == (report / "figures" / "final.svg").read_bytes()


def test_csv_holds_the_numbers_in_full(report):
    with (report / "tables" / "summary.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["method"]: row for row in csv.DictReader(file)}
    finals = [synthetic_lines(seed=s, steps=30)[-1]["data"]["val-core/mt_grpo/avg_acc"] for s in (0, 1)]
    assert float(rows["mt_grpo"]["average_final"]) == pytest.approx(sum(finals) / 2)
    assert rows["mt_grpo"]["average_final_n"] == "2"
    assert float(rows["mt_grpo"]["average_final_sd"]) == pytest.approx(abs(finals[0] - finals[1]) / math.sqrt(2))
    with (report / "tables" / "sampling.csv").open(encoding="utf-8", newline="") as file:
        sampling = list(csv.DictReader(file))
    assert len(sampling) == 3 * len(TASKS)
    assert {"weight", "target_share", "batch_share", "largest_deviation", "mean_deviation"} <= set(sampling[0])


def test_markdown_has_every_table_and_figure(report):
    text = (report / "report.md").read_text(encoding="utf-8")
    for path in (report / "tables").glob("*.md"):
        assert path.read_text(encoding="utf-8").strip() in text
    for link in re.findall(r"\]\((\S+)\)", text):
        assert (report / link).is_file()
    widths = {len(re.findall(r"(?<!\\)\|", line)) for line in text.splitlines() if line.startswith("| mt_grpo |")}
    assert widths


def test_the_terminal_shows_table_notes_and_path(tmp_path, capsys):
    write_run(tmp_path / "m", steps=12)
    command(tmp_path / "m", "-o", tmp_path / "out", "--thresholds", "0.1,0.2", "--last", "3")
    out = capsys.readouterr().out
    assert re.search(r"^report: \S+report\.html$", out, re.M)
    assert re.search(r"^mt_grpo +1 +12 ", out, re.M)
    thresholds = (tmp_path / "out" / "tables" / "thresholds.csv").read_text(encoding="utf-8")
    assert "steps_to_10" in thresholds and "steps_to_20" in thresholds


@pytest.mark.parametrize(
    "arguments", [["--thresholds", "30"], ["--thresholds", "x"], ["--last", "0"], ["--last", "-1"]]
)
def test_bad_options_are_refused(tmp_path, arguments, capsys):
    with pytest.raises(SystemExit) as refused:
        command(tmp_path, "-o", tmp_path, *arguments)
    assert refused.value.code == 2
    assert " is not a " in capsys.readouterr().err


def test_a_missing_run_is_an_error(tmp_path):
    with pytest.raises(RunLogError, match="no run at"):
        command(tmp_path / "nowhere", "-o", tmp_path)


@pytest.mark.parametrize(
    "lines",
    [
        synthetic_lines(steps=3)[:1],
        [{"step": line["step"], "data": {"timing_s/step": 1.0}} for line in synthetic_lines(steps=4)[1:]],
        [{"step": 1, "data": {"val-core/mt_grpo/worst_task_acc": 0.2}}],
        synthetic_lines(steps=1, tasks=["one"]),
    ],
    ids=["validation only", "no metrics of ours", "summary only", "one step, one task"],
)
def test_a_report_comes_of_whatever_there_is(tmp_path, lines):
    write_log(tmp_path / "r" / "attempt-1.jsonl", lines)
    command(tmp_path / "r", "-o", tmp_path / "out")
    assert (tmp_path / "out" / "report.html").is_file()


def test_cells_are_written_for_people():
    assert show(Stat(0.5264, math.nan, 1, 1), "share") == "52.6"
    assert show(Stat(0.5264, 0.0123, 3, 3), "share") == "52.6 ± 1.2"
    assert show(Stat(230.0, math.nan, 1, 3), "count") == "230 (1 of 3)"
    assert show(Stat(11.5, 0.5, 2, 2), "count") == "11.5 ± 0.5"
    assert show(Stat(-0.04, math.nan, 1, 1), "change") == "+0.0"
    assert show(Stat(5.81, 1.26, 2, 2), "change") == "+5.8 ± 1.3"
    assert show(Stat(38.6 * 3600, math.nan, 1, 1), "seconds") == "38.6 h"
    assert show(Stat(600.0, 60.0, 2, 2), "seconds") == "10.0 ± 1.0 min"
    assert show(Stat.of([]), "share") == "-"


def test_tables_escape_and_drop_what_was_not_logged():
    columns = (Column("m", "m"), Column("x", "x", "number"), Column("y", "y", "number"))
    table = without_empty(Table("t", "T", columns, (("a|b", Stat.of([None]), Stat.of([1.5])),)))
    assert to_markdown(table) == "## T\n\n| m | y |\n| --- | ---: |\n| a\\|b | 1.50 |\n"
    assert to_csv(table) == "m,y,y_sd,y_n\na|b,1.5,,1\n"


def test_the_headline_names_the_best_and_the_baseline(tmp_path):
    write_run(tmp_path / "m", steps=30)
    write_run(tmp_path / "d", method="dapo", steps=30, skill=0.5)
    text = headline(compare([tmp_path]))
    assert text.startswith("2 runs of 2 methods on 3 tasks. At the end, the worst task is highest under mt_grpo: ")
    assert "under dapo" in text and "luck of a seed" in text
