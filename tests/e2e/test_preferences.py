"""What a person sets takes effect."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from accounts.models import Organization, User
from notifications.models import Category, EventType, QuietHours
from notifications.services.effective_preferences import effective_preferences
from tests.e2e.conftest import OpenPage


@pytest.fixture
def catalog(organization: Organization) -> None:
    account = Category.objects.create(organization=organization, key="account", name="Account")
    work = Category.objects.create(organization=organization, key="work", name="Work", position=1)
    for key, name, category, fields in (
        ("account.alert", "Security alert", account, {"is_critical": True}),
        ("account.tips", "Tips", account, {}),
        ("work.offer", "New offer", work, {}),
    ):
        EventType.objects.create(organization=organization, key=key, name=name, category=category, **fields)


def effective(organization: Organization, user: User) -> dict[tuple[str, str], bool]:
    cells = effective_preferences(organization=organization, user=user)
    return {(cell["event_type"], cell["channel"]): cell["effective"] for cell in cells}


def test_switches_are_saved_and_effective(
    open_page: OpenPage, people: tuple[User, User], organization: Organization, catalog: None
) -> None:
    ada, _ = people
    page = open_page(ada, "/preferences/")
    account = page.get_by_role("checkbox", name="Account, E-mail")
    expect(account).to_be_checked()
    account.click()
    expect(page.get_by_text("Saved", exact=True)).to_be_visible()
    expect(account).not_to_be_checked()
    now = effective(organization, ada)
    assert not now["account.tips", "email"]
    assert now["account.alert", "email"]
    assert now["work.offer", "email"]

    page.reload()
    expect(account).not_to_be_checked()
    page.get_by_role("button", name="Show 2 kinds of Account").click()
    alert = page.get_by_role("switch", name="Security alert, E-mail")
    expect(alert).to_be_checked()
    expect(alert).to_have_attribute("aria-disabled", "true")
    tips = page.get_by_role("switch", name="Tips, E-mail")
    expect(tips).to_have_accessible_description("You turned this off.")
    tips.click()
    expect(tips).to_be_checked()
    expect(tips).to_have_accessible_description("You turned this on.")
    assert effective(organization, ada)["account.tips", "email"]
    page.get_by_role("button", name="Reset Tips").click()
    expect(tips).not_to_be_checked()
    page.get_by_role("button", name="Reset Account").click()
    expect(tips).to_be_checked()
    expect(tips).to_have_accessible_description("This is how it is set up for everybody.")


def test_quiet_hours_are_saved_and_errors_stand_at_their_field(
    open_page: OpenPage, people: tuple[User, User], organization: Organization, catalog: None
) -> None:
    ada, _ = people
    page = open_page(ada, "/preferences/")
    page.get_by_label("Keep quiet hours").check()
    page.get_by_label("From").fill("21:30")
    page.get_by_label("To", exact=True).fill("21:30")
    page.get_by_role("button", name="Save quiet hours").click()
    end = page.get_by_label("To", exact=True)
    expect(end).to_have_attribute("aria-invalid", "true")
    expect(end).to_be_focused()
    expect(end).to_have_accessible_description("The end must differ from the start.")
    end.fill("07:15")
    page.get_by_text("Sun", exact=True).click()
    page.get_by_label("Time zone").select_option("Europe/Berlin")
    page.get_by_role("button", name="Save quiet hours").click()
    expect(page.get_by_text("Quiet hours saved")).to_be_visible()
    saved = QuietHours.objects.get(user=ada)
    assert (saved.enabled, f"{saved.start:%H:%M}", f"{saved.end:%H:%M}") == (True, "21:30", "07:15")
    assert (saved.days, saved.time_zone) == ([0, 1, 2, 3, 4, 5], "Europe/Berlin")
    page.reload()
    expect(page.get_by_label("Keep quiet hours")).to_be_checked()
    expect(page.get_by_label("From")).to_have_value("21:30")
    expect(page.get_by_label("Time zone")).to_have_value("Europe/Berlin")


def test_a_switch_that_cannot_be_saved_goes_back(
    open_page: OpenPage, people: tuple[User, User], catalog: None
) -> None:
    ada, _ = people
    page = open_page(ada, "/preferences/")
    work = page.get_by_role("checkbox", name="Work, In-app")
    expect(work).to_be_checked()
    page.route("**/api/v1/preferences", lambda route: route.abort())
    work.click()
    expect(page.get_by_text("Not saved: The server cannot be reached.")).to_be_visible()
    expect(work).to_be_checked()
