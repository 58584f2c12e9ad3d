"""Fills a database with digests that are due, closes and sends them, and prints the rates."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "castcomm.settings")

import django

django.setup()

from django.db import connection  # noqa: E402
from servers import table  # noqa: E402

from accounts.models import Membership, Organization, User  # noqa: E402
from accounts.services.organizations import create_organization  # noqa: E402
from castcomm.common.crypto import blind_index  # noqa: E402
from notifications.models import Category, Delivery, EventType, NotificationRequest  # noqa: E402
from notifications.services import dispatch  # noqa: E402
from notifications.services.digests import closing  # noqa: E402
from notifications.services.ready_made import install_ready_made  # noqa: E402
from notifications.services.sending import send_notification  # noqa: E402
from notifications.vocabulary import Priority  # noqa: E402

LEAST = 0.7  # of the first size's rate
WARM_UP = 200

# As sends write them: a delivery each, its place in the person's window. Ids grow with time, like the real ones.
_ROWS = """
WITH people AS (SELECT user_id, n FROM unnest(%(people)s::uuid[]) WITH ORDINALITY AS p(user_id, n)),
made AS (
  SELECT p.user_id, i AS position, gen_random_uuid() AS notification_id,
         (lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') || '7'
          || substr(md5(random()::text), 1, 3) || '8' || substr(md5(random()::text), 1, 15))::uuid AS delivery_id
    FROM generate_series(1, %(each)s) AS i CROSS JOIN people p
),
notifications AS (
  INSERT INTO notifications_notification
    (id, created_at, organization_id, request_id, event_type_id, user_id, address, priority, title, body, action_url)
  SELECT notification_id, now(), %(organization)s, %(request)s, %(event_type)s, user_id, '', 2,
         'Order ' || position || ' was shipped', 'It should arrive within three days.', '/orders/' || position
    FROM made
),
deliveries AS (
  INSERT INTO notifications_delivery
    (id, created_at, organization_id, notification_id, channel, priority, status, reason, decision, address,
     address_index, due_at, attempt_count, attempts_forgiven, provider, provider_message_id, error)
  SELECT delivery_id, now(), %(organization)s, notification_id, 'email', 2, 'in_digest', 'digest', '{}', '', '',
         now(), 0, 0, '', '', '' FROM made
),
windows AS (
  INSERT INTO notifications_digestwindow
    (id, created_at, organization_id, user_id, cadence, status, zone, closes_at, item_count)
  SELECT gen_random_uuid(), now(), %(organization)s, user_id, 'daily@09:00', 'open', 'UTC',
         now() - interval '1 minute', %(each)s FROM people
  RETURNING id, user_id
)
INSERT INTO notifications_digestitem (delivery_id, window_id, position)
SELECT made.delivery_id, windows.id, made.position FROM made JOIN windows USING (user_id)
"""


def main() -> int:
    each, mails, *sizes = (int(one) for one in sys.argv[1:])
    organization, event_type, people = prepare(max(sizes))
    fill(organization, event_type, people[:WARM_UP], each)
    closing.close_due()
    dispatch_all()
    lines, rates = [], []
    for size in sizes:
        fill(organization, event_type, people[:size], each)
        seconds = timed(closing.close_due)
        rates.append(size / seconds)
        lines.append([f"close {size:,} digests", f"{size / seconds:,.0f}", f"{size * each / seconds:,.0f}"])
        Delivery.objects.filter(status="pending").update(status="cancelled")
    fill(organization, event_type, people[:mails], each)
    both = timed(closing.close_due) + timed(dispatch_all)
    lines.append([f"close and send {mails:,} digests", f"{mails / both:,.0f}", f"{mails * each / both:,.0f}"])
    single = timed(lambda: send_one_each(organization, people[:mails])) + timed(dispatch_all)
    lines.append(
        [f"{mails:,} mails, one per notification", f"{mails / single:,.0f}", f"{mails / single:,.0f}"]
    )
    print(table(["what", "mails or windows/s", "notifications/s"], lines))
    print(f"\nRate of the last size to the first: {rates[-1] / rates[0]:.2f} (at least {LEAST})")
    return int(rates[-1] / rates[0] < LEAST)


def prepare(many: int) -> tuple[Organization, EventType, list[User]]:
    organization = create_organization(name="Measured")
    install_ready_made(organization=organization)
    category = Category.objects.get(organization=organization, key="general")
    event_type = EventType.objects.create(
        organization=organization, category=category, key="orders.shipped", name="Order shipped",
        channels=["email"], is_digestible=True,
    )  # fmt: skip
    people = [User(email=f"person-{number}@example.com", first_name="Person") for number in range(many)]
    for person in people:
        person.email_index = blind_index(person.email, kind="email")
    User.objects.bulk_create(people, batch_size=2_000)
    Membership.objects.bulk_create(
        [Membership(organization=organization, user=one) for one in people], batch_size=2_000
    )
    return organization, event_type, people


def fill(organization: Organization, event_type: EventType, people: list[User], each: int) -> None:
    request = NotificationRequest.objects.create(
        organization=organization,
        event_type=event_type,
        source="python",
        priority=2,
        recipient_count=len(people),
    )
    with connection.cursor() as cursor:
        cursor.execute(
            _ROWS,
            {
                "people": [one.id for one in people],
                "each": each,
                "organization": organization.id,
                "request": request.id,
                "event_type": event_type.id,
            },
        )
        cursor.execute("VACUUM (ANALYZE)")


def send_one_each(organization: Organization, people: list[User]) -> None:
    for number, person in enumerate(people):
        send_notification(
            organization=organization, event_type="orders.shipped", recipients=[person.id],
            content={"title": f"Order {number} was shipped", "body": "It should arrive within three days."},
        )  # fmt: skip


def dispatch_all() -> None:
    while dispatch.drain("email", Priority.NORMAL):
        pass


def timed(act: Callable[[], object]) -> float:
    started = time.monotonic()
    act()
    return time.monotonic() - started


if __name__ == "__main__":
    sys.exit(main())
