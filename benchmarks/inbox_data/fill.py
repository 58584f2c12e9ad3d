"""Notifications by the million, written by the database itself."""

from __future__ import annotations

import dataclasses

from django.db import connection

from accounts.models import Organization, User
from accounts.services.organizations import add_member, create_organization
from notifications.models import Category, EventType, Inbox, NotificationRequest

PER_INBOX = 200  # rows of each other inbox
PER_REQUEST = 10

# Ids are UUIDv7 of the moment at which the row would have been made, a minute apart.
_ROWS = """
WITH people AS (SELECT unnest(%(people)s::uuid[]) AS user_id, generate_series(1, %(many)s) AS who),
requests AS (SELECT unnest(%(requests)s::uuid[]) AS request_id, generate_series(0, %(request_count)s - 1) AS number),
made AS (
  SELECT n, p.user_id, clock_timestamp() - make_interval(mins => n) AS moment
    FROM generate_series(1, %(rows)s) AS n JOIN people p ON p.who = 1 + n %% %(many)s
)
INSERT INTO notifications_notification
  (id, created_at, organization_id, request_id, event_type_id, user_id, address, priority, title, body, action_url,
   inbox_seq, seen_at, read_at)
SELECT (lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0') || '7' || substr(md5(n::text), 1, 3)
        || '8' || substr(md5(user_id::text || n::text), 1, 15))::uuid,
       moment, %(organization)s, r.request_id, %(event_type)s, user_id, '', 2, 'Order ' || n || ' was shipped',
       'It is on its way and should arrive within three days. The parcel can be followed.', '/orders/' || n,
       %(rows)s - n + 1, CASE WHEN n > %(unread)s THEN moment END, CASE WHEN n > %(unread)s THEN moment END
  FROM made JOIN requests r ON r.number = n %% %(request_count)s
"""


@dataclasses.dataclass(frozen=True)
class Filled:
    organization: Organization
    user: User
    other: User  # whose inbox is small


def fill(rows: int, inbox: int, unread: int) -> Filled:
    """``rows`` notifications, ``inbox`` of them one person's, of which the newest ``unread`` are unread."""
    organization = create_organization(name="Measured")
    category = Category.objects.create(organization=organization, key="general", name="General")
    event_type = EventType.objects.create(
        organization=organization, category=category, key="orders.shipped", name="Order shipped"
    )
    person = User.objects.create_user("measured@example.com", None)
    add_member(organization=organization, user=person)
    others = User.objects.bulk_create(
        User(email=f"other-{number}@example.com") for number in range(max(1, (rows - inbox) // PER_INBOX))
    )
    requests = NotificationRequest.objects.bulk_create(
        NotificationRequest(
            organization=organization, event_type=event_type, source="python", priority=2, recipient_count=1,
            data={"order": number},
        )
        for number in range(max(1, min(rows // PER_REQUEST, 10_000)))
    )  # fmt: skip
    common = {
        "organization": organization.id,
        "event_type": event_type.id,
        "requests": [one.id for one in requests],
        "request_count": len(requests),
    }
    share = unread / inbox
    with connection.cursor() as cursor:
        for people, many in (([one.id for one in others], rows - inbox), ([person.id], inbox)):
            cursor.execute(
                _ROWS,
                {**common, "people": people, "many": len(people), "rows": many, "unread": int(many * share)},
            )
        cursor.execute("VACUUM (ANALYZE) notifications_notification")
        cursor.execute("ANALYZE")
    Inbox.objects.bulk_create(
        Inbox(organization=organization, user=one, last_seq=rows) for one in (person, *others)
    )
    add_member(organization=organization, user=others[0])
    return Filled(organization, person, others[0])
