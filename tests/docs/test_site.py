"""The site: built without a warning, whole, and asking nothing of a network."""

import re
import shutil
import subprocess
import sys

import pytest
from browser import needs_browser, opened

from tests.support.blocks import ROOT

pytest.importorskip("sphinx")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The pages as `make docs` builds them, with a result beside them."""
    place = tmp_path_factory.mktemp("site")
    for path in ROOT.iterdir():
        if path.name not in ("docs", "site"):
            (place / path.name).symlink_to(path)
    shutil.copytree(ROOT / "docs", place / "docs")
    (place / "docs" / "results").mkdir(exist_ok=True)
    (place / "docs" / "results" / "made_up.md").write_text("# What a made-up study gave\n\nNothing.\n")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "docs", "site"]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return place / "site"


def test_a_result_joins_the_navigation_by_itself(site):
    front = (site / "index.html").read_text()
    assert re.search(r'href="results/made_up\.html">What a made-up study gave', front)


def test_every_page_can_be_reached_from_the_front(site):
    front = (site / "index.html").read_text()
    pages = {str(path.relative_to(site)) for path in site.rglob("*.html")} - {"index.html", "genindex.html"}
    pages -= {"search.html", "py-modindex.html"}
    assert len(pages) > 20
    assert sorted(page for page in pages if f'href="{page}"' not in front) == []


def test_nothing_is_loaded_from_elsewhere(site):
    loading = re.compile(r'<(?:script|img|iframe)[^>]*\ssrc="([^"]+)"|<link[^>]*\shref="([^"]+)"')
    for page in site.rglob("*.html"):
        addresses = [src or href for src, href in loading.findall(page.read_text())]
        assert addresses
        assert [address for address in addresses if re.match(r"(\w+:)?//", address)] == [], page
    for sheet in site.rglob("*.css"):
        assert re.findall(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", sheet.read_text()) == [], sheet


@needs_browser
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", ["index", "paper", "reference/config", "readme"])
def test_a_page_opens_from_disk_and_fits_the_screen(site, name, width):
    with opened(site / f"{name}.html", viewport={"width": width, "height": 800}) as (page, logged, asked):
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert logged == []
        assert {address.partition(":")[0] for address in asked} == {"file"}


@needs_browser
def test_a_search_finds_pages_from_disk(site):
    with opened(f"{site}/search.html?q=noise_rate") as (page, logged, _):
        page.wait_for_selector("#search-results li a")
        assert "Every key" in page.inner_text("#search-results")
        assert logged == []
