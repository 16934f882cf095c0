"""A page in a browser without a screen; tests are skipped where there is none."""

import contextlib
import importlib.util
import shutil

import pytest


def browser_path():
    """Where a Chromium is, or None."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


needs_browser = pytest.mark.skipif(
    browser_path() is None or importlib.util.find_spec("playwright") is None, reason="no Chromium, or no playwright"
)


@contextlib.contextmanager
def opened(path, **context):
    """The page of a file, and what it has logged and asked for: (page, lines, addresses)."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(), args=["--no-sandbox"])
        page = browser.new_context(**context).new_page()
        logged, asked = [], []
        page.on("console", lambda message: logged.append(message.text))
        page.on("pageerror", lambda error: logged.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"file://{path}")
        yield page, logged, [address for address in asked if not address.startswith("data:")]
        browser.close()
