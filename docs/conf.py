"""How `make docs` builds this folder into `site/` (Sphinx, MyST, furo). Nothing is asked of a network."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tune_at.version import __version__  # noqa: E402

project = "Tune-AT"
author = "the authors of Tune-AT"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_site"]
smartquotes_action = "D"  # dashes alone: x' is a formula
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
highlight_language = "text"  # what is printed is no program
pygments_style = "default"
pygments_dark_style = "github-dark"

napoleon_use_ivar = True
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_class_signature = "separated"
autodoc_default_options = {"exclude-members": "__init__, __new__, model_config, model_fields, model_post_init"}

html_theme = "furo"
html_title = "Tune-AT"
html_static_path = ["_site"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_search_summary = False  # a page from disk may not fetch another
html_show_sphinx = False
html_show_copyright = False
html_theme_options = {"navigation_with_keys": True}

AT_ROOT = {"readme": "README.md", "contributing": "CONTRIBUTING.md", "changelog": "CHANGELOG.md"}
"""Pages that lie at the repository's root, where its readers look for them."""


def from_root(text: str) -> str:
    """A page of the root with links that start from this folder."""
    homes = {file: f"{page}.md" for page, file in AT_ROOT.items()}

    def moved(link: re.Match[str]) -> str:
        path, hash_, anchor = link[1].partition("#")
        if "://" in path or not path:
            return link[0]
        target = homes.get(path) or (path.removeprefix("docs/") if path.startswith("docs/") else f"../{path}")
        return f"]({target}{hash_}{anchor})"

    return re.sub(r"\]\(([^)\s]+)\)", moved, text)


def without_folders(text: str) -> str:
    """A link to a folder leads nowhere on a site: its words stay."""
    return re.sub(r"\[([^\]]+)\]\([^)\s:]+/\)", r"\1", text)


def arrows(block: re.Match[str]) -> str:
    """Mermaid's drawing of the rooms as a table: what draws it would have to be loaded."""
    names = dict(re.findall(r'^ +(\w+)\["<b>(.+?)</b>', block[1], re.MULTILINE))
    below: dict[str, list[str]] = {}
    for here, there in re.findall(r"^ +(\w+) --> (\w+)$", block[1], re.MULTILINE):
        below.setdefault(here, []).append(f"`{names[there]}`")
    rows = [f"| `{names[here]}` | {', '.join(targets)} |" for here, targets in below.items()]
    return "\n".join(["| room | imports |", "|---|---|", *rows])


def read(app: object, docname: str, source: list[str]) -> None:
    """A page as the site has it."""
    text = source[0]
    if docname in AT_ROOT:
        text = from_root((ROOT / AT_ROOT[docname]).read_text(encoding="utf-8"))
    for page, file in AT_ROOT.items():
        text = re.sub(rf"\]\(((?:\.\./)*)\.\./{file}", rf"](\1{page}.md", text)
    if docname == "results" and not any((ROOT / "docs" / "results").glob("*.md")):
        text = text.partition("```{toctree}")[0]  # an empty list is a warning
    text = without_folders(text)
    source[0] = re.sub(r"```mermaid\n(.*?)\n```", arrows, text, flags=re.DOTALL)


def as_rst(app: object, what: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    """Docstrings are written as Markdown is: `code` in single ticks, indented programs, and signs that mean nothing."""
    written: list[str] = []
    last = "Args:"
    while lines:
        line = lines.pop(0)
        if line.startswith("    ") and not last.startswith(" ") and not written[-1]:
            written += [".. code-block:: python", "", line]
            while lines and (lines[0].startswith("    ") or not lines[0]):
                written.append(lines.pop(0))
            continue
        paragraph = [line]
        while lines and line and lines[0] and not lines[0].startswith("    "):
            paragraph.append(lines.pop(0))
        written += _escaped("\n".join(paragraph)).split("\n")
        last = paragraph[-1] or last
    if what in ("attribute", "property") and written:
        written[0] = written[0].replace(": ", " – ")  # what stands before a colon would be read as its type
    lines[:] = written


def _escaped(text: str) -> str:
    parts = re.split(r"(?<!`)`([^`]+)`(?!`)", text)
    for place, part in enumerate(parts):
        parts[place] = f"``{part}``" if place % 2 else re.sub(r"([*|]|(?<=\w)_(?=\W|$))", r"\\\1", part)
    return "".join(parts)


def setup(app: object) -> dict[str, bool]:
    """Joins the above."""
    app.connect("source-read", read)  # type: ignore[attr-defined]
    app.connect("autodoc-process-docstring", as_rst, priority=400)  # type: ignore[attr-defined]
    return {"parallel_read_safe": True, "parallel_write_safe": True}
