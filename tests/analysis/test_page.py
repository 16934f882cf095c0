"""The page about a sweep: what it says, and that it works in a browser without a network."""

import base64
import gzip
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from browser import needs_browser, opened
from made_frames import frames
from made_frames import point as made_point

from analysis.findings import Finding
from analysis.frames import Frames
from analysis.page import collect, render_page
from analysis.page.figures import draw_figures, told_few
from analysis.page.grids import decision_grid, failure_grid, point_grid, trial_grid
from analysis.page.trials import MOST_EPOCHS, trial_data

V1 = Path(__file__).parents[1] / "stores" / "v1"


def point(objective, robust, status="completed", **keys):
    keys = {"train.selection": "test", "status": status, **{key.replace("__", "."): v for key, v in keys.items()}}
    curves = {"test_natural_accuracy": [0.9, 0.8], "test_robust_accuracy": robust, "train_robust_accuracy": [0.9, 0.95]}
    return (objective, keys, curves)


def texts(grid):
    names = [name for name, _ in grid.columns]
    return [dict(zip(names, (cell.text for cell in row), strict=True)) for row in grid.rows]


MADE = frames(
    point("pgd_at", [0.5, 0.4], optim__lr=0.1), point("trades", [0.6, 0.7], "stopped", optim__lr=0.01),
    point("trades", [float("nan")] * 2, "failed", optim__lr=0.1), swept=("objective", "optim.lr"),
)  # fmt: skip


def test_a_stopped_trial_has_no_final_accuracy_and_a_missing_one_is_no_zero():
    whole, stopped, failed = texts(trial_grid(MADE))
    assert (whole["final robust, test"], whole["best robust, test"], whole["robust gap"]) == ("40.0", "50.0", "55.0")
    assert (stopped["final robust, test"], stopped["final natural, test"]) == ("", "")
    assert stopped["best robust, test"] == "60.0"
    assert (failed["final robust, test"], failed["best robust, test"], failed["status"]) == ("", "", "failed")
    assert (whole["optim.lr"], whole["epochs"], whole["seed"]) == ("0.1", "2", "0")


def test_what_runs_in_a_sweep_that_nobody_runs_was_interrupted():
    made = frames(point("pgd_at", [0.5, 0.4], "running"), point("trades", [0.5, 0.4]))
    assert [row["status"] for row in texts(trial_grid(made))] == ["running", "completed"]
    assert [row["status"] for row in texts(trial_grid(replace(made, live=False)))] == ["interrupted", "completed"]


def test_points_decisions_and_failures():
    assert [row["point"] for row in texts(point_grid(MADE))] == ["b", "a", "c"]
    assert [row["robust, test"] for row in texts(point_grid(MADE))] == ["60.0", "50.0", ""]
    decided = pd.DataFrame({"trial": ["a", "b"], "epoch": [1, 1], "rung": [1, 1], "action": ["continue", "stop"],
                            "value": [0.5, 2 / 3], "cutoff": [0.4, float("nan")]})  # fmt: skip
    rows = texts(decision_grid(replace(MADE, decisions=decided)))
    assert [(row["trial"], row["action"], row["value"], row["cutoff"]) for row in rows] == [
        ("b", "stop", "0.6667", ""), ("a", "continue", "0.5", "0.4"),
    ]  # fmt: skip
    assert decision_grid(MADE).rows == []
    trials = pd.DataFrame({"trial": ["a", "b"], "status": ["completed", "failed"], "error": [None, "<b>out of memory"]})
    assert texts(failure_grid(trials)) == [{"trial": "b", "status": "failed", "reason": "<b>out of memory"}]


def test_headings_name_the_split_on_which_they_were_measured():
    made = frames(("pgd_at", {"train.selection": "validation"}, {"val_robust_accuracy": [0.5, 0.4],
                   "val_natural_accuracy": [0.6, 0.7], "test_natural_accuracy": [0.1, 0.2],
                   "test_robust_accuracy": [0.3, 0.4]}))  # fmt: skip
    (point_row,), (trial_row,) = texts(point_grid(made)), texts(trial_grid(made))
    assert (point_row["robust, validation"], point_row["natural, validation"]) == ("50.0", "60.0")
    assert (trial_row["best robust, test"], trial_row["final robust, test"]) == ("30.0", "40.0")


