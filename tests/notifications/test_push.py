"""Push from the call to the device: who is reached, what is remembered of it, and devices over the API."""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import override_settings
from rest_framework.test import APIClient

from accounts.models import Organization, User
from castcomm.common.clock import now
from castcomm.common.errors import Conflict
from notifications.models import Delivery, DeliveryAttempt, EventType, ProviderAccount, PushSubscription
from notifications.providers.push.vapid import make_keys, read_keys
from notifications.push_checks import check_push
from notifications.services import provider_accounts, push_subscriptions, vapid
from notifications.services.provider_accounts import accounts_for
from notifications.services.push_accounts import member_key
from notifications.services.sending import SendResult
from notifications.stand_ins import Device, StandIn, stand_in
from notifications.tasks import forget_unused_devices
from notifications.vocabulary import Priority

from .conftest import states
from .providers.subjects import firebase_credentials
from .test_api import errors

API = "/api/v1/push/"
MOZILLA = "https://updates.push.services.mozilla.com/wpush/v2/"
Send = Callable[..., SendResult]
Drain = Callable[..., int]


@pytest.fixture
def server() -> Iterator[StandIn]:
    with stand_in() as made, override_settings(WEBPUSH_ALLOW_LOOPBACK=True):
        yield made


@pytest.fixture
def firebase(server: StandIn, db: None) -> ProviderAccount:
    """An account at Firebase, kept by staff for everybody."""
    return row("fcm", {**firebase_credentials(server), "api_url": server.url("fcm")})


@pytest.fixture
def keys(db: None) -> str:
    """VAPID keys, made as by the first browser that asks; the public one."""
    vapid.keep_new_keys()
    found: str = json.loads(ProviderAccount.objects.get(provider="webpush").credentials)["vapid_public_key"]
    return found


@pytest.fixture
def news(make_event_type: Callable[..., EventType]) -> EventType:
    """An event type that goes out by push alone."""
    return make_event_type("news", channels=["push"])


@pytest.fixture
def client(api_client: Callable[..., APIClient], member: User) -> APIClient:
    return api_client(member)


def row(provider: str, credentials: dict[str, str], **fields: Any) -> ProviderAccount:
    return ProviderAccount.objects.create(
        channel="push", provider=provider, name=provider, credentials=json.dumps(credentials), **fields
    )


def browser(user: User, organization: Organization, device: Device, **fields: Any) -> PushSubscription:
    made = push_subscriptions.subscribe(
        organization=organization,
        user=user,
        endpoint=device.endpoint,
        keys={"p256dh": device.p256dh, "auth": device.auth},
        **fields,
    )
    return PushSubscription.objects.get(id=made["id"])


def app(user: User, organization: Organization, token: str) -> PushSubscription:
    made = push_subscriptions.subscribe(organization=organization, user=user, kind="fcm", endpoint=token)
    return PushSubscription.objects.get(id=made["id"])


# --- From the call to the device ----------------------------------------------------------------------


@pytest.mark.usefixtures("news", "keys", "firebase")
def test_all_devices_of_a_person_are_reached_each_by_its_provider(
    server: StandIn, send: Send, drain: Drain, member: User, organization: Organization
) -> None:
    devices = [server.device(), server.device()]
    for one in devices:
        browser(member, organization, one)
    app(member, organization, "app-token")
    send(member)
    drain("push")
    assert states()["push"] == ("sent", "accepted")
    assert {one.to for one in server.accepted("webpush")} == {one.name for one in devices}
    assert [one.to for one in server.accepted("fcm")] == ["app-token"]
    delivery = Delivery.objects.get()
    assert delivery.provider == "devices"
    for one in [*server.accepted("webpush"), *server.accepted("fcm")]:
        assert one.delivery_id == str(delivery.id)
    assert server.accepted("webpush")[0].body["title"] == "A push"


@pytest.mark.usefixtures("news", "keys")
def test_devices_that_are_gone_are_forgotten_at_once(
    server: StandIn, send: Send, drain: Drain, member: User, organization: Organization
) -> None:
    gone, there = server.device(), server.device()
    old = now() - dt.timedelta(days=3)
    for one in (gone, there):
        browser(member, organization, one)
    PushSubscription.objects.update(last_used_at=old)
    server.lose_device(gone.name)
    send(member)
    drain("push")
    attempt = DeliveryAttempt.objects.get()
    assert (attempt.outcome, attempt.detail) == ("sent", "1 of 2 devices took it; 1 removed.")
    [left] = PushSubscription.objects.all()
    assert left.endpoint == there.endpoint
    assert left.last_used_at is not None
    assert left.last_used_at > now() - dt.timedelta(minutes=1)


