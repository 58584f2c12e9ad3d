"""What staff see of digests, and what they can do."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from accounts.models import Organization, User
from castcomm.common.clock import now
from notifications.models import Category, Delivery, DigestSetting, DigestWindow
from notifications.services.catalog import catalog_of
from tests.notifications.admin_pages import list_page, page_of, press, run, text_of

pytestmark = pytest.mark.django_db

Put = Callable[..., list[Delivery]]


def test_windows_are_read_and_sent_before_their_time(
    desk: Client,
    member: User,
    staff: User,
    put_in: Put,
    make_user: Callable[..., User],
    organization: Organization,
) -> None:
    put_in([member, staff, make_user(organization=organization)], 3)
    own, second, third = DigestWindow.objects.order_by("id")
    assert text_of(desk, list_page("digestwindow")).count("daily@09:00") >= 3
    assert member.email in text_of(desk, f"{list_page('digestwindow')}?q={own.user.email}")
    page = text_of(desk, page_of(own))
    assert page.index("News 0") < page.index("News 2")
    assert "Send now" in page

    press(desk, own, "flush_one")
    own.refresh_from_db()
    assert own.status == "sent"
    page = text_of(desk, page_of(own))
    assert "It went out in a digest." in page
    assert "Whether and when it went out" in page
    assert "Send now" not in page
    assert "2 closed." in run(desk, "flush_selected", own, second, third)
    assert "None of them is open." in run(desk, "flush_selected", own, second)


def test_defaults_are_made_changed_and_deleted_once_each(
    desk: Client, organization: Organization, member: User
) -> None:
    DigestSetting.objects.create(organization=organization, user=member, frequency="hourly")
    category = Category.objects.create(organization=organization, key="work", name="Work")
    add = list_page("digestsetting") + "add/"
    given = {
        "organization": str(organization.id),
        "category": str(category.id),
        "frequency": "weekly",
        "at": "07:30",
        "weekday": "4",
    }
    assert desk.post(add, given).status_code == 302
    row = DigestSetting.objects.get(user=None)
    assert (row.category, row.frequency, f"{row.at:%H:%M}", row.weekday) == (category, "weekly", "07:30", 4)
    assert [one.frequency for one in catalog_of(organization.id).digests] == ["weekly"]
    assert "There is a default for this already" in desk.post(add, given).content.decode()
    listed = text_of(desk, list_page("digestsetting"))
    assert "Friday, 07:30" in listed
    assert "hourly" not in listed
    changed = desk.post(page_of(row), {"frequency": "daily", "at": "08:00", "weekday": "0"})
    assert changed.status_code == 302
    assert desk.post(page_of(row, "delete"), {"post": "yes"}).status_code == 302
    assert catalog_of(organization.id).digests == ()
    assert DigestSetting.objects.get().user == member


def test_staff_of_another_organization_see_nothing(
    desk: Client, other_organization: Organization, make_user: Callable[..., User]
) -> None:
    stranger = make_user("stranger@example.com", organization=other_organization)
    window = DigestWindow.objects.create(
        organization=other_organization, user=stranger, cadence="hourly", zone="UTC", closes_at=now()
    )
    assert stranger.email not in text_of(desk, list_page("digestwindow"))
    assert desk.get(page_of(window)).status_code == 302
    press(desk, window, "flush_one")
    window.refresh_from_db()
    assert window.status == "open"
