"""The inbox on somebody else's page: the example of docs/inbox.md as it stands there, served from another origin."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from allauth.account.models import EmailAddress
from playwright.sync_api import expect

from accounts.models import Organization, User
from notifications.models import Notification
from tests.accounts.test_sign_in import PASSWORD, sign_in
from tests.e2e.conftest import PHONE, OpenPage, wait_until
from tests.e2e.site import ROOT, Site
from tests.e2e.test_accessibility import violations, widths
from tests.e2e.test_inbox import notify, row

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>A customer's page</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>castcomm-inbox {{ --cc-accent: rgb(0, 90, 60); }}</style></head>
<body><main><h1>A customer's page</h1>{example}</main></body></html>"""


def example(site: Site, organization: Organization) -> str:
    """The example of the documentation, with this site's address and organization in it."""
    text = (ROOT / "docs/inbox.md").read_text()
    found = re.search(r"## On your own page\n\n```html\n(.*?)```", text, re.DOTALL)
    assert found is not None
    return found[1].replace("https://cast.example.com", site.url).replace("demo", organization.slug)


class Customer:
    """A web server of a customer: its page, and the access token of who is signed in there."""

    def __init__(self, port: int, html: str) -> None:
        self.token = ""
        self.asked = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                is_token = self.path == "/castcomm-token"
                outer.asked += is_token
                body = (outer.token if is_token else html if self.path == "/" else "").encode()
                self.send_response(200 if body else 404)
                self.send_header("Content-Type", "text/plain" if is_token else "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nothing is written to the terminal."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def ada(make_user: Callable[..., User], organization: Organization, transactional_db: None) -> User:
    user = make_user("ada@example.com", organization=organization, password=PASSWORD)
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    return user


@pytest.fixture
def customer(site: Site, organization: Organization, ada: User) -> Iterator[Customer]:
    made = Customer(site.customer_port, PAGE.format(example=example(site, organization)))
    made.token = sign_in(ada)
    yield made
    made.close()


def test_the_documented_example_shows_the_inbox_on_a_page_of_another_origin(
    open_page: OpenPage,
    ada: User,
    organization: Organization,
    site: Site,
    customer: Customer,
) -> None:
    notify(organization, ada, "Before the visit")
    page = open_page(None, f"{site.customer_url}/", viewport=PHONE)
    page.get_by_role("button", name="Notifications, 1 unread").click()
    panel = page.get_by_role("dialog")
    expect(panel.get_by_text("Before the visit")).to_be_visible()

    notify(organization, ada, "During the visit")  # over the WebSocket, without a reload
    expect(panel.get_by_text("During the visit")).to_be_visible()
    page.get_by_role("button", name="Mark read: Before the visit").click()
    expect(page.get_by_role("button", name="Mark unread: Before the visit")).to_be_visible()
    expect(row(page, "During the visit")).to_be_visible()
    read = Notification.objects.filter(title="Before the visit", read_at__isnull=False)
    wait_until(page, read.exists)  # the page shows it before the server has answered
    assert customer.asked >= 1
    assert page.context.cookies(site.url) == []
    accent = "getComputedStyle(document.querySelector('castcomm-inbox')).getPropertyValue('--cc-accent')"
    assert page.evaluate(accent) == "rgb(0, 90, 60)"
    assert violations(page, "castcomm-inbox") == []
    assert widths(page)[0] <= PHONE["width"]


def test_a_page_that_is_not_named_gets_nothing(
    open_page: OpenPage,
    ada: User,
    organization: Organization,
    site: Site,
    customer: Customer,
    complaints: list[str],
) -> None:
    notify(organization, ada, "Nobody else's business")
    # The same page under another name is another origin.
    page = open_page(None, f"http://localhost:{site.customer_port}/", viewport=PHONE)
    page.get_by_role("button", name="Notifications").click()
    expect(page.get_by_role("alert")).not_to_be_empty()
    expect(page.get_by_text("Nobody else's business")).to_have_count(0)
    assert all("CORS" in one for one in complaints)
    complaints.clear()