@pytest.mark.usefixtures("news", "keys")
def test_when_the_last_device_is_gone_nothing_is_tried_again(
    server: StandIn, send: Send, drain: Drain, member: User, organization: Organization
) -> None:
    device = server.device()
    browser(member, organization, device)
    server.lose_device(device.name, status=404)
    send(member)
    drain("push")
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.error) == ("failed", "No device is left. 1 removed.")
    assert not PushSubscription.objects.exists()


@pytest.mark.usefixtures("news", "keys", "firebase")
def test_who_has_taken_it_does_not_get_it_again(
    server: StandIn,
    send: Send,
    drain: Drain,
    due_now: Callable[[], None],
    member: User,
    organization: Organization,
) -> None:
    device = server.device()
    browser(member, organization, device)
    app(member, organization, "app-token")
    server.break_("fcm", mode="503")
    send(member)
    drain("push")
    server.mend("fcm")
    due_now()
    drain("push")
    assert states()["push"] == ("sent", "accepted")
    assert DeliveryAttempt.objects.get().detail.startswith("1 of 2 devices took it; 1 not: 503")
    assert len(server.accepted("webpush")) == 1


@pytest.mark.usefixtures("news", "keys")
def test_when_nobody_took_it_it_is_tried_again(
    server: StandIn,
    send: Send,
    drain: Drain,
    due_now: Callable[[], None],
    member: User,
    organization: Organization,
) -> None:
    browser(member, organization, server.device())
    server.break_("webpush", mode="503", times=1)
    send(member)
    drain("push")
    assert states()["push"] == ("pending", "retrying")
    due_now()
    drain("push")
    assert states()["push"] == ("sent", "accepted")
    assert len(server.accepted("webpush")) == 1


@pytest.mark.usefixtures("keys")
def test_the_push_is_as_urgent_as_the_call(
    server: StandIn, send: Send, drain: Drain, make_event_type: Any, member: User, organization: Organization
) -> None:
    make_event_type("news", channels=["push"])
    browser(member, organization, server.device())
    expected = {"urgent": ("high", "14400"), "normal": ("normal", "86400"), "low": ("low", "259200")}
    for name in expected:
        send(member, priority=name)
        drain("push", Priority.from_key(name))
    told = [(one.headers["urgency"], one.headers["ttl"]) for one in server.accepted("webpush")]
    assert told == list(expected.values())


@pytest.mark.usefixtures("news", "keys")
def test_the_data_may_say_more(
    server: StandIn, send: Send, drain: Drain, member: User, organization: Organization
) -> None:
    browser(member, organization, server.device())
    actions = [
        {"action": "approve", "title": "Approve", "url": "/approve/1"},
        {"action": "later", "title": "Later"},
    ]
    send(member, data={"push": {"ttl": 0, "urgency": "very-low", "topic": "invoice 7", "actions": actions}})
    drain("push")
    [taken] = server.accepted("webpush")
    assert (taken.headers["ttl"], taken.headers["urgency"]) == ("0", "very-low")
    assert (taken.body["topic"], taken.body["actions"]) == ("invoice 7", actions)


@pytest.mark.usefixtures("news", "keys")
@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"ttl": -1}, "data.push.ttl"),
        ({"ttl": True}, "data.push.ttl"),
        ({"ttl": 28 * 86_400 + 1}, "data.push.ttl"),
        ({"urgency": "now"}, "data.push.urgency"),
        ({"topic": 7}, "data.push.topic"),
        ({"actions": "open"}, "data.push.actions"),
        ({"actions": [{"action": "a", "title": "A"}] * 4}, "data.push.actions"),
        ({"actions": [{"action": "a b", "title": "A"}]}, "data.push.actions.0.action"),
        ({"actions": [{"action": "a"}]}, "data.push.actions.0.title"),
        ({"actions": [{"action": "a", "title": "A", "url": "javascript:x"}]}, "data.push.actions.0.url"),
    ],
)
def test_what_it_says_wrongly_is_named(
    given: dict[str, Any],
    field: str,
    server: StandIn,
    send: Send,
    drain: Drain,
    member: User,
    organization: Organization,
) -> None:
    browser(member, organization, server.device())
    send(member, data={"push": given})
    drain("push")
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.reason) == ("failed", "rendering")
    assert delivery.error.startswith(f"{field}:")
    assert server.calls("webpush") == 0


