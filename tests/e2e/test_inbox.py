"""The inbox on an open page: what arrives, what is done to it, what was missed."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from accounts.models import Organization, User
from notifications.models import Notification
from notifications.services.sending import send_notification
from tests.e2e.conftest import OpenPage
from tests.e2e.site import Site


def notify(organization: Organization, user: User, title: str, **content: str) -> Notification:
    result = send_notification(
        organization=organization,
        recipients=[user],
        channels=["in_app"],
        content={"title": title, "body": "The body of it.", **content},
    )
    return Notification.objects.get(id=result.notifications[0].id)


def row(page: Page, title: str):
    return page.get_by_role("listitem").filter(has_text=title)


def test_a_notification_appears_without_a_reload(
    open_page: OpenPage, people: tuple[User, User], organization: Organization
) -> None:
    ada, _ = people
    inbox, chat = open_page(ada, "/inbox/"), open_page(ada, "/chat/")
    expect(inbox.get_by_text("Nothing here yet")).to_be_visible()
    expect(chat.get_by_role("button", name="Notifications", exact=True)).to_be_visible()

    notify(organization, ada, "You have the part")
    expect(row(inbox, "You have the part")).to_be_visible()
    expect(inbox).to_have_title("(1) Inbox · CastComm")
    bell = chat.get_by_role("button", name="Notifications, 1 unread")
    bell.click()
    expect(chat.get_by_role("dialog").get_by_text("You have the part")).to_be_visible()
    chat.keyboard.press("Escape")
    expect(bell).to_be_focused()


def test_read_and_archive_hold_on_every_open_page_and_after_a_reload(
    open_page: OpenPage, people: tuple[User, User], organization: Organization
) -> None:
    ada, _ = people
    for title in ("First", "Second", "Third"):
        notify(organization, ada, title)
    page, other = open_page(ada, "/inbox/"), open_page(ada, "/inbox/")
    expect(page.get_by_role("button", name="Unread (3)")).to_be_visible()
    page.get_by_role("button", name="Mark read: First").click()
    expect(other.get_by_role("button", name="Mark unread: First")).to_be_visible()
    page.get_by_role("button", name="Archive: Second").click()
    expect(row(other, "Second")).to_have_count(0)
    expect(page.get_by_role("button", name="Unread (1)")).to_be_visible()
    page.get_by_role("button", name="Archive: Third").click()
    page.get_by_role("button", name="Undo").click()
    expect(row(page, "Third")).to_be_visible()
    expect(row(other, "Third")).to_be_visible()

    page.reload()
    expect(page.get_by_role("button", name="Mark unread: First")).to_be_visible()
    expect(row(page, "Second")).to_have_count(0)
    page.get_by_role("button", name="Mark all read").click()
    expect(page.get_by_role("button", name="Unread", exact=True)).to_be_visible()
    page.get_by_role("button", name="Archived").click()
    expect(row(page, "Second")).to_be_visible()
    assert not Notification.objects.filter(user=ada, read_at=None, archived_at=None).exists()


def test_what_was_missed_while_the_server_was_away_comes_by_itself(
    open_page: OpenPage, people: tuple[User, User], organization: Organization, site: Site
) -> None:
    ada, _ = people
    page = open_page(ada, "/inbox/")
    expect(page.get_by_text("Nothing here yet")).to_be_visible()
    site.stop()
    try:
        notify(organization, ada, "While you were away")
    finally:
        site.start()
    expect(row(page, "While you were away")).to_be_visible(timeout=20_000)


def test_a_refused_change_is_taken_back_and_said(
    open_page: OpenPage, people: tuple[User, User], organization: Organization
) -> None:
    ada, _ = people
    notify(organization, ada, "Stays here")
    page = open_page(ada, "/inbox/")
    expect(row(page, "Stays here")).to_be_visible()
    page.route("**/archive", lambda route: route.abort())
    page.get_by_role("button", name="Archive: Stays here").click()
    expect(page.get_by_role("alert")).to_contain_text("That did not work: The server cannot be reached.")
    expect(row(page, "Stays here")).to_be_visible()


def test_older_pages_come_when_asked_for(
    open_page: OpenPage, people: tuple[User, User], organization: Organization
) -> None:
    ada, _ = people
    for number in range(25):
        notify(organization, ada, f"Number {number:02}")
    page = open_page(ada, "/inbox/")
    expect(page.get_by_role("listitem")).to_have_count(20)
    page.get_by_role("button", name="Show older").click()
    expect(page.get_by_role("listitem")).to_have_count(25)
    expect(page.get_by_role("button", name="Show older")).to_have_count(0)


def test_text_is_text_and_only_web_addresses_are_links(
    open_page: OpenPage, people: tuple[User, User], organization: Organization
) -> None:
    ada, _ = people
    notify(organization, ada, "<img src=x onerror=alert(1)>", body="<script>alert(2)</script>")
    # Written past the services, which refuse it: the page must not depend on them.
    bad = notify(organization, ada, "Bad link")
    Notification.objects.filter(id=bad.id).update(action_url="javascript:alert(3)")
    notify(organization, ada, "Good link", action_url="/preferences/")
    page = open_page(ada, "/inbox/")
    expect(page.get_by_role("heading", name="<img src=x onerror=alert(1)>")).to_be_visible()
    expect(page.get_by_text("<script>alert(2)</script>")).to_be_visible()
    expect(row(page, "Bad link").get_by_role("link")).to_have_count(0)
    row(page, "Good link").get_by_role("link").click()
    expect(page).to_have_url("/preferences/")
    page.goto("/inbox/")
    expect(page.get_by_role("button", name="Mark unread: Good link")).to_be_visible()
