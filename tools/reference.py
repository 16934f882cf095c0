"""The pages of the documentation that are made from the code: `python -m tools.reference` writes them again.

A test compares each with the code (`tests/tools/test_reference.py`).
"""

from collections.abc import Callable
from pathlib import Path

from tools import drawn, keys, options, paper_map

DOCS = Path(__file__).parents[1] / "docs"

PAGES: dict[str, Callable[[], str]] = {
    "reference/config.md": keys.render,
    "reference/commands.md": options.render,
    "reference/analysis.md": drawn.render,
    "paper.md": paper_map.render,
}
"""Page → what makes it."""


def main() -> None:
    """Write each page."""
    for page, render in PAGES.items():
        target = DOCS / page
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    main()
