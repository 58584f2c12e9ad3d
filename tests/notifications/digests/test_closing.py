"""What becomes of a window when its time has come."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Membership, Organization, User
from castcomm.common.clock import now
from notifications.models import (
    Delivery,
    DigestItem,
    DigestSetting,
    DigestWindow,
    EventType,
    Notification,
    Preference,
    Suppression,
)
from notifications.services.catalog import touch_catalog
from notifications.services.deliveries import cancel_notification
from notifications.services.digests import closing
from notifications.services.sending import SendResult
from notifications.vocabulary import Channel
from tests.notifications.smtp_server import SmtpServer

from .conftest import DAILY

Put = Callable[..., list[Delivery]]
Due = Callable[..., None]

pytestmark = pytest.mark.django_db


def reasons(rows: list[Delivery]) -> list[tuple[str, str]]:
    found = {row.id: (row.status, row.reason) for row in Delivery.objects.all()}
    return [found[row.id] for row in rows]


def test_what_waits_goes_out_in_one_mail_in_its_order(
    reader: User,
    digestible: EventType,
    organization: Organization,
    send: Callable[..., SendResult],
    make_due: Due,
    mail: SmtpServer,
    drain: Callable[..., int],
    django_capture_on_commit_callbacks: Callable[..., object],
) -> None:
    for n in range(3):
        send(
            reader,
            event_type="news",
            content={"title": f"Number {n}", "body": f"About <{n}>", "action_url": "/n"},
        )
    window = DigestWindow.objects.get()
    assert (window.cadence, window.item_count, window.zone) == ("daily@09:00", 3, "UTC")
    assert set(Delivery.objects.values_list("status", "reason", "settled_at")) == {
        ("in_digest", "digest", None)
    }
    assert drain() == 0
    assert closing.close_due() == 0  # not before its time

    make_due()
    assert closing.close_due() == 1
    window.refresh_from_db()
    assert (window.status, window.sent_count) == ("sent", 3)
    digest = window.notification
    assert digest is not None
    assert digest.event_type.key == "digest"
    assert digest.user_id == reader.id
    assert closing.close_due() == 0  # and only once

    assert drain() == 1
    [arrived] = mail.arrived
    message = arrived.message
    assert message["Subject"] == "3 notifications from First"
    html = message.get_body(("html",)).get_content()
    text = message.get_body(("plain",)).get_content()
    places = [html.index(f"Number {n}") for n in range(3)]
    assert places == sorted(places)
    assert "About &lt;1&gt;" in html
    assert "General (3)" in text
    assert "About <1>" in text
    settled = Delivery.objects.exclude(notification=digest)
    assert set(settled.values_list("status", "reason")) == {("digested", "digested")}


def test_each_item_is_looked_at_again(
    member: User, organization: Organization, put_in: Put, make_due: Due, digestible: EventType
) -> None:
    rows = put_in([member], 7)
    held = [row.notification for row in rows]
    Notification.objects.filter(id=held[0].id).update(read_at=now())
    Notification.objects.filter(id=held[1].id).update(archived_at=now())
    Notification.objects.filter(id=held[2].id).update(expires_at=now() - dt.timedelta(seconds=1))
    cancel_notification(organization=organization, notification_id=held[3].id)
    Notification.objects.filter(id=held[4].id).update(cancelled_at=now())
    make_due()
    assert closing.close_due() == 1
    assert reasons(rows) == [
        ("suppressed", "read_meanwhile"),
        ("suppressed", "read_meanwhile"),
        ("failed", "expired"),
        ("cancelled", "cancelled"),
        ("cancelled", "cancelled"),
        ("digested", "digested"),
        ("digested", "digested"),
    ]
    assert not Delivery.objects.filter(
        settled_at=None, status__in=["digested", "suppressed", "failed"]
    ).exists()
    window = DigestWindow.objects.get()
    assert (window.status, window.sent_count, window.item_count) == ("sent", 2, 7)


def _switch_off(user: User, kind: EventType) -> None:
    Preference.objects.create(
        organization=kind.organization,
        user=user,
        scope="event_type",
        event_type=kind,
        channel="email",
        enabled=False,
    )


def _switch_digests_off(user: User, kind: EventType) -> None:
    Preference.objects.create(
        organization=kind.organization, user=user, scope="global", channel="email", enabled=False
    )


def _leave(user: User, kind: EventType) -> None:
    Membership.objects.filter(user=user).update(is_active=False)


def _bounce(user: User, kind: EventType) -> None:
    Suppression.objects.create(
        organization=kind.organization,
        channel=Channel.EMAIL,
        address=user.email,
        address_index=user.email_index,
        reason="bounce",
    )


def _close_down(user: User, kind: EventType) -> None:
    Organization.objects.filter(id=kind.organization_id).update(is_active=False)


def _ask_consent(user: User, kind: EventType) -> None:
    kind.category.requires_consent = True
    kind.category.save()


def _take_template(user: User, kind: EventType) -> None:
    EventType.objects.filter(key="digest").update(template=None)
    touch_catalog(kind.organization_id)


@pytest.mark.parametrize(
    ("happens", "reason"),
    [
        (_switch_off, "preference"),
        (_switch_digests_off, "preference"),
        (_leave, "recipient_inactive"),
        (_bounce, "suppression"),
        (_close_down, "org_inactive"),
        (_ask_consent, "no_consent"),
        (_take_template, "no_template"),
    ],
    ids=lambda one: one.__name__.strip("_") if callable(one) else one,
)
def test_where_nothing_is_left_nothing_is_sent(
    happens: Callable[[User, EventType], None],
    reason: str,
    member: User,
    organization: Organization,
    digestible: EventType,
    put_in: Put,
    make_due: Due,
) -> None:
    closing.close_now(organization.id, [])  # the event type of digests is there
    rows = put_in([member], 2)
    happens(member, digestible)
    make_due()
    assert closing.close_due() == 1
    assert reasons(rows) == [("suppressed", reason)] * 2
    window = DigestWindow.objects.get()
    assert (window.status, window.sent_count, window.notification) == ("empty", 0, None)
    assert not Notification.objects.filter(event_type__key="digest").exists()


def test_a_later_item_opens_the_next_window(member: User, put_in: Put, make_due: Due) -> None:
    put_in([member], 2)
    make_due()
    assert closing.close_due() == 1
    [late] = put_in([member])
    assert DigestItem.objects.get(delivery=late).window.status == "open"
    assert DigestItem.objects.get(delivery=late).position == 1
    assert closing.close_due() == 0


def test_quiet_hours_hold_the_digest_back(
    member: User, put_in: Put, make_due: Due, organization: Organization
) -> None:
    start, end = now() - dt.timedelta(hours=1), now() + dt.timedelta(hours=2)
    member.quiet_hours.create(
        organization=organization,
        start=start.time(),
        end=end.time(),
        days=[0, 1, 2, 3, 4, 5, 6],
        time_zone="UTC",
    )
    rows = put_in([member], 2)
    make_due()
    closing.close_due()
    assert reasons(rows) == [("digested", "digested")] * 2
    digest = DigestWindow.objects.get().notification
    assert digest is not None
    assert [(one.status, one.reason) for one in digest.deliveries.all()] == [("deferred", "quiet_hours")]


def test_a_batch_takes_the_same_number_of_statements_however_much_is_in_it(
    organization: Organization, make_user: Callable[..., User], put_in: Put, make_due: Due
) -> None:
    people = [make_user(organization=organization) for _ in range(12)]
    counts = []
    for many, each in ((1, 1), (1, 1), (12, 30)):  # the first also loads the catalog
        put_in(people[:many], each)
        make_due()
        with CaptureQueriesContext(connection) as queries:
            assert closing.close_due() == many
        counts.append(len(queries))
    assert counts[1] == counts[2]
    assert counts[2] <= 14


def test_a_person_with_two_windows_gets_two_mails(member: User, put_in: Put, make_due: Due) -> None:
    put_in([member], 2)
    put_in([member], 3, choice=DAILY.__class__(category_id=None, frequency="hourly"))
    make_due()
    assert closing.close_due() == 2
    windows = DigestWindow.objects.order_by("sent_count")
    assert [(one.cadence, one.sent_count) for one in windows] == [("daily@09:00", 2), ("hourly", 3)]
    assert len({one.notification_id for one in windows}) == 2


def test_any_number_of_items_is_one_digest(member: User, put_in: Put, make_due: Due) -> None:
    put_in([member], 1_500)
    make_due()
    assert closing.close_due() == 1
    assert DigestWindow.objects.get().sent_count == 1_500
    assert Delivery.objects.filter(status="digested").count() == 1_500


def test_what_goes_wrong_in_one_organization_stops_no_other(
    member: User,
    other_organization: Organization,
    make_user: Callable[..., User],
    put_in: Put,
    make_due: Due,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put_in([member], 2)
    stranger = make_user(organization=other_organization)
    broken = DigestWindow.objects.create(
        organization=other_organization, user=stranger, cadence="hourly", zone="UTC", closes_at=now()
    )
    make_due()
    close = closing._close

    def fail(organization_id: object, *given: object) -> int:
        if organization_id == other_organization.id:
            raise RuntimeError("this one does not work")
        return close(organization_id, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(closing, "_close", fail)
    assert closing.close_due() == 1
    monkeypatch.undo()
    broken.refresh_from_db()
    assert broken.status == "open"
    assert closing.close_due() == 1
    broken.refresh_from_db()
    assert broken.status == "empty"


def test_a_send_without_digests_makes_two_statements_and_with_one_three_more(
    member: User, digestible: EventType, send: Callable[..., SendResult], organization: Organization
) -> None:
    send(member)  # the catalog is loaded

    def statements() -> int:
        with CaptureQueriesContext(connection) as queries:
            send(member)
        return sum("INSERT" in one["sql"] or "SELECT" in one["sql"] for one in queries)

    assert statements() == 2
    DigestSetting.objects.create(organization=organization, user=member, frequency="daily")
    assert statements() == 3
    assert DigestWindow.objects.get().item_count == 1
