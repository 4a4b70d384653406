"""The product in a real browser: `live_app` (the servers), `page` and `open_page` (Chromium).

A page whose console showed an error or whose script threw fails its test. Where a test provokes one
(a refused save, say), it says so: `console.allow("412")`.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    expect,
    sync_playwright,
)

from tests.live import ROOT, LiveApp

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
]
HERE = Path(__file__).parent
PATIENCE = 15_000
"""Milliseconds that a busy machine may take to show what a test waits for."""
expect.set_options(timeout=PATIENCE)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def live_app() -> Iterator[LiveApp]:
    """The servers on a data folder of their own, with the pages built as they are now."""
    subprocess.run([ROOT / "script" / "setup", "dev"], check=True)
    app = LiveApp()
    try:
        app.start()
        yield app
    finally:
        app.stop()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if not CHROMIUM:
        pytest.skip("Chromium is not installed: apt install chromium")
    # Playwright keeps an event loop in this thread, which Django's guard would take for async code.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


class Console:
    """What the consoles of a test's pages said."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self.allowed: list[str] = []

    def watch(self, page: Page) -> None:
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.errors.append(f"uncaught: {error}"))

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(f"{message.text} ({message.location.get('url', '')})")

    def allow(self, *parts: str) -> None:
        """Errors that contain one of these are part of the test."""
        self.allowed.extend(parts)

    def check(self) -> None:
        bad = [error for error in self.errors if not any(part in error for part in self.allowed)]
        assert not bad, "the browser's console showed errors:\n" + "\n".join(bad)


@pytest.fixture
def console() -> Iterator[Console]:
    """Fails the test whose pages logged an error that it did not `console.allow`."""
    console = Console()
    yield console
    console.check()


OpenPage = Callable[..., Page]


@pytest.fixture
def open_page(live_app: LiveApp, browser: Browser, console: Console) -> Iterator[OpenPage]:
    """`open_page("reviewer")`: a new page of that person, logged in; None: of nobody.

    Each has cookies and storage of its own; further options are those of Browser.new_context.
    """
    contexts: list[BrowserContext] = []

    def open_one(username: str | None = "owner", **options: Any) -> Page:
        options.setdefault("viewport", {"width": 1440, "height": 900})
        context = browser.new_context(base_url=live_app.url, **options)
        contexts.append(context)
        if username is not None:
            session = live_app.people[username].session
            context.add_cookies([{"name": "sessionid", "value": session, "url": live_app.url}])
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        console.watch(page)
        return page

    yield open_one
    for context in contexts:
        context.close()


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    """A page of the user "owner", logged in."""
    return open_page("owner")
