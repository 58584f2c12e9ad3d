"""Many who add while others close: nothing is lost, nothing comes twice, and the order holds."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from accounts.models import Organization, User
from notifications.models import Delivery, DigestItem, DigestWindow, EventType, Notification
from notifications.services.digests import closing, windows

Put = Callable[..., list[Delivery]]

ADDERS, ROUNDS, EACH = 4, 12, 5


@pytest.mark.django_db(transaction=True)
def test_adding_while_closing_and_two_who_close(
    member: User,
    make_user: Callable[..., User],
    organization: Organization,
    put_in: Put,
    make_due: Callable[..., None],
) -> None:
    closing.close_now(organization.id, [])
    people = [member, *(make_user(organization=organization) for _ in range(3))]
    is_over, has_closed = threading.Event(), threading.Event()

    def add(_: int) -> list[list[Delivery]]:
        try:
            first = put_in(people, EACH)
            has_closed.wait(60)
            return [first, *(put_in(people, EACH) for _ in range(ROUNDS - 1))]
        finally:
            connection.close()

    def close(_: int) -> None:
        try:
            while not is_over.is_set():
                make_due()
                if closing.close_due():
                    has_closed.set()
        finally:
            connection.close()

    with ThreadPoolExecutor(ADDERS + 2) as pool:
        closers = [pool.submit(close, n) for n in range(2)]
        added = [rows for made in pool.map(add, range(ADDERS)) for rows in made]
        is_over.set()
        for closer in closers:
            closer.result(60)
    make_due()
    closing.close_due()

    many = ADDERS * ROUNDS * EACH * len(people)
    assert Delivery.objects.filter(status="digested").count() == many
    assert not DigestWindow.objects.exclude(status="sent").exists()
    digests = Notification.objects.filter(event_type__key="digest")
    assert digests.count() == DigestWindow.objects.count() > len(people)
    places: dict[object, list[int]] = {}
    where = {}
    for item in DigestItem.objects.select_related("window").order_by("window", "position"):
        places.setdefault(item.window_id, []).append(item.position)
        where[item.delivery_id] = (item.window.created_at, item.window_id, item.position)
    for window in DigestWindow.objects.all():
        assert places[window.id] == list(range(1, window.item_count + 1))
        assert window.sent_count == window.item_count
    for person in people:
        for rows in added:  # each call's rows stand together, in their order
            own = [where[row.id] for row in rows if row.notification.user_id == person.id]
            first = own[0][2]
            assert own == [(*own[0][:2], first + n) for n in range(EACH)]


@pytest.mark.django_db
def test_a_closer_that_dies_leaves_everything_as_it_was(
    member: User,
    digestible: EventType,
    put_in: Put,
    make_due: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put_in([member], 3)
    make_due()

    def die(*_given: object, **_more: object) -> None:
        raise SystemExit

    monkeypatch.setattr(windows, "finish", die)
    with pytest.raises(SystemExit):
        closing.close_due()
    assert set(Delivery.objects.values_list("status", "settled_at")) == {("in_digest", None)}
    assert not Notification.objects.filter(event_type__key="digest").exists()
    monkeypatch.undo()
    assert closing.close_due() == 1
    assert Notification.objects.filter(event_type__key="digest").count() == 1
