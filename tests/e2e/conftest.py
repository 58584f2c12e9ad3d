"""A real Chromium in front of the real service."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import override_settings
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from accounts.models import Organization, User
from castcomm.realtime import hub
from tests.e2e.site import Mailbox, Site

DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# What the network says when a test takes it away on purpose.
EXPECTED = ("net::ERR_", "WebSocket connection to", "Failed to load resource")

# Two busy cores are slow; a test that passes does not wait.
PATIENCE = 30  # seconds
expect.set_options(timeout=PATIENCE * 1000)

OpenPage = Callable[..., Page]


def wait_until(page: Page, condition: Callable[[], bool]) -> None:
    """Let the page go on until ``condition`` holds; fails after ``PATIENCE``."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not come"
        page.wait_for_timeout(20)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = os.path.dirname(__file__)
    for item in items:
        if str(item.path).startswith(here):
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.django_db(transaction=True))


def find_chromium() -> str:
    """The path of a Chromium; skips the test without one, or fails it where one is required."""
    reason = os.environ.get("BROWSER_MISSING_REASON", "")
    names = ("chromium", "chromium-browser", "google-chrome")
    found = os.environ.get("CHROMIUM_PATH") or next(filter(None, map(shutil.which, names)), None)
    if found and not reason:
        return found
    reason = reason or "no Chromium was found; set CHROMIUM_PATH or run bin/test, which gets one"
    if os.environ.get("REQUIRE_BROWSER", "0") not in {"", "0"}:
        pytest.fail(f"REQUIRE_BROWSER is set, but {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    path = find_chromium()
    # Playwright's sync API runs an event loop in this thread, which Django takes for asynchronous code.
    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()
    if before is None:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]
    else:
        os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = before


@pytest.fixture(scope="package")
def mailbox() -> Iterator[Mailbox]:
    mailbox = Mailbox()
    yield mailbox
    mailbox.stop()


@pytest.fixture(scope="package")
def site(browser: Browser, django_db_setup: None, django_db_blocker: Any, mailbox: Mailbox) -> Iterator[Site]:
    with django_db_blocker.unblock():
        site = Site(mailbox)
    # What this process publishes is not given up because the machine is busy for half a second.
    with override_settings(REDIS_SOCKET_TIMEOUT=PATIENCE):
        hub._process._publisher = None
        yield site
    hub._process._publisher = None
    site.stop()


@pytest.fixture
def complaints() -> list[str]:
    """What browsers wrote to their consoles as errors; tests fail over what they did not expect."""
    return []


@pytest.fixture
def open_page(
    browser: Browser, site: Site, complaints: list[str], transactional_db: None
) -> Iterator[OpenPage]:
    """``open_page(user, "/inbox/")``: a page in a browser session of its own; without a user nobody is signed in."""
    contexts: list[BrowserContext] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(EXPECTED):
            complaints.append(message.text)

    def open_it(user: User | None, path: str, **options: Any) -> Page:
        options = {"viewport": DESKTOP, "locale": "en-GB", "timezone_id": "UTC", **options}
        context = browser.new_context(base_url=site.url, **options)
        contexts.append(context)
        context.set_default_timeout(PATIENCE * 1000)
        if user is not None:
            context.add_cookies(site.cookies_of(user))  # type: ignore[arg-type]
        page = context.new_page()
        page.on("console", note)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(path)
        return page

    yield open_it
    for context in contexts:
        context.close()
    wait_for_the_last_query()
    assert complaints == []


def wait_for_the_last_query() -> None:
    """Until the web process does nothing more for pages that are closed: emptying the tables would get in its way."""
    deadline = time.monotonic() + PATIENCE
    with connection.cursor() as cursor:
        while True:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND pid <> pg_backend_pid() AND backend_type = 'client backend' AND state <> 'idle'"
            )
            if cursor.fetchone()[0] == 0:
                return
            assert time.monotonic() < deadline, "the web process is still busy"
            time.sleep(0.02)


@pytest.fixture
def people(make_user: Callable[..., User], organization: Organization) -> tuple[User, User]:
    """Two members of one organization."""
    names = (("Ada", "Actor"), ("Dan", "Director"))
    ada, dan = (
        make_user(f"{first.lower()}@example.com", organization=organization, first_name=first, last_name=last)
        for first, last in names
    )
    return ada, dan
