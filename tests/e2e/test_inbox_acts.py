"""Snoozing, the buttons of a notification, tabs, and taking back what was done."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

from playwright.sync_api import Route, expect

from accounts.models import Organization, User
from castcomm.common.clock import now
from notifications.models import Notification
from notifications.services import inbox
from tests.e2e.conftest import PHONE, OpenPage, wait_until
from tests.e2e.test_accessibility import violations, widths
from tests.e2e.test_inbox import notify, row

BUTTONS = [
    {"key": "accept", "label": "Accept", "url": "", "style": "primary"},
    {"key": "view", "label": "View it", "url": "/preferences/", "style": "secondary"},
]


def with_buttons(organization: Organization, user: User, title: str) -> Notification:
    made = notify(organization, user, title)
    Notification.objects.filter(id=made.id).update(actions=BUTTONS, tags=["billing"])
    return made


def test_snoozed_by_keyboard_and_brought_back(
    open_page: OpenPage, people: tuple[User, User], organization: Organization
) -> None:
    ada, _ = people
    made = notify(organization, ada, "Not now")
    page, other = open_page(ada, "/inbox/"), open_page(ada, "/inbox/")
    expect(row(other, "Not now")).to_be_visible()
    page.get_by_role("button", name="Snooze: Not now").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Later today")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Snooze: Not now")).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Tomorrow, 9:00").press("Enter")
    expect(row(page, "Not now")).to_have_count(0)
    expect(row(other, "Not now")).to_have_count(0)
    page.get_by_role("button", name="Undo").press("Enter")
    expect(row(other, "Not now")).to_be_visible()
    expect(row(page, "Not now")).to_be_visible()

    page.get_by_role("button", name="Snooze: Not now").click()
    page.get_by_label("Until").fill(f"{now() + dt.timedelta(days=3):%Y-%m-%dT%H:%M}")
    page.get_by_role("button", name="Snooze", exact=True).click()
    expect(row(page, "Not now")).to_have_count(0)
    page.get_by_role("button", name="Snoozed").click()
    expect(row(page, "Not now")).to_contain_text("Until")
    snoozed = Notification.objects.get(id=made.id).snoozed_until
    assert snoozed is not None
    assert dt.timedelta(days=2, hours=23) < snoozed - now() < dt.timedelta(days=3, minutes=1)
    page.get_by_role("button", name="Bring back now: Not now").click()
    expect(page.get_by_text("Nothing snoozed")).to_be_visible()
    expect(row(other, "Not now")).to_be_visible()


def test_a_refused_snooze_is_put_back_and_said(
    open_page: OpenPage, people: tuple[User, User], organization: Organization
) -> None:
    ada, _ = people
    notify(organization, ada, "Stays here")
    page = open_page(ada, "/inbox/")
    page.route("**/snooze", lambda route: route.abort())
    page.get_by_role("button", name="Snooze: Stays here").click()
    page.get_by_role("button", name="Later today").click()
    expect(page.get_by_role("alert")).to_contain_text("That did not work")
    expect(row(page, "Stays here")).to_be_visible()
    expect(page.get_by_role("button", name="Unread (1)")).to_be_visible()


def test_a_button_is_done_everywhere_and_can_be_undone(
    open_page: OpenPage, people: tuple[User, User], organization: Organization
) -> None:
    ada, _ = people
    made = with_buttons(organization, ada, "An offer")
    page, other = open_page(ada, "/inbox/"), open_page(ada, "/inbox/")
    page.get_by_role("button", name="Accept", exact=True).click()
    expect(other.get_by_role("button", name="Accept (done)")).to_be_visible()
    expect(page.get_by_role("button", name="Mark unread: An offer")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(other.get_by_role("button", name="Accept", exact=True)).to_be_visible()
    page.route("**/actions/accept/done", lambda route: route.abort())
    page.get_by_role("button", name="Accept", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("That did not work")
    expect(page.get_by_role("button", name="Accept", exact=True)).to_be_visible()
    page.get_by_role("link", name="View it").click()
    expect(page).to_have_url("/preferences/")
    page.goto("/inbox/")
    expect(page.get_by_role("link", name="View it (done)")).to_be_visible()
    assert set(Notification.objects.get(id=made.id).actions_done or {}) == {"view"}


def test_what_changes_while_the_list_is_on_its_way_is_shown(
    open_page: OpenPage, people: tuple[User, User], organization: Organization
) -> None:
    ada, _ = people
    made = notify(organization, ada, "In between")
    # Otherwise the page marks it as seen itself, and that change would tell it of the one before.
    inbox.mark_one(organization=organization, user=ada, notification_id=made.id, act="seen")
    page = open_page(ada, "/static/castcomm/mark.svg")  # has no inbox of its own
    held: list[tuple[Route, Any]] = []
    frames: list[str] = []

    def note(frame: str | bytes) -> None:
        frames.append(str(frame))

    def hold(route: Route) -> None:
        if "since_seq" in route.request.url:
            route.continue_()
        else:
            held.append((route, route.fetch()))

    page.route(re.compile(r"/api/v1/notifications\?"), hold)
    page.on("websocket", lambda socket: socket.on("framereceived", note))
    page.goto("/inbox/")
    # The list has been read and the page listens; then somebody reads the row elsewhere.
    wait_until(page, lambda: bool(held) and any("auth:success" in one for one in frames))
    inbox.mark_one(organization=organization, user=ada, notification_id=made.id, act="read")
    wait_until(page, lambda: any('"event":"notification"' in one for one in frames))
    for route, response in held:
        route.fulfill(response=response)
    expect(page.get_by_role("button", name="Mark unread: In between")).to_be_visible()


def test_a_tab_shows_its_tag_alone(
    open_page: OpenPage, people: tuple[User, User], organization: Organization
) -> None:
    ada, _ = people
    with_buttons(organization, ada, "An invoice")
    notify(organization, ada, "Something else")
    page = open_page(ada, "/chat/")
    page.evaluate(
        """() => {
          const inbox = document.createElement("castcomm-inbox");
          inbox.setAttribute("tabs", JSON.stringify([{ label: "Billing", tag: "billing" }]));
          document.querySelector("main").replaceChildren(inbox);
        }"""
    )
    expect(row(page, "Something else")).to_be_visible()
    page.get_by_role("button", name="Billing").click()
    expect(row(page, "Something else")).to_have_count(0)
    expect(row(page, "An invoice")).to_be_visible()


def test_with_everything_open_axe_finds_nothing_on_a_phone(
    open_page: OpenPage, people: tuple[User, User], organization: Organization
) -> None:
    ada, _ = people
    with_buttons(organization, ada, "An offer with a rather long title that goes on")
    for scheme in ("light", "dark"):
        page = open_page(ada, "/inbox/", viewport=PHONE, color_scheme=scheme, reduced_motion="reduce")
        page.get_by_role("button", name="Snooze: An offer").click()
        expect(page.get_by_role("button", name="Later today")).to_be_visible()
        assert violations(page) == []
        scroll, window = widths(page)
        assert scroll <= window


def test_the_bell_tells_unread_from_unseen(
    open_page: OpenPage, people: tuple[User, User], organization: Organization
) -> None:
    ada, _ = people
    notify(organization, ada, "Look at me")
    page = open_page(ada, "/preferences/")
    badge = page.locator("castcomm-inbox .badge")
    expect(badge).to_have_text("1")
    expect(page.locator("castcomm-inbox .badge.seen")).to_have_count(0)
    with page.expect_response("**/mark-seen"):
        page.get_by_role("button", name="Notifications, 1 unread").click()
    expect(page.locator("castcomm-inbox .badge.seen")).to_have_text("1")