@pytest.mark.usefixtures("keys")
def test_devices_of_a_batch_are_read_at_once(
    make_user: Any,
    organization: Organization,
    other_organization: Organization,
    django_assert_num_queries: Any,
) -> None:
    people = [make_user(organization=organization) for _ in range(4)]
    for number, one in enumerate(people[:3]):
        for device in range(number):
            browser(one, organization, Device(f"{MOZILLA}{number}-{device}"))
    browser(people[0], other_organization, Device(f"{MOZILLA}elsewhere"))
    with django_assert_num_queries(1):
        found = push_subscriptions.targets_for(organization.id, [one.id for one in people])
    assert {user: len(devices) for user, devices in found.items()} == {people[1].id: 1, people[2].id: 2}
    assert found[people[1].id][0].endpoint == f"{MOZILLA}1-0"


def test_a_device_that_no_key_opens_is_passed_over(member: User, organization: Organization) -> None:
    browser(member, organization, Device(f"{MOZILLA}1"))
    browser(member, organization, Device(f"{MOZILLA}2"))
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE notifications_pushsubscription SET auth = 'sealed by a lost key'"
            " WHERE id = (SELECT id FROM notifications_pushsubscription ORDER BY created_at LIMIT 1)"
        )
    found = push_subscriptions.targets_for(organization.id, [member.id])
    assert [one.endpoint for one in found[member.id]] == [f"{MOZILLA}2"]


# --- Which account reaches whom -----------------------------------------------------------------------


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


# --- Keys ---------------------------------------------------------------------------------------------


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


# --- Devices over the API -----------------------------------------------------------------------------


def given(device: Device, **fields: Any) -> dict[str, Any]:
    return {**device.subscription(), **fields}


def test_devices_over_the_api(client: APIClient, api_client: Any, owner: User) -> None:
    body = given(Device(f"{MOZILLA}1"), device_name="Phone")
    first = client.post(f"{API}subscriptions", body, headers={"User-Agent": "Firefox"})
    assert first.status_code == 201
    again = client.post(f"{API}subscriptions", {**body, "device_name": "Same phone"})
    assert again.json()["id"] == first.json()["id"]
    token = client.post(f"{API}subscriptions", {"kind": "fcm", "token": "abc:def", "device_name": "App"})
    assert token.status_code == 201
    rows = client.get(f"{API}subscriptions").json()["results"]
    assert [(one["kind"], one["device_name"]) for one in rows] == [("fcm", "App"), ("web", "Same phone")]
    assert set(rows[0]) == {"id", "kind", "device_name", "user_agent", "created_at", "last_used_at"}
    errors(api_client(owner).delete(f"{API}subscriptions/{rows[0]['id']}"), 404)
    assert client.delete(f"{API}subscriptions/{rows[0]['id']}").status_code == 204


