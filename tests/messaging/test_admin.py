from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import Organization, User
from messaging.services.editing import delete_message, edit_message
from tests.messaging.conftest import make_member, make_organization, open_thread, say

SignIn = Callable[[User], Client]


@pytest.fixture
def clerk(organization: Organization) -> User:
    clerk = make_member(organization, "clerk", role="staff")
    clerk.is_staff = True
    clerk.save()
    return clerk


def text_of(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200
    return response.content.decode()


def test_staff_find_a_message_and_what_it_said_before(
    organization: Organization, ada: User, ben: User, clerk: User, signed_in: SignIn
):
    thread = open_thread(organization, ada, ben, subject="Casting")
    message = say(thread, ada, "Frist words")
    say(thread, ben, "Something else")
    one = {"organization_id": organization.id, "message_id": message.id, "user_id": ada.id}
    edit_message(**one, content="First words")
    delete_message(**one)
    client = signed_in(clerk)
    found = text_of(client, reverse("admin:messaging_message_changelist") + "?q=First")
    assert "First words" in found
    assert "Something else" not in found
    page = text_of(client, reverse("admin:messaging_message_change", args=[message.id]))
    assert "Frist words" in page
    assert 'name="_save"' not in page
    assert "Casting" in text_of(client, reverse("admin:messaging_thread_changelist"))
    thread_page = text_of(client, reverse("admin:messaging_thread_change", args=[thread.id]))
    assert ada.email in thread_page
    link = reverse("admin:messaging_message_changelist") + f"?thread__id__exact={thread.id}"
    assert link in thread_page
    assert "Something else" in text_of(client, link)


def test_staff_see_nothing_of_other_organizations(ada: User, clerk: User, signed_in: SignIn):
    elsewhere = make_organization()
    zoe, yan = make_member(elsewhere, "zoe"), make_member(elsewhere, "yan")
    thread = open_thread(elsewhere, zoe, yan, subject="Foreign matters")
    message = say(thread, zoe, "Foreign words")
    client = signed_in(clerk)
    assert "Foreign" not in text_of(client, reverse("admin:messaging_thread_changelist"))
    assert "Foreign" not in text_of(client, reverse("admin:messaging_message_changelist"))
    for name, row in (("thread", thread), ("message", message)):
        address = reverse(f"admin:messaging_{name}_change", args=[row.id])
        assert client.get(address).status_code in {302, 404}
    assert signed_in(ada).get(reverse("admin:messaging_thread_changelist")).status_code == 302


@pytest.mark.parametrize("page", ["messaging_thread_changelist", "messaging_message_changelist"])
def test_lists_take_as_many_queries_for_many_as_for_few(
    organization: Organization, ada: User, ben: User, clerk: User, signed_in: SignIn, page: str
):
    client = signed_in(clerk)

    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            text_of(client, reverse(f"admin:{page}"))
        return len(queries)

    say(open_thread(organization, ada, ben), ben)
    before = count()
    for number in range(6):
        guest = make_member(organization, f"g{number}")
        say(open_thread(organization, ada, guest), guest)
    assert count() == before
