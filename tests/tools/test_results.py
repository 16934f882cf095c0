"""Pages of results, made from sweeps and from nothing else."""

import json

import pytest
from completed import complete

from tools import results
from tune_at.study.study import Study
from tune_at.study.sweep import Sweep


def trained(storage, name, preset, folder, accuracy):
    """A finished sweep of a shipped study: `accuracy(objective)` of the labels is fitted."""
    sweep = Sweep.plan(Study.resolve(name, preset), str(storage), folder)
    sweep.create()
    complete(sweep, accuracy)
    (storage / f"{folder}.json").write_text(json.dumps(75.0))
    return sweep


@pytest.fixture
def storage(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "PAGES", tmp_path / "pages")
    return tmp_path


def test_a_page_says_what_was_found_and_where_settings_differ(storage, capsys):
    trained(storage, "threat_model", "laptop", "threat_model", {"pgd_at": 0.1, "trades": 0.95}.get)
    assert results.main([str(storage)]) == 0
    page = (results.PAGES / "threat_model.md").read_text()
    assert "- likewise in l2 with eps 1.0 and step 0.25 (App. A.1.1, Fig. A.4)" in page
    assert "**Shows.** Of random labels PGD-AT fits 10.0%, TRADES 95.0%." in page
    assert "2 trials in 75 s on cpu, 1 seed a point: `python run.py sweep threat_model --preset laptop`" in page
    assert "| attack.eps | 1 | 0.75 |" in page
    assert "| model.name | wrn-28-10 | small_cnn |" in page
    assert "attack.norm" not in page  # it is the paper's
    assert (results.PAGES / "threat_model-memorization_curves.png").read_bytes().startswith(b"\x89PNG")
    index = (results.PAGES / "README.md").read_text()
    assert "| [threat_model](threat_model.md) | Fig. A.4 | laptop | **shows**: of random labels" in index
    assert "1 studies" in capsys.readouterr().out


def test_presets_stand_below_each_other_and_what_is_not_finished_is_left_out(storage):
    trained(storage, "random_labels", "laptop", "random_labels", lambda name: 0.5)
    half = Sweep.plan(Study.resolve("threat_model", "laptop"), str(storage), "threat_model")
    half.create()
    assert set(results.read_results(storage, "random_labels")[0].finding) >= {"does not show"}
    assert results.read_results(storage, "threat_model") == []
    assert results.main([str(storage)]) == 0
    assert {path.name for path in results.PAGES.glob("*.md")} == {"random_labels.md", "README.md"}


def test_a_storage_without_results_is_said(storage, capsys):
    assert results.main([str(storage / "none")]) == 2
    assert "has no finished study; run: python run.py studies" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Sec. 3.1, Fig. 2a, 2b", {("Sec", "3.1"), ("Fig", "2a"), ("Fig", "2b")}),
        ("App. A.2.1", {("App", "A.2.1")}),
        ("Fig. 7, Tab. 1a", {("Fig", "7"), ("Tab", "1a")}),
        ("ours", set()),
    ],
)
def test_places_of_the_paper(text, found):
    assert results.places(text) == found


def test_a_storage_of_few_sweeps_leaves_the_pages_of_the_others(storage, tmp_path, capsys):
    for name in ("random_labels", "threat_model"):
        trained(storage, name, "laptop", name, {"pgd_at": 0.1, "trades": 0.95}.get)
    trained(storage, "random_labels", "cifar", "random_labels-cifar", {"pgd_at": 0.2, "trades": 0.95}.get)
    assert results.main([str(storage)]) == 0
    before = {path.name: path.read_bytes() for path in results.PAGES.iterdir()}
    other = tmp_path / "other"
    other.mkdir()
    trained(other, "threat_model", "laptop", "threat_model", {"pgd_at": 0.5, "trades": 0.95}.get)
    trained(other, "random_labels", "laptop", "random_labels", {"pgd_at": 0.5, "trades": 0.95}.get)
    assert results.main([str(other)]) == 0
    after = {path.name: path.read_bytes() for path in results.PAGES.iterdir()}
    assert set(after) == set(before)
    changed = {name for name in after if after[name] != before[name] and name.endswith(".md")}
    assert changed == {"README.md", "threat_model.md"}
    assert "random_labels.md stays: " in capsys.readouterr().err  # its page shows the preset cifar
    index = after["README.md"].decode()
    assert index.count("| [random_labels](random_labels.md) |") == 2
    assert "PGD-AT fits 50.0%" in index
