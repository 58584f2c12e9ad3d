"""What a person wants, and that the page shows what routing does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import Organization, User
from castcomm.common.errors import InvalidInput
from notifications.models import Delivery, EventType, Preference
from notifications.services.effective_preferences import effective_preferences
from notifications.services.explaining.reach import would_reach
from notifications.services.preferences import parse_changes, set_switches, switches_of
from notifications.services.sending import SendResult, send_notification
from notifications.vocabulary import Channel

from .conftest import states

Send = Callable[..., SendResult]


@pytest.fixture
def switch(organization: Organization, member: User) -> Callable[..., None]:
    """``switch("event_type", "news", "email", False)``; with ``user=None`` the organization's default."""

    def set_one(scope: str, key: str, channel: str, enabled: bool | None, user: User | None = member) -> None:
        changes = parse_changes([{"scope": scope, "key": key, "channel": channel, "enabled": enabled}])
        set_switches(organization=organization, user=user, changes=changes)

    return set_one


def test_a_switch_is_set_and_taken_away(
    switch: Any, news: EventType, send: Send, member: User, organization: Organization
) -> None:
    switch("event_type", "news", "email", False)
    send(member)
    assert states()["email"] == ("suppressed", "preference")
    shown = switches_of(organization=organization, user=member)
    assert shown["event_types"][0]["channels"]["email"] is False
    switch("event_type", "news", "email", None)
    assert not Preference.objects.exists()
    [sent] = send(member).notifications
    assert states(notification=sent.id)["email"] == ("pending", "default")


def test_the_organizations_default_holds_until_the_person_says_otherwise(
    switch: Any, news: EventType, send: Send, member: User
) -> None:
    switch("category", "general", "*", False, user=None)
    [first] = send(member).notifications
    assert states(notification=first.id)["email"] == ("suppressed", "preference")
    switch("global", "", "email", True)
    [second] = send(member).notifications
    assert states(notification=second.id)["email"] == ("pending", "preferred")
    assert states(notification=second.id)["in_app"] == ("suppressed", "preference")


def test_the_decision_says_which_switch_it_was(
    switch: Any, news: EventType, send: Send, member: User
) -> None:
    switch("category", "general", "*", False)
    send(member)
    decision = Delivery.objects.get(channel="email").decision
    assert decision == {
        "action": "suppress", "reason": "preference", "scope": "category", "channel": "*", "set_by": "person",
    }  # fmt: skip


def test_another_persons_switches_are_not_mine(
    switch: Any, news: EventType, send: Send, member: User, owner: User
) -> None:
    switch("global", "", "*", False)
    [sent] = send(owner).notifications
    assert states(notification=sent.id)["email"] == ("pending", "default")


choices = st.sampled_from([True, False, None])


@pytest.mark.django_db
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    chosen=st.fixed_dictionaries(
        {
            place: choices
            for place in [
                ("global", "", "*", True),
                ("global", "", "email", True),
                ("category", "general", "*", True),
                ("category", "general", "sms", True),
                ("event_type", "news", "*", True),
                ("event_type", "news", "email", True),
                ("event_type", "news", "sms", True),
                ("global", "", "email", False),
                ("event_type", "news", "*", False),
            ]
        }
    )
)
def test_what_is_shown_is_what_happens(
    chosen: dict[tuple[str, str, str, bool], bool | None],
    news: EventType, organization: Organization, member: User, switch: Any,
) -> None:  # fmt: skip
    for (scope, key, channel, personal), enabled in chosen.items():
        switch(scope, key, channel, enabled, user=member if personal else None)
    cells = effective_preferences(organization=organization, user=member)
    shown = {
        cell["channel"]: (cell["effective"], cell["reason"]) for cell in cells if cell["event_type"] == "news"
    }
    [sent] = send_notification(
        organization=organization, recipients=[member], event_type="news"
    ).notifications
    happened = {
        row.channel: (row.status != "suppressed", row.decision["reason"])
        for row in Delivery.objects.filter(notification=sent.id)
    }
    asked = {
        one["channel"]: (one["action"] != "suppress", one["reason"])
        for one in would_reach(organization=organization, recipient=member, event_type="news")
    }
    assert happened == asked
    assert shown == {channel: happened.get(channel, (False, "not_requested")) for channel in Channel.values}


WRONG_SWITCHES = [
    ("x", "set"),
    (["x"], "set.0"),
    ([{"scope": "planet"}], "set.0.scope"),
    ([{"scope": ["global"]}], "set.0.scope"),
    ([{"scope": "global", "channel": "fax"}], "set.0.channel"),
    ([{"scope": "global", "enabled": 1}], "set.0.enabled"),
    ([{"scope": "global", "enabled": "yes"}], "set.0.enabled"),
    ([{"scope": "category", "enabled": True}], "set.0.key"),
    ([{"scope": "global"}, {"scope": "event_type", "key": 7}], "set.1.key"),
    ([{"scope": "global"}] * 501, "set"),
]


@pytest.mark.parametrize(("given", "attr"), WRONG_SWITCHES)
def test_a_wrong_switch_is_named(given: Any, attr: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_changes(given)
    assert caught.value.attr == attr


def test_one_unknown_key_sets_none(
    switch: Any, news: EventType, organization: Organization, member: User
) -> None:
    changes = parse_changes(
        [{"scope": "global", "enabled": False}, {"scope": "event_type", "key": "nope", "enabled": False}]
    )
    with pytest.raises(InvalidInput) as caught:
        set_switches(organization=organization, user=member, changes=changes)
    assert caught.value.attr == "set.1.key"
    assert not Preference.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_two_pages_that_set_the_same_switch_make_one(
    news: EventType, organization: Organization, member: User
) -> None:
    errors: list[BaseException] = []
    start = threading.Barrier(4)

    def run(enabled: bool) -> None:
        changes = parse_changes(
            [{"scope": "event_type", "key": "news", "channel": "email", "enabled": enabled}]
        )
        try:
            start.wait(10)
            for _ in range(5):
                set_switches(organization=organization, user=member, changes=changes)
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(turn % 2 == 0,)) for turn in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert errors == []
    assert Preference.objects.count() == 1
