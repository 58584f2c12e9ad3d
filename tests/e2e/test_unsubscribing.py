"""Leaving and coming back by the link in a mail, in a browser: signed out, on a phone, and without JavaScript."""

from __future__ import annotations

import pytest
from django.conf import settings
from playwright.sync_api import Page, expect

from accounts.models import Organization, User
from castcomm.common.ids import new_id
from notifications.models import Category, EventType, Preference, Suppression
from notifications.services.effective_preferences import effective_preferences
from notifications.services.mail_links import links_for
from tests.e2e.conftest import PHONE, OpenPage
from tests.e2e.test_accessibility import violations, widths


@pytest.fixture
def work(organization: Organization) -> Category:
    category: Category = Category.objects.create(organization=organization, key="work", name="Work & offers")
    EventType.objects.create(organization=organization, key="work.offer", name="New offer", category=category)
    return category


def address_of(organization: Organization, category: Category, user: User | None) -> str:
    links = links_for(
        organization_id=organization.id,
        user_id=user.id if user else None,
        email="ann@example.com",
        delivery_id=new_id(),
        category_id=category.id,
        is_critical=False,
    )
    return links.unsubscribe_url.removeprefix(settings.PUBLIC_URL)


def gets_mail(organization: Organization, user: User) -> bool:
    cells = effective_preferences(organization=organization, user=user)
    return next(cell["effective"] for cell in cells if cell["channel"] == "email")


def heading(page: Page, text: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text(text)


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_leaving_and_coming_back(
    open_page: OpenPage, people: tuple[User, User], organization: Organization, work: Category, scripts: bool
) -> None:
    ada, _ = people
    page = open_page(None, address_of(organization, work, ada), java_script_enabled=scripts)
    heading(page, "Unsubscribe")
    assert gets_mail(organization, ada)
    page.get_by_role("button", name="Unsubscribe from Work & offers").click()
    heading(page, "You are unsubscribed")
    expect(page.get_by_role("status")).to_have_text("You get no more e-mail about Work & offers from First.")
    assert not gets_mail(organization, ada)
    page.get_by_role("button", name="That was a mistake").click()
    heading(page, "That is undone")
    assert gets_mail(organization, ada)
    assert not Preference.objects.exists()
    page.get_by_role("button", name="Stop all mail of First").click()
    expect(page.get_by_role("status")).to_have_text("You get no more e-mail from First.")
    # Who comes back later sees how it is.
    page.goto(page.url)
    heading(page, "You are unsubscribed")
    expect(page.get_by_role("button", name="Stop all mail of First")).to_have_count(0)


def test_a_bare_address_has_one_thing_to_decide(
    open_page: OpenPage, organization: Organization, work: Category
) -> None:
    page = open_page(None, address_of(organization, work, None))
    expect(page.get_by_role("button")).to_have_count(1)
    page.get_by_role("button", name="Stop all mail of First").click()
    heading(page, "You are unsubscribed")
    assert Suppression.objects.get().address == "ann@example.com"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_read_and_use_it(
    open_page: OpenPage, people: tuple[User, User], organization: Organization, work: Category, scheme: str
) -> None:
    address = address_of(organization, work, people[0])
    viewport = PHONE if scheme == "dark" else {"width": 1280, "height": 800}
    page = open_page(None, address, color_scheme=scheme, viewport=viewport, reduced_motion="reduce")
    found = violations(page)
    page.get_by_role("button", name="Unsubscribe from Work & offers").click()
    heading(page, "You are unsubscribed")
    found += violations(page)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    for path in ("/u/example", "/u/nonsense"):
        page.goto(path)
        found += violations(page)
    assert found == []


@pytest.mark.parametrize("width", [390, 320])
def test_nothing_scrolls_sideways(
    open_page: OpenPage, people: tuple[User, User], organization: Organization, work: Category, width: int
) -> None:
    work.name = "A category with a very long name without end " * 3
    work.save()
    page = open_page(
        None, address_of(organization, work, people[0]), viewport={"width": width, "height": 700}
    )
    scroll, window = widths(page)
    assert scroll <= window
    name = page.get_by_role("button").first
    box = name.bounding_box()
    text = name.evaluate(
        "(one) => one.scrollWidth <= one.clientWidth && one.scrollHeight <= one.clientHeight"
    )
    assert box is not None
    assert text