def test_a_study_without_a_rule_has_no_verdict(content):
    assert content.rule == ""
    page = render_page([content])
    assert '<div class="verdict' not in page
    assert "A study of its own: nothing of the paper has to show in this study." in page
    told = replace(content, rule="It must show.", finding=Finding("shows", "1%"))
    assert '<div class="verdict shows">' in render_page([told])


def test_one_or_two_points_are_no_figure_that_a_page_has_unasked():
    few = frames(*(made_point("pgd_at", 0.5 + i / 10, optim__lr=0.1 + i) for i in range(2)), swept=("optim.lr",))
    unasked = draw_figures(few, (), ())
    assert [(figure.name, figure.few, figure.source) for figure in unasked] == [
        (name, 2, "") for name in ("pareto_front", "slices", "parallel_coordinates", "training_cost")
    ]
    assert told_few(unasked, "runs/1").startswith("Of 2 points not drawn here: pareto_front, slices, parallel_coord")
    assert told_few(unasked, "runs/1").endswith("--figure pareto_front slices parallel_coordinates training_cost draws"
                                                " them.")  # fmt: skip
    named = draw_figures(few, (), ("pareto_front",))
    assert named[0].source and not named[0].few  # a study that names a figure has it
    three = frames(*(made_point("pgd_at", 0.5 + i / 10, optim__lr=0.1 + i) for i in range(3)), swept=("optim.lr",))
    assert all(figure.source for figure in draw_figures(three, (), ()))
    assert told_few(draw_figures(three, (), ()), "runs/1") == ""


def unpacked(data):
    return json.loads(gzip.decompress(base64.b64decode(data)))


def test_the_curves_in_a_page_are_thinned_but_keep_the_best_and_the_last_epoch():
    robust = [i / 1000 for i in range(500)]
    curves = {"test_natural_accuracy": [0.5] * 500, "test_robust_accuracy": robust}
    made = frames(("pgd_at", {"best_epoch": 38}, curves), point("trades", [float("nan"), 0.123456]))
    data = unpacked(trial_data(made))
    kept = data["a"]["epoch"]
    assert len(kept) in (MOST_EPOCHS, MOST_EPOCHS + 1)
    assert {1, 38, 500} <= set(kept)
    assert data["a"]["best"] == 38
    assert data["a"]["curves"]["test_robust_accuracy"] == [round((epoch - 1) / 10, 2) for epoch in kept]
    assert data["b"]["curves"]["test_robust_accuracy"] == [None, 12.35]
    assert data["b"]["config"]["objective.name"] == "trades"


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    sweep = shutil.copytree(V1 / "asha-finished", tmp_path_factory.mktemp("page") / "asha")
    return collect(str(sweep))


def test_everything_stands_in_the_page(content):
    page = render_page([content])
    assert not re.search(r"""(?:src|href)=["'](?!data:|#)""", page.partition("<script>")[0])
    for text in (content.title, content.status, "How to reproduce it", "sweep", "--preset" if content.preset else ""):
        assert text in page
    assert page.partition("<script>")[0].count('src="data:image/') == sum(
        bool(figure.source) for figure in content.figures
    )
    assert 'http-equiv="refresh"' not in page
    assert '<meta http-equiv="refresh" content="30">' in render_page([content], refresh=30)


def test_the_setting_has_what_is_searched_and_who_judges_it_as_in_a_study(content, tmp_path):
    swept = dict(content.swept)
    assert swept["objective"] == "[pgd_at, trades]"
    assert swept["optim.lr"] == "{loguniform: [0.005, 0.5]}"
    assert swept["search"].startswith("{name: random, trials: ")
    assert "grace: 2" in swept["scheduler"]
    grid = collect(str(shutil.copytree(V1 / "grid-killed", tmp_path / "grid")))
    assert dict(grid.swept)["objective"] == "{name: pgd_at_te, start: 2}, {name: sat, start: 2}"
    assert "scheduler" not in dict(grid.swept)
    assert {row[1].text for row in grid.trials.rows} == {"completed", "interrupted"}
    assert "No scheduler judges trials: each runs to its end." in render_page([grid])


