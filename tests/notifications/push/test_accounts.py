"""Which account reaches whom, and the keys by which push services know this deployment."""

from __future__ import annotations

import json
import threading
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import override_settings
from rest_framework.test import APIClient

from accounts.models import Organization, User
from castcomm.common.errors import Conflict
from notifications.models import ProviderAccount
from notifications.providers.base import Account
from notifications.providers.push.vapid import make_keys, read_keys
from notifications.push_checks import check_push
from notifications.services import provider_accounts, vapid
from notifications.services.provider_accounts import accounts_for
from notifications.services.push_accounts import member_key
from tests.notifications.test_api import errors

from .subscribed import API, row


def test_an_organization_may_have_its_own_account_for_one_kind(
    organization: Organization, other_organization: Organization, firebase: ProviderAccount
) -> None:
    first, second, own = (make_keys()[1] for _ in range(3))
    shared = row("webpush", {"vapid_private_key": first})
    row("webpush", {"vapid_private_key": second}, position=200)
    mine = row("webpush", {"vapid_private_key": own}, organization=organization, position=300)
    for owner, account in ((organization, mine), (other_organization, shared)):
        [both] = accounts_for("push", owner.id)
        assert member_key(both, "webpush") == str(account.id)
        assert member_key(both, "fcm") == str(firebase.id)
    assert accounts_for("push", organization.id)[0].key != accounts_for("push", other_organization.id)[0].key


def test_the_log_is_used_where_there_is_nothing_else_or_it_is_named(organization: Organization) -> None:
    assert [one.provider for one in accounts_for("push", organization.id)] == ["console"]
    vapid.keep_new_keys()
    assert [one.provider for one in accounts_for("push", organization.id)] == ["webpush"]
    with override_settings(PUSH_PROVIDER="console"):
        assert [one.provider for one in accounts_for("push", organization.id)] == ["console"]


def test_the_first_to_ask_makes_the_keys(client: APIClient, api_client: Any, owner: User) -> None:
    first = client.get(f"{API}vapid-public-key").json()["public_key"]
    assert len(first) == 87
    provider_accounts.forget_rows()
    assert api_client(owner).get(f"{API}vapid-public-key").json()["public_key"] == first
    account = ProviderAccount.objects.get()
    credentials = json.loads(account.credentials)
    assert read_keys(credentials["vapid_private_key"]).public == first
    with connection.cursor() as cursor:
        cursor.execute("SELECT credentials FROM notifications_provideraccount")
        assert credentials["vapid_private_key"] not in cursor.fetchone()[0]


@pytest.mark.django_db(transaction=True)
def test_two_who_ask_at_once_get_the_same_keys(organization: Organization) -> None:
    together = threading.Barrier(2)
    got: list[str] = []

    def ask() -> None:
        together.wait()
        try:
            got.append(vapid.public_key_for(organization.id))
        finally:
            connection.close()

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(got) == 2
    assert got[0] == got[1]
    assert ProviderAccount.objects.count() == 1


@pytest.mark.usefixtures("firebase")
def test_accounts_that_change_while_they_are_read_are_read_again(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = provider_accounts.account_of

    def slowly(found: ProviderAccount) -> Account:
        # Another thread makes the keys after the rows were read, and before they are kept.
        monkeypatch.setattr(provider_accounts, "account_of", real)
        vapid.keep_new_keys()
        return real(found)

    monkeypatch.setattr(provider_accounts, "account_of", slowly)
    for has_keys in (False, True):
        [joined] = accounts_for("push", organization.id)
        assert (joined.provider == "webpush" or bool(member_key(joined, "webpush"))) is has_keys


def test_keys_of_the_environment_come_first(client: APIClient, keys: str) -> None:
    public, private = make_keys()
    environment = {"VAPID_PUBLIC_KEY": public, "VAPID_PRIVATE_KEY": private}
    with override_settings(PROVIDER_ENVIRONMENT=environment):
        assert client.get(f"{API}vapid-public-key").json()["public_key"] == public
    assert client.get(f"{API}vapid-public-key").json()["public_key"] == keys != public


def test_keys_that_were_switched_off_are_not_made_again(client: APIClient, keys: str) -> None:
    ProviderAccount.objects.update(is_active=False)
    provider_accounts.forget_rows()
    assert errors(client.get(f"{API}vapid-public-key"), 409) == {None: "push_off"}
    assert ProviderAccount.objects.count() == 1


def test_a_wrong_pair_is_told_and_not_handed_out(organization: Organization) -> None:
    environment = {"VAPID_PUBLIC_KEY": make_keys()[0], "VAPID_PRIVATE_KEY": make_keys()[1]}
    with override_settings(PROVIDER_ENVIRONMENT=environment):
        with pytest.raises(Conflict, match="does not belong"):
            vapid.public_key_for(organization.id)
        assert [one.id for one in check_push(None)] == ["castcomm.E050"]


@pytest.mark.parametrize(
    ("environment", "ids"),
    [
        ({}, []),
        ({"VAPID_PUBLIC_KEY": "x"}, ["castcomm.E050"]),
        ({"VAPID_PRIVATE_KEY": "x"}, ["castcomm.E050"]),
        ({"FIREBASE_CREDENTIALS": "/no/such/file"}, ["castcomm.E051"]),
        ({"FIREBASE_CREDENTIALS": '{"project_id": "p"}'}, ["castcomm.E051"]),
        (
            {"FIREBASE_CREDENTIALS": '{"client_email": "a", "private_key": "b", "token_uri": "c"}'},
            ["castcomm.E051"],
        ),
        (
            {
                "FIREBASE_CREDENTIALS": '{"client_email": "a", "private_key": "b", "project_id": "p",'
                ' "token_uri": "http://10.0.0.1/"}'
            },
            ["castcomm.E051"],
        ),
    ],
)
def test_what_the_environment_says_is_checked(environment: dict[str, str], ids: list[str]) -> None:
    with override_settings(PROVIDER_ENVIRONMENT=environment):
        assert [one.id for one in check_push(None)] == ids


def test_the_command_prints_a_pair_that_works() -> None:
    out = StringIO()
    call_command("make_vapid_keys", stdout=out)
    printed = dict(line.split("=", 1) for line in out.getvalue().splitlines())
    with override_settings(PROVIDER_ENVIRONMENT=printed):
        assert check_push(None) == []
    assert read_keys(printed["VAPID_PRIVATE_KEY"], printed["VAPID_PUBLIC_KEY"])
