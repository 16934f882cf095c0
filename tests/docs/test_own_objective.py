"""The objective that docs/tutorial/own_objective.md writes: its parts where the page says, and its test."""

import sys
from types import ModuleType

import pytest

from tests.objectives import test_objectives
from tests.support.blocks import ROOT, blocks_of
from tune_at.config import objective as sections

PAGE = ROOT / "docs" / "tutorial" / "own_objective.md"
SECTION, ENTRY, LOSS, TEST = [b.text for b in blocks_of(PAGE.read_text(encoding="utf-8")) if b.kind == "python"]


@pytest.fixture
def written(monkeypatch):
    """The page's parts, in the modules that it names."""
    namespace = dict(vars(sections))
    exec(SECTION, namespace)
    monkeypatch.setattr(sections, "ALP", namespace["ALP"], raising=False)
    entry = eval(ENTRY, namespace)
    monkeypatch.setitem(sections.OBJECTIVES._entries, entry.name, entry)
    module = ModuleType("tune_at.objectives.alp")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(LOSS, vars(module))
    tests = dict(vars(test_objectives))
    exec(TEST, tests)
    return entry, next(test for name, test in tests.items() if name.startswith("test_alp"))


def test_the_page_s_own_test_holds(written):
    entry, test = written
    assert entry.load().__name__ == "ALPObjective"
    test()


def test_the_page_s_own_test_can_fail(written, monkeypatch):
    entry, test = written
    loss = entry.load().loss
    monkeypatch.setattr(entry.load(), "loss", lambda self, step: (loss(self, step)[0] * 1.01, loss(self, step)[1]))
    with pytest.raises(AssertionError):
        test()
