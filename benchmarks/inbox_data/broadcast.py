"""Writes one broadcast part by part, and the same rows with bulk_create, and prints rates and memory."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "castcomm.settings")

import django

django.setup()

from django.db import connection, transaction  # noqa: E402
from servers import table  # noqa: E402

from accounts.models import Membership, Organization, User  # noqa: E402
from accounts.services.organizations import create_organization  # noqa: E402
from castcomm.common.crypto import blind_index  # noqa: E402
from castcomm.common.ids import new_id  # noqa: E402
from notifications.models import (  # noqa: E402
    Broadcast,
    Category,
    Delivery,
    EventType,
    Inbox,
    Notification,
    NotificationRequest,
)
from notifications.services.audiences import broadcasts  # noqa: E402
from notifications.services.sending import send_notification  # noqa: E402
from notifications.services.templates import publish_template, save_template  # noqa: E402

GOAL = 0.6  # of bulk_create's rate
GROWTH = 1.1  # of the memory after the first tenth
BATCH = 10_000
TEXTS = {
    "in_app_title": "The office is closed on Friday, {{ user.first_name }}",
    "in_app_body": "It opens again on Monday at eight. What is urgent reaches us by phone.",
    "action_url": "/news/friday",
}


def main() -> int:
    people = int(sys.argv[1])
    organization = create_organization(name="Measured")
    fill(organization, people)
    event_type = news(organization)
    other = create_organization(name="Beside it")
    beside = NotificationRequest.objects.create(
        organization=other, event_type=event_type, source="python", priority=2, recipient_count=people
    )
    started = time.perf_counter()
    sent = send_notification(
        organization=organization, recipients=[{"organization": True}], event_type="news"
    )
    accepted = time.perf_counter() - started
    broadcast = Broadcast.objects.get(request_id=sent.request_id)
    own, bare, memory = write(broadcast, other, beside)
    broadcast.refresh_from_db()
    written = Notification.objects.filter(request_id=sent.request_id).count()
    assert (broadcast.written, written) == (people, people), (broadcast.written, written)
    assert Notification.objects.filter(request=beside).count() == people
    early, late = memory[len(memory) // 10], memory[-1]
    share = bare / own
    print(f"{people:,} people, accepted in {accepted * 1000:.0f} ms\n")
    rows = [
        ["broadcast", f"{people / own:,.0f}", f"{own:.1f}"],
        ["bulk_create of the same rows", f"{people / bare:,.0f}", f"{bare:.1f}"],
    ]
    print(table(["", "people per second", "seconds"], rows))
    print(f"\n{share:.0%} of bulk_create's rate (goal: {GOAL:.0%})")
    print(
        f"Memory: {early:.1f} MiB after the first tenth, {late:.1f} MiB at the end, {max(memory):.1f} MiB at most"
    )
    return int(share < GOAL or max(memory[len(memory) // 10 :]) > early * GROWTH)


def fill(organization: Organization, count: int) -> None:
    """Members by the thousand."""
    for start in range(0, count, BATCH):
        users = User.objects.bulk_create(
            User(
                email=f"person-{number}@example.com",
                email_index=blind_index(f"person-{number}@example.com", kind="email"),
                first_name=f"Number {number}",
            )
            for number in range(start, min(start + BATCH, count))
        )
        Membership.objects.bulk_create(Membership(organization=organization, user=one) for one in users)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def news(organization: Organization) -> EventType:
    category = Category.objects.create(organization=organization, key="general", name="General")
    template = save_template(organization=organization, key="news", name="News", contents={"en": TEXTS})
    publish_template(template=template)
    return EventType.objects.create(
        organization=organization, category=category, key="news", name="News", template=template, channels=["in_app"]
    )  # fmt: skip


def write(
    broadcast: Broadcast, other: Organization, beside: NotificationRequest
) -> tuple[float, float, list[float]]:
    """Seconds of the broadcast, seconds of bulk_create, and the memory (MiB) after each part."""
    own = bare = 0.0
    memory = []
    last = new_id()
    while True:
        started = time.perf_counter()
        more = broadcasts.run_next()
        own += time.perf_counter() - started
        if not more:
            return own, bare, memory
        memory.append(resident())
        made = copies(last, other, beside)
        last = new_id()
        if made[0]:
            started = time.perf_counter()
            bulk_create(*made)
            bare += time.perf_counter() - started


def copies(last: Any, other: Organization, beside: NotificationRequest) -> tuple[list[dict[str, Any]], ...]:
    """The rows that were written since ``last`` as values for another organization."""
    notifications, deliveries = [], []
    for row in Notification.objects.filter(id__gt=last).prefetch_related("deliveries").order_by("id"):
        given = {**values(row), "organization_id": other.id, "request_id": beside.id, "id": new_id()}
        notifications.append(given)
        for delivery in row.deliveries.all():
            own = {"organization_id": other.id, "notification_id": given["id"], "id": new_id()}
            deliveries.append({**values(delivery), **own})
    inboxes = [
        {"organization_id": other.id, "user_id": one["user_id"], "last_seq": 1} for one in notifications
    ]
    return notifications, deliveries, inboxes


def values(row: Any) -> dict[str, Any]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


def bulk_create(
    notifications: list[dict[str, Any]], deliveries: list[dict[str, Any]], inboxes: list[dict[str, Any]]
) -> None:
    with transaction.atomic():
        Inbox.objects.bulk_create(Inbox(**one) for one in inboxes)
        Notification.objects.bulk_create(Notification(**one) for one in notifications)
        Delivery.objects.bulk_create(Delivery(**one) for one in deliveries)


def resident() -> float:
    """MiB that this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


if __name__ == "__main__":
    sys.exit(main())
