"""What the pages refer to exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
ROOTS = ("tune_at", "analysis", "benchmarks", "search_spaces", "tests", "tools", "docs", "deploy")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_files_that_a_page_names_exist(page):
    text = page.read_text(encoding="utf-8")
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    missing = [link for link in links if link and not (page.parent / link).exists()]
    named = re.findall(rf"`((?:{'|'.join(ROOTS)})/[\w./-]+)`", text)
    # What a tutorial writes itself begins with its name.
    written = re.findall(r"^```python\n# ([\w./-]+)$", text, re.MULTILINE)
    missing += [path for path in named if "…" not in path and path not in written and not (ROOT / path).exists()]
    assert missing == []


def test_a_link_into_nothing_would_be_seen():
    assert re.findall(r"\]\(([^)\s]+)\)", "see [that](docs/none.md)") == ["docs/none.md"]
