"""Quiet hours as people set them, and what waits when they or the zone change."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import Organization, User
from accounts.services.users import update_profile
from castcomm.common.errors import InvalidInput
from notifications.models import Delivery, EventType, NotificationRequest, QuietHours
from notifications.services.quiet_hours import quiet_hours_of, set_quiet_hours
from notifications.services.recipients import load_people, parse_recipients
from notifications.services.sending import SendResult
from tests.notifications.conftest import states

Send = Callable[..., SendResult]
Set = Callable[[Any], None]
NIGHT = {"enabled": True, "start": "22:00", "end": "08:00"}


@pytest.fixture
def set_hours(organization: Organization, member: User) -> Set:
    return lambda given: set_quiet_hours(organization=organization, user=member, given=given)


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def test_quiet_hours_change_only_what_is_named(
    organization: Organization, member: User, set_hours: Set
) -> None:
    set_hours({**NIGHT, "days": [4, 4, 0], "time_zone": "Europe/Berlin"})
    set_hours({"end": "06:00:00", "channels": {"push": {"start": "20:00"}, "sms": {"enabled": False}}})
    night = {"enabled": True, "start": "22:00", "end": "06:00", "days": [0, 4], "time_zone": "Europe/Berlin"}
    shown = quiet_hours_of(organization=organization, user=member)
    assert shown == {
        **night,
        # A channel's own hours begin as those for all.
        "channels": {
            "email": None,
            "sms": {**night, "enabled": False},
            "push": {**night, "start": "20:00"},
        },
    }
    _, [person] = load_people(organization.id, parse_recipients([member]))
    assert person.quiet is not None
    assert person.quiet_by_channel["sms"] is None
    assert person.quiet_by_channel["push"].start == dt.time(20)  # type: ignore[union-attr]
    set_hours({"channels": {"push": None}})
    assert quiet_hours_of(organization=organization, user=member)["channels"]["push"] is None
    assert QuietHours.objects.count() == 2


WRONG: list[tuple[Any, str]] = [
    ({"enabled": "yes"}, "enabled"),
    ({"start": "25:00"}, "start"),
    ({"start": "22:00 or so"}, "start"),
    ({"start": "２２:00"}, "start"),
    ({"end": 2200}, "end"),
    ({"end": None}, "end"),
    ({"start": "08:00", "end": "08:00"}, "end"),
    ({"days": [7]}, "days"),
    ({"days": [True]}, "days"),
    ({"days": "monday"}, "days"),
    ({"time_zone": "Mars/Olympus"}, "time_zone"),
    ({"time_zone": ["UTC"]}, "time_zone"),
    ({"time_zone": "../../etc/passwd"}, "time_zone"),
    ({"until": "08:00"}, "until"),
]


def test_wrong_quiet_hours_are_named_and_not_kept(
    organization: Organization, member: User, set_hours: Set
) -> None:
    wrong = [(given, f"quiet_hours.{field}") for given, field in WRONG]
    wrong += [({"channels": {"push": given}}, f"quiet_hours.channels.push.{field}") for given, field in WRONG]
    wrong += [
        (["22:00"], "quiet_hours"),
        ({"channels": ["push"]}, "quiet_hours.channels"),
        ({"channels": {"in_app": NIGHT}}, "quiet_hours.channels.in_app"),
        ({"channels": {"fax": None}}, "quiet_hours.channels.fax"),
        ({"channels": {"push": "22:00"}}, "quiet_hours.channels.push"),
        ({**NIGHT, "channels": {"push": {}, "sms": {"start": "9"}}}, "quiet_hours.channels.sms.start"),
    ]
    for given, attr in wrong:
        with pytest.raises(InvalidInput) as caught:
            set_hours(given)
        assert (given, caught.value.attr) == (given, attr)
    assert not QuietHours.objects.exists()


def test_each_channel_has_its_own_night(
    make_event_type: Any, set_hours: Set, member: User, send: Send, time_machine: Any
) -> None:
    make_event_type("news", channels=["in_app", "email", "sms"])
    member.time_zone, member.phone = "America/New_York", "+12025550123"
    member.save()
    set_hours({**NIGHT, "channels": {"sms": {"start": "23:30", "end": "23:00"}}})
    time_machine.move_to("2026-06-10T03:15:00Z", tick=False)  # 23:15 in New York
    send(member)
    assert states() == {
        "email": ("deferred", "quiet_hours"),
        "in_app": ("delivered", "in_inbox"),
        "sms": ("pending", "default"),
    }
    assert Delivery.objects.get(channel="email").due_at == utc("2026-06-10T12:00")
    # The night is over when the person says so, for what waits already as well.
    set_hours({"end": "05:00"})
    assert Delivery.objects.get(channel="email").due_at == utc("2026-06-10T09:00")
    set_hours({"enabled": False})
    assert Delivery.objects.get(channel="email").due_at == utc("2026-06-10T03:15")


def test_a_zone_that_this_machine_does_not_know_stops_no_send(
    member: User, news: EventType, send: Send, set_hours: Set
) -> None:
    User.objects.filter(id=member.id).update(time_zone="Nowhere/AtAll")
    set_hours({"enabled": True})
    assert len(send(member).notifications) == 1


@pytest.mark.parametrize(
    ("zone", "due"),
    [
        ("Asia/Tokyo", "2026-06-10T09:00"),  # earlier than in Berlin
        ("America/New_York", "2026-06-10T22:00"),  # later
        ("Pacific/Auckland", "2026-06-10T08:00"),  # it has passed there: at once
    ],
)
def test_a_local_time_moves_with_the_person(
    news: EventType, member: User, send: Send, time_machine: Any, zone: str, due: str
) -> None:
    member.time_zone = "Europe/Berlin"
    member.save()
    time_machine.move_to("2026-06-10T08:00:00Z", tick=False)
    send(member, scheduled_local="2026-06-10T18:00")
    mail = Delivery.objects.get(channel="email")
    assert (mail.status, mail.reason, mail.due_at) == ("deferred", "local_time", utc("2026-06-10T16:00"))
    update_profile(user=member, changes={"first_name": "Mim", "time_zone": zone})
    mail.refresh_from_db()
    assert (mail.status, mail.due_at) == ("deferred", utc(due))
    assert (mail.decision["zone"], mail.decision["local"]) == (zone, "2026-06-10T18:00")


def test_quiet_hours_move_with_the_person(
    news: EventType, member: User, send: Send, time_machine: Any, set_hours: Set
) -> None:
    time_machine.move_to("2026-06-10T23:00:00Z", tick=False)
    set_hours(NIGHT)
    send(member)
    send(member, critical=True, scheduled_local="2026-06-11T03:00")
    update_profile(user=member, changes={"time_zone": "Europe/Berlin"})
    by_request = {
        request.critical: Delivery.objects.get(channel="email", notification__request=request)
        for request in NotificationRequest.objects.all()
    }
    assert by_request[False].due_at == utc("2026-06-11T06:00")
    # What is critical goes at its time, also at night.
    assert by_request[True].due_at == utc("2026-06-11T01:00")
    # What was decided otherwise stays as it is.
    Delivery.objects.filter(id=by_request[False].id).update(status="sending")
    update_profile(user=member, changes={"time_zone": "UTC"})
    by_request[False].refresh_from_db()
    assert by_request[False].due_at == utc("2026-06-11T06:00")
