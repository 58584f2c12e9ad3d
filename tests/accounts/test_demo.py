"""The demo's people: complete, marked as demo, loaded once, and never in production by accident."""

from __future__ import annotations

import pytest
from allauth.account.models import EmailAddress
from django.test import Client

from accounts.models import Membership, Organization, User
from accounts.services import demo
from castcomm.common.errors import NotPermitted

pytestmark = pytest.mark.django_db


def test_it_can_be_loaded_again(settings) -> None:
    settings.DEBUG = True
    first, second = demo.load(), demo.load()
    assert (first.created, second.created) == (True, False)
    assert first.organization == second.organization
    assert Organization.objects.count() == 1
    assert User.objects.count() == Membership.objects.count() == EmailAddress.objects.count() == 3


def test_the_people_are_what_the_demo_needs(settings) -> None:
    settings.DEBUG = True
    people = demo.load()
    actor, director, staff = (people.users[email] for email in (demo.ACTOR, demo.DIRECTOR, demo.STAFF))
    assert actor.attributes == {"profile_completion": 30}
    assert director.attributes["profile_completion"] == 80
    assert actor.memberships.get().domain_role == "ACTOR"
    assert (staff.is_superuser, staff.memberships.get().role) == (True, "owner")
    assert actor.display_name == "Demo Actor"
    assert any(demo.ACTOR in line and people.password in line for line in people.lines)


def test_they_can_sign_in(settings) -> None:
    settings.DEBUG = True
    demo.load()
    browser = Client()
    answer = browser.post("/accounts/login/", {"login": demo.STAFF, "password": demo.PASSWORD})
    assert answer.status_code == 302
    assert browser.get("/admin/").status_code == 200


def test_someone_who_left_comes_back(settings) -> None:
    settings.DEBUG = True
    people = demo.load()
    Membership.objects.filter(user=people.users[demo.ACTOR]).update(is_active=False)
    demo.load()
    assert Membership.objects.get(user=people.users[demo.ACTOR]).is_active


def test_it_is_refused_outside_of_debug(settings) -> None:
    settings.DEBUG = False
    with pytest.raises(NotPermitted):
        demo.load()
    assert not User.objects.exists()
    assert demo.load(allow_outside_debug=True).created
