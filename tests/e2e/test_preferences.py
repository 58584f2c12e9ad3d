"""What a person sets takes effect."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from accounts.models import Organization, User
from castcomm.common.ids import new_id
from notifications.models import Category, ConsentRecord, EventType, QuietHours
from notifications.services import preference_links
from notifications.services.effective_preferences import effective_preferences
from tests.e2e.conftest import PHONE, OpenPage
from tests.e2e.test_accessibility import violations, widths


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
    page.get_by_role("button", name="Undo", exact=True).click()
    expect(page.get_by_text("Undone", exact=True)).to_be_visible()
    expect(account).not_to_be_checked()
    assert not effective(organization, ada)["account.tips", "email"]


def test_quiet_hours_are_saved_and_errors_stand_at_their_field(
    open_page: OpenPage, people: tuple[User, User], organization: Organization, catalog: None
) -> None:
    ada, _ = people
    page = open_page(ada, "/preferences/")
    page.get_by_label("Keep quiet hours").check()
    page.get_by_label("From", exact=True).fill("21:30")
    page.get_by_label("To", exact=True).fill("21:30")
    page.get_by_role("button", name="Save quiet hours").click()
    end = page.get_by_label("To", exact=True)
    expect(end).to_have_attribute("aria-invalid", "true")
    expect(end).to_be_focused()
    expect(end).to_have_accessible_description("The end must differ from the start.")
    end.fill("07:15")
    page.get_by_text("Sun", exact=True).click()
    page.get_by_label("Time zone").select_option("Europe/Berlin")
    page.get_by_label("SMS", exact=True).select_option("No quiet hours")
    page.get_by_label("Push", exact=True).select_option("Other hours")
    page.get_by_label("Push: From").fill("20:00")
    page.get_by_label("Push: To").fill("20:00")
    page.get_by_role("button", name="Save quiet hours").click()
    own_end = page.get_by_label("Push: To")
    expect(own_end).to_be_focused()
    expect(own_end).to_have_accessible_description("The end must differ from the start.")
    own_end.fill("09:00")
    page.get_by_role("button", name="Save quiet hours").click()
    expect(page.get_by_text("Quiet hours saved")).to_be_visible()
    hours = {row.channel: row for row in QuietHours.objects.filter(user=ada)}
    assert (hours["sms"].enabled, hours["push"].enabled) == (False, True)
    assert f"{hours['push'].start:%H:%M}-{hours['push'].end:%H:%M}" == "20:00-09:00"
    assert hours["push"].days == hours[""].days
    saved = hours[""]
    assert (saved.enabled, f"{saved.start:%H:%M}", f"{saved.end:%H:%M}") == (True, "21:30", "07:15")
    assert (saved.days, saved.time_zone) == ([0, 1, 2, 3, 4, 5], "Europe/Berlin")
    page.reload()
    expect(page.get_by_label("Keep quiet hours")).to_be_checked()
    expect(page.get_by_label("From", exact=True)).to_have_value("21:30")
    expect(page.get_by_label("Time zone")).to_have_value("Europe/Berlin")
    expect(page.get_by_label("SMS", exact=True)).to_have_value("none")
    expect(page.get_by_label("Push: From")).to_have_value("20:00")


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


def test_by_the_link_in_a_mail_on_a_phone_with_the_keyboard(
    open_page: OpenPage, people: tuple[User, User], organization: Organization, catalog: None
) -> None:
    ada, _ = people
    EventType.objects.filter(key="work.offer").update(is_digestible=True)
    Category.objects.filter(key="work").update(requires_consent=True)
    path = f"/p/{preference_links.make(organization.id, ada.id, new_id())}"
    page = open_page(None, path, color_scheme="dark", viewport=PHONE, reduced_motion="reduce")
    told: list[str] = []
    page.on("request", lambda request: told.append(request.headers.get("referer", "")))
    work = page.get_by_role("checkbox", name="Work, E-mail")
    expect(work).not_to_be_checked()
    expect(page.get_by_text("Only if you agree")).to_be_visible()
    expect(page.get_by_role("heading", name="E-mail digests")).to_be_visible()
    assert violations(page) == []
    scroll, window = widths(page)
    assert scroll <= window

    page.get_by_role("checkbox", name="Work, In-app").focus()
    page.keyboard.press("Tab")
    expect(work).to_be_focused()
    page.keyboard.press("Space")
    expect(work).to_be_checked()
    undo = page.get_by_role("button", name="Undo", exact=True)
    expect(undo).to_be_visible()
    assert effective(organization, ada)["work.offer", "email"]
    undo.focus()
    page.keyboard.press("Enter")
    expect(work).not_to_be_checked()
    expect(page.get_by_text("Undone", exact=True)).to_be_visible()
    given = ConsentRecord.objects.filter(user=ada).order_by("id").values_list("granted", "source", "key")
    assert list(given) == [(True, "signed_link", "work"), (None, "signed_link", "work")]
    assert page.context.cookies() == []
    assert not any(path in one for one in told)
    for gone in ("/p/nonsense", "/p/example"):
        page.goto(gone)
        assert violations(page) == []
