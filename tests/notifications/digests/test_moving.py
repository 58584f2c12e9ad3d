"""People who move while something waits for them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest

from accounts.models import User
from accounts.services.users import update_profile
from castcomm.common.clock import now
from notifications.models import Delivery, DigestWindow
from notifications.services.digests import closing

pytestmark = pytest.mark.django_db

Put = Callable[..., list[Delivery]]


def test_open_windows_move_with_their_person_both_ways(member: User, put_in: Put) -> None:
    put_in([member], 2)
    before = DigestWindow.objects.get().closes_at

    def moves_to(zone: str) -> dt.timedelta:
        update_profile(user=member, changes={"time_zone": zone})
        window = DigestWindow.objects.get()
        assert window.zone == zone
        return window.closes_at - before

    assert moves_to("Etc/GMT+5") == dt.timedelta(hours=5)
    assert moves_to("Etc/GMT-9") == -dt.timedelta(hours=9)
    assert moves_to("UTC") == dt.timedelta()


def test_closing_looks_at_the_zone_again(member: User, put_in: Put, make_due: Callable[..., None]) -> None:
    put_in([member], 2)
    make_due()
    due = DigestWindow.objects.get().closes_at
    User.objects.filter(id=member.id).update(time_zone="Etc/GMT+5")  # past the services, to the west
    assert closing.close_due() == 0
    window = DigestWindow.objects.get()
    assert (window.status, window.zone, window.closes_at) == (
        "open",
        "Etc/GMT+5",
        due + dt.timedelta(hours=5),
    )
    assert closing.close_due(now=now() + dt.timedelta(hours=5)) == 1

    put_in([member], 1)
    make_due()
    User.objects.filter(id=member.id).update(time_zone="Etc/GMT-9")  # to the east, where it is later already
    assert closing.close_due() == 1