@pytest.mark.parametrize(
    ("change", "attr"),
    [
        ({"endpoint": "http://updates.push.services.mozilla.com/1"}, "endpoint"),
        ({"endpoint": "nonsense"}, "endpoint"),
        ({"endpoint": "https://push.example.com/1"}, "endpoint"),
        ({"endpoint": "https://127.0.0.1/1"}, "endpoint"),
        ({"endpoint": "https://169.254.169.254/latest/meta-data/"}, "endpoint"),
        ({"endpoint": "https://[::ffff:10.0.0.1]/1"}, "endpoint"),
        ({"endpoint": None}, "endpoint"),
        ({"keys": {}}, "keys.p256dh"),
        ({"keys": {"p256dh": "B" * 87, "auth": "A" * 22}}, "keys.p256dh"),
        ({"keys": {"p256dh": Device("x").p256dh, "auth": "short"}}, "keys.auth"),
        ({"keys": {"p256dh": Device("x").p256dh, "auth": "é" * 22}}, "keys.auth"),
        ({"kind": "pigeon"}, "kind"),
        ({"kind": "fcm"}, "token"),
        ({"kind": "fcm", "token": "a\nb"}, "token"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_wrong_device_is_named(change: dict[str, Any], attr: str, client: APIClient) -> None:
    answer = client.post(f"{API}subscriptions", given(Device(f"{MOZILLA}1"), **change))
    assert set(errors(answer)) == {attr}
    assert not PushSubscription.objects.exists()


@pytest.mark.parametrize("missing", ["endpoint", "keys"])
def test_a_device_without_an_address_is_named(missing: str, client: APIClient) -> None:
    body = given(Device(f"{MOZILLA}1"))
    del body[missing]
    assert errors(client.post(f"{API}subscriptions", body)) == {missing: "required"}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "10.0.0.1", "[::ffff:10.0.0.1]"])
def test_where_any_service_will_do_it_is_still_not_inside(host: str, client: APIClient) -> None:
    with override_settings(WEBPUSH_ALLOWED_HOSTS=["*"], WEBPUSH_ALLOW_LOOPBACK=False):
        answer = client.post(f"{API}subscriptions", given(Device(f"https://{host}/1")))
    assert set(errors(answer)) == {"endpoint"}


def test_a_device_belongs_to_who_signed_in_last(
    member: User, owner: User, organization: Organization, other_organization: Organization
) -> None:
    device = Device(f"{MOZILLA}1")
    browser(member, organization, device)
    browser(member, other_organization, device)
    assert PushSubscription.objects.count() == 2
    browser(owner, organization, device)
    assert [one.user for one in PushSubscription.objects.all()] == [owner]


def test_a_person_has_at_most_twenty_devices(
    client: APIClient, member: User, organization: Organization
) -> None:
    for number in range(push_subscriptions.MAX_DEVICES):
        app(member, organization, f"token-{number}")
    answer = client.post(f"{API}subscriptions", given(Device(f"{MOZILLA}1")))
    assert errors(answer) == {"endpoint": "too_many"}
    # One that is known already may come again.
    assert client.post(f"{API}subscriptions", {"kind": "fcm", "token": "token-0"}).status_code == 201


def test_devices_that_are_silent_for_long_are_forgotten(member: User, organization: Organization) -> None:
    old, recent, never = (app(member, organization, name) for name in ("old", "recent", "never"))
    PushSubscription.objects.filter(id=old.id).update(last_used_at=now() - dt.timedelta(days=91))
    PushSubscription.objects.filter(id=recent.id).update(
        created_at=now() - dt.timedelta(days=400), last_used_at=now() - dt.timedelta(days=89)
    )
    PushSubscription.objects.filter(id=never.id).update(
        created_at=now() - dt.timedelta(days=91), last_used_at=None
    )
    with override_settings(PUSH_UNUSED_DAYS=0):
        assert forget_unused_devices() == 0
    assert forget_unused_devices() == 2
    assert PushSubscription.objects.get().id == recent.id


@pytest.mark.usefixtures("keys")
def test_a_test_push_arrives_whatever_the_preferences_say(
    client: APIClient, server: StandIn, drain: Drain, member: User, organization: Organization
) -> None:
    assert errors(client.post(f"{API}test"), 409) == {None: "no_device"}
    browser(member, organization, server.device())
    switched = client.patch("/api/v1/preferences", {"set": [{"scope": "global", "enabled": False}]})
    assert switched.status_code == 200
    answer = client.post(f"{API}test")
    assert answer.status_code == 202
    drain("push", Priority.URGENT)
    [taken] = server.accepted("webpush")
    assert taken.body["body"] == "Push works on this device."
    assert taken.headers["urgency"] == "high"
    explained = client.get(f"/api/v1/notifications/{answer.json()['notification_id']}/status")
    assert explained.status_code == 200


@pytest.mark.usefixtures("keys")
def test_tests_are_limited(client: APIClient, member: User, organization: Organization) -> None:
    app(member, organization, "token")
    for _ in range(5):
        assert client.post(f"{API}test").status_code == 202
    assert errors(client.post(f"{API}test"), 429) == {None: "rate_limited"}


def test_a_program_has_no_devices(api_client: Any, make_api_key: Any, organization: Organization) -> None:
    _, plain = make_api_key(organization, "admin")
    program = api_client(plain)
    errors(program.get(f"{API}subscriptions"), 403)
    errors(program.post(f"{API}test"), 403)
