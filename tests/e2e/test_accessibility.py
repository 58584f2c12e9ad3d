"""Every page by keyboard, on a phone, in light and dark, and under axe-core."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from accounts.models import Organization, User
from messaging.models import Thread
from messaging.services.sending import send_message
from messaging.services.threads import create_thread
from notifications.models import Category, EventType
from tests.e2e.conftest import PHONE, OpenPage
from tests.e2e.site import Site
from tests.e2e.test_inbox import notify

AXE = (Path(__file__).parent / "vendor" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
STANDARDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
SIGNED_OUT = ("/accounts/login/", "/accounts/signup/", "/accounts/password/reset/")
SIGNED_IN = (
    "/inbox/",
    "/chat/",
    "/chat/{thread}/",
    "/preferences/",
    "/devices/",
    "/accounts/email/",
    "/accounts/password/change/",
    "/accounts/2fa/",
    "/accounts/sessions/",
)


@pytest.fixture
def lived_in(people: tuple[User, User], organization: Organization) -> Thread:
    """Something to see on every page."""
    ada, dan = people
    category = Category.objects.create(organization=organization, key="work", name="Work")
    EventType.objects.create(organization=organization, key="work.offer", name="New offer", category=category)
    notify(organization, ada, "A long title without an end in sight " * 3, action_url="https://example.com/")
    notify(organization, ada, "Short")
    place: dict[str, Any] = {"organization_id": organization.id}
    thread, _ = create_thread(creator_id=ada.id, kind="direct", participants=[str(dan.id)], **place)
    for sender, content in ((dan, "Look: https://example.com/" + "very-long" * 20), (ada, "Thank you!")):
        send_message(thread_id=thread.id, sender_id=sender.id, content=content, **place)
    return thread


def settled(page: Page) -> None:
    page.wait_for_load_state("load")
    expect(page.locator(".skeleton")).to_have_count(0)
    expect(page.get_by_text("Loading…").filter(visible=True)).to_have_count(0)


def violations(page: Page, within: str = "html") -> list[str]:
    # Evaluated by the debugger, which the page's policy does not bind; a script element would be refused.
    page.evaluate(AXE)
    options = {"runOnly": {"type": "tag", "values": STANDARDS}, "resultTypes": ["violations"]}
    found = page.evaluate("([within, options]) => axe.run(within, options)", [within, options])
    return [
        f"{page.url} {rule['id']}: {rule['help']}: {node['target']} {node['failureSummary']}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


def widths(page: Page) -> list[int]:
    return list(page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(
    open_page: OpenPage, people: tuple[User, User], lived_in: Thread, scheme: str
) -> None:
    viewport = PHONE if scheme == "dark" else {"width": 1280, "height": 800}
    found: list[str] = []
    options = {"color_scheme": scheme, "viewport": viewport, "reduced_motion": "reduce"}
    page = open_page(None, SIGNED_OUT[0], **options)
    for path in SIGNED_OUT:
        page.goto(path)
        found += violations(page)
    page = open_page(people[0], "/inbox/", **options)
    for path in SIGNED_IN:
        page.goto(path.format(thread=lived_in.id))
        settled(page)
        found += violations(page)
    page.goto("/preferences/")
    page.get_by_role("button", name="Show 1 kind of Work").click()
    expect(page.get_by_role("switch", name="New offer, E-mail")).to_be_visible()
    found += violations(page)
    page.get_by_role("button", name="Notifications").click()
    found += violations(page, "castcomm-inbox")
    page.goto("/chat/")
    page.get_by_role("button", name="New conversation").first.click()
    expect(page.get_by_role("button", name="Dan Director")).to_be_visible()
    found += violations(page)
    assert found == []


@pytest.mark.parametrize("width", [390, 320])
def test_nothing_scrolls_sideways_on_a_phone(
    open_page: OpenPage, people: tuple[User, User], lived_in: Thread, width: int
) -> None:
    viewport = {"width": width, "height": 700}
    page = open_page(people[0], "/inbox/", viewport=viewport, has_touch=True)
    for path in SIGNED_IN:
        page.goto(path.format(thread=lived_in.id))
        settled(page)
        scroll, window = widths(page)
        assert scroll <= window, f"{path} is {scroll} wide in a window of {window}"


def test_the_whole_way_by_keyboard(
    open_page: OpenPage, people: tuple[User, User], lived_in: Thread, site: Site
) -> None:
    page = open_page(people[0], "/inbox/")
    settled(page)
    press = page.keyboard.press

    def tab_to(name: str, role: str = "button") -> None:
        target = page.get_by_role(role, name=name).first  # type: ignore[arg-type]
        for _ in range(40):
            if target.evaluate("(one) => one.getRootNode().activeElement === one"):
                return
            press("Tab")
        raise AssertionError(f"{name} cannot be reached with Tab")

    press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    press("Enter")
    tab_to("Archive: Short")
    press("Enter")
    expect(page.get_by_role("button", name="Archive: Short")).to_have_count(0)
    # The focus goes on at the next row, not back to the start of the page.
    expect(page.get_by_role("button", name="Archive: A long title")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    press("Enter")
    expect(page.get_by_role("button", name="Mark unread: A long title")).to_be_focused()

    page.goto("/chat/")
    settled(page)
    tab_to("Dan Director", "link")
    press("Enter")
    expect(page.get_by_label("Message", exact=True)).to_be_focused()
    page.keyboard.type("Typed without a mouse")
    press("Enter")
    expect(page.locator(".bubble", has_text="Typed without a mouse")).to_be_visible()
    tab_to("New conversation")
    press("Enter")
    expect(page.get_by_label("Who with?")).to_be_focused()
    press("Escape")
    expect(page.get_by_role("button", name="New conversation").first).to_be_focused()

    page.goto("/preferences/")
    settled(page)
    tab_to("Work, E-mail", "checkbox")
    press("Space")
    expect(page.get_by_role("checkbox", name="Work, E-mail")).not_to_be_checked()
    expect(page.get_by_text("Saved", exact=True)).to_be_visible()


def test_dark_is_dark_and_can_be_chosen(
    open_page: OpenPage, people: tuple[User, User], lived_in: Thread
) -> None:
    def brightness(page: Page) -> float:
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(float(part) for part in colour.strip("rgb()").split(",")) / 3

    page = open_page(people[0], "/inbox/", color_scheme="dark")
    settled(page)
    assert brightness(page) < 40
    page.get_by_label("Account menu").click()
    page.get_by_text("Light", exact=True).click()
    assert brightness(page) > 200
    page.reload()
    assert brightness(page) > 200


def test_pages_carry_the_strict_policy(open_page: OpenPage, people: tuple[User, User]) -> None:
    page = open_page(people[0], "/inbox/")
    answer = page.request.get("/inbox/")
    directives = answer.headers["content-security-policy"]
    assert "script-src 'self'" in directives
    assert "style-src 'self'" in directives
    assert "unsafe" not in directives
    assert "no-store" in answer.headers["cache-control"]
