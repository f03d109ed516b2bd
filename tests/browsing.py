"""A browser that opens reports from disk, and notes everything that a page must not do."""

import shutil
from contextlib import contextmanager

import pytest

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
FLAGS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
in_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")


def expect(locator):
    from playwright.sync_api import expect as expected

    return expected(locator)


@contextmanager
def opened(browser, folder, at="", **options):
    """A page; it must say nothing on the console, fail at nothing, and ask for nothing outside of its folder."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, **options)
    page = context.new_page()
    trouble = []
    page.on("console", lambda message: trouble.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("dialog", lambda dialog: trouble.append(f"dialog: {dialog.message}"))
    root = folder.resolve().as_uri() + "/"
    page.on(
        "request", lambda asked: None if asked.url.startswith((root, "data:", "blob:")) else trouble.append(asked.url)
    )

    def failed(asked):
        if "ERR_ABORTED" not in (asked.failure or ""):  # of a page that is left
            trouble.append(f"failed: {asked.url}")

    page.on("requestfailed", failed)
    page.goto(f"{root}index.html{at}")
    page.wait_for_selector("h1")
    yield page
    context.close()
    assert trouble == []


def go(page, to):
    """Go to another view by its address, as a link does."""
    page.evaluate("to => { location.hash = to }", to)


def violations(page):
    """What axe finds serious: the rule and the first element that breaks it."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page.wait_for_timeout(200)
    found = axe.Axe().run(page, options={"preload": False}).response["violations"]
    return [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")]