def test_what_a_sweep_says_is_text_in_the_page(content):
    odd = "<script>alert(1)</script>"
    page = render_page([replace(content, name=odd, title=odd, status=odd, setting=[(odd, odd)], commands=[(odd, odd)])])
    assert odd not in page
    assert "&lt;script&gt;alert(1)" in page


def test_a_sweep_that_has_just_begun_has_a_page(tmp_path):
    sweep = shutil.copytree(V1 / "grid-finished", tmp_path / "grid")
    for table in ("epochs", "trials"):
        for path in (sweep / "store").rglob(f"*{table}*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    content = collect(str(sweep))
    assert content.finding.outcome == "no rule"
    assert any("no epoch has finished yet" in line for line in content.missing)
    assert "No trial has begun yet." in render_page([content])


@needs_browser
def test_it_works_in_a_browser_by_keyboard_and_asks_nothing_of_a_network(content, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(render_page([content, replace(content, name="again")]))
    with opened(path) as (page, logged, asked):
        first = page.locator("table.trials").first
        names = lambda: first.locator("tbody tr:visible td:first-child").all_inner_texts()
        before = names()
        assert len(before) == len(content.trials.rows) > 1
        head = first.locator("th").first
        head.locator("button").focus()
        page.keyboard.press("Enter")
        assert head.get_attribute("aria-sort") == "ascending"
        page.keyboard.press("Enter")
        assert head.get_attribute("aria-sort") == "descending"
        assert names() == sorted(before, reverse=True)
        column = [name for name, _ in content.trials.columns].index("best robust, test")
        first.locator("th button").nth(column).click()
        values = [t for t in first.locator(f"tbody td:nth-child({column + 1})").all_inner_texts() if t]
        assert values == sorted(values, key=float)
        page.locator("input.find").first.fill(before[0])
        assert names() == [before[0]]
        page.locator("input.find").first.fill("")
        status = content.trials.rows[0][1].text
        page.locator("select.status").first.select_option(status)
        assert len(names()) == sum(row[1].text == status for row in content.trials.rows)
        first.locator("tbody tr:visible button.open").first.focus()
        page.keyboard.press("Enter")
        page.locator("#curve .main-svg").first.wait_for()
        assert page.locator("#detail-title").inner_text() == names()[0]
        assert "attack.eps" in page.locator("#config").inner_text()
        page.keyboard.press("Escape")
        assert not page.locator("dialog").is_visible()
        page.emulate_media(media="print")
        assert not page.locator("nav").is_visible()
        assert logged == []
        assert asked == [f"file://{path}"]
    with opened(path, viewport={"width": 1400, "height": 900}) as (page, _, _):
        wide = "element => element.scrollWidth > element.clientWidth"
        assert not page.locator("table.trials").first.locator("..").evaluate(wide)  # no column is cut off
    with opened(path, viewport={"width": 390, "height": 800}) as (page, _, _):
        assert page.evaluate("document.documentElement.scrollWidth") == 390  # tables scroll by themselves


KEYS = [f"optim.key{number}" for number in range(40)]


def test_a_thousand_trials_fit_in_ten_megabytes(content):
    number, length = 1000, 200
    rng = np.random.default_rng(0)
    trials = pd.DataFrame({"trial": [f"{i:04d}-pgd_at-lr={i}-s0" for i in range(number)]})
    trials = trials.assign(
        status="completed", best_epoch=100, seed=0, **{f"optim.key{k}": rng.random(number) for k in range(40)}
    )
    trials["train.selection"], trials["objective.name"] = "test", "pgd_at"
    names = np.repeat(trials["trial"].to_numpy(), length)
    epochs = pd.DataFrame({"trial": names, "epoch": np.tile(np.arange(1, length + 1), number)})
    for split in ("train", "val", "test"):
        for kind in ("natural", "robust"):
            epochs[f"{split}_{kind}_accuracy"] = rng.random(len(epochs))
    made = Frames(trials, epochs.assign(status="completed", best_epoch=100), swept=(KEYS[0],))
    page = render_page([replace(content, data=trial_data(made), trials=trial_grid(made))])
    assert len(page.encode()) < 10e6
    assert page.count('class="open"') == number
