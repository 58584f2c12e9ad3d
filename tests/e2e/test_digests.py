"""What a person says about digests takes effect, and what is wrong is taken back."""

from __future__ import annotations

import datetime as dt
from typing import Any

from playwright.sync_api import Page, expect

from accounts.models import Organization, User
from castcomm.common.clock import now
from notifications.models import Category, DigestSetting, DigestWindow, EventType
from notifications.services.sending import send_notification
from tests.e2e.conftest import OpenPage
from tests.e2e.test_accessibility import violations


def catalog(organization: Organization) -> None:
    work = Category.objects.create(
        organization=organization, key="work", name="Work", description="Your projects."
    )
    for key, category, is_digestible in (
        ("work.offer", work, True),
        (
            "account.tips",
            Category.objects.create(organization=organization, key="account", name="Account"),
            False,
        ),
    ):
        EventType.objects.create(
            organization=organization,
            key=key,
            name=key,
            category=category,
            channels=["email"],
            is_digestible=is_digestible,
        )


def choices(user: User) -> dict[str | None, tuple[str, str, int]]:
    return {
        row.category.key if row.category else None: (row.frequency, f"{row.at:%H:%M}", row.weekday)
        for row in DigestSetting.objects.filter(user=user).select_related("category")
    }


def test_a_digest_is_chosen_collected_and_sent_now(
    open_page: OpenPage, people: tuple[User, User], organization: Organization
) -> None:
    ada, _ = people
    page = open_page(ada, "/preferences/")
    expect(page.get_by_role("heading", name="Preferences")).to_be_visible()
    catalog(organization)
    page.reload()
    everything = page.get_by_label("Everything: how often")
    expect(everything).to_have_value("")
    assert everything.locator("option").first.inner_text() == "Default: at once"
    expect(page.get_by_label("Account: how often")).to_have_count(0)  # nothing of it may go into a digest

    everything.select_option("daily")
    saved(page)
    work = page.get_by_label("Work: how often")
    assert work.locator("option").first.inner_text() == "Default: every day at 09:00"
    work.select_option("weekly")
    saved(page)
    page.get_by_label("Work: on which day").select_option("Thursday")
    saved(page)
    page.get_by_label("Work: at what time").fill("17:45")
    saved(page)
    expect(page.locator(".row", has_text="Your projects.")).to_contain_text("Next: Thu")
    assert choices(ada) == {None: ("daily", "09:00", 0), "work": ("weekly", "17:45", 3)}
    assert violations(page, "main") == []

    for title in ("First", "Second"):
        send_notification(
            organization=organization,
            event_type="work.offer",
            recipients=[ada],
            content={"title": title, "body": "x"},
        )
    window = DigestWindow.objects.get()
    assert (window.cadence, window.item_count) == ("weekly.3@17:45", 2)
    assert window.closes_at - now() < dt.timedelta(days=7)
    page.reload()
    page.get_by_role("button", name="Send now: 2 messages wait for Thu").click()
    expect(page.get_by_text("The digest is on its way.")).to_be_visible()
    expect(page.get_by_role("button", name="Send now")).to_have_count(0)
    window.refresh_from_db()
    assert window.status == "sent"

    page.route("**/api/v1/digests/settings", refuse)
    work.select_option("instant")
    expect(page.get_by_text("Not saved: The server cannot be reached.")).to_be_visible()
    expect(work).to_have_value("weekly")
    page.unroute("**/api/v1/digests/settings")
    work.select_option("")
    saved(page)
    assert choices(ada) == {None: ("daily", "09:00", 0)}


def saved(page: Page) -> None:
    """Wait for the word, and until it is the next one's turn."""
    said = page.get_by_text("Saved", exact=True)
    expect(said).to_be_visible()
    page.locator("castcomm-digest-settings").evaluate("part => (part.saved = null)")
    expect(said).to_have_count(0)


def refuse(route: Any) -> None:
    route.abort() if route.request.method == "PATCH" else route.continue_()
