"""A click through the real server: the answer first, the record after it."""

from __future__ import annotations

import datetime as dt
import hashlib
import time

from playwright.sync_api import expect

from accounts.models import Organization, User
from castcomm.common.clock import now
from notifications.models import Category, Delivery, EventType, ProviderEvent, TrackedLink
from notifications.services.sending import send_notification
from notifications.services.tracking_tokens import click_tokens, open_token
from tests.e2e.conftest import OpenPage
from tests.e2e.site import Site

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def recorded(count: int) -> list[tuple[str, bool]]:
    """The events, as soon as there are as many; the server writes them after its answer."""
    deadline = time.monotonic() + 10
    while ProviderEvent.objects.count() < count and time.monotonic() < deadline:
        time.sleep(0.05)
    return list(ProviderEvent.objects.order_by("kind").values_list("kind", "is_automatic"))


def test_a_person_lands_where_the_link_leads_and_is_counted(
    open_page: OpenPage, site: Site, people: tuple[User, User], organization: Organization
) -> None:
    category = Category.objects.create(organization=organization, key="work", name="Work")
    EventType.objects.create(organization=organization, key="work.offer", name="New offer", category=category)
    content = {"subject": "An offer", "text": "Look"}
    send_notification(organization=organization, recipients=[people[0]], content=content, channels=["email"])
    delivery = Delivery.objects.get(channel="email")
    Delivery.objects.update(status="sent", sent_at=now() - dt.timedelta(hours=1))
    url = f"{site.url}/accounts/login/?from=mail"
    digest = hashlib.sha256(url.encode()).hexdigest()
    link = TrackedLink.objects.create(organization=organization, url=url, digest=digest)
    (token,) = click_tokens(delivery.id, [link.id])

    page = open_page(None, f"/t/c/{token}", user_agent=FIREFOX)
    expect(page).to_have_url(url)
    assert recorded(1) == [("clicked", False)]
    answer = page.request.get(f"/t/o/{open_token(delivery.id)}.gif")
    assert answer.body().startswith(b"GIF89a")
    assert recorded(2) == [("clicked", False), ("opened", False)]
    delivery.refresh_from_db()
    assert delivery.status == "clicked"
