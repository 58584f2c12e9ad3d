"""Requests that no provider sends, and more of them at once than one would like."""

from __future__ import annotations

import logging
import time
import tracemalloc
from typing import Any

import orjson
import pytest
import redis
from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.cache.backends.redis import RedisCacheClient
from django.core.checks import run_checks
from django.db import connection
from django.test import AsyncClient, Client, override_settings
from django.test.utils import CaptureQueriesContext

from notifications.models import Delivery, DeliveryAttempt, ProviderEvent, Suppression
from notifications.services import provider_accounts
from notifications.webhooks import wrong_signatures

from . import senders

pytestmark = pytest.mark.django_db


def signed(body: bytes, account: Any) -> senders.Post:
    return senders.sendgrid(body, account=account.id)


@pytest.fixture
def environment(settings: Any) -> Any:
    """The environment's own SendGrid account."""

    def use(**more: str) -> None:
        settings.PROVIDER_ENVIRONMENT = {
            "SENDGRID_API_KEY": "x",
            "SENDGRID_WEBHOOK_PUBLIC_KEY": senders.sendgrid_public_key(),
            **more,
        }
        provider_accounts.forget_rows()

    return use


def test_the_plain_address_is_the_environments_account(environment: Any, sent: Any, said: Any) -> None:
    delivery = sent()
    event = senders.sendgrid_event(said("delivered", delivery))
    assert senders.sendgrid([event]).send().status_code == 404
    environment()
    assert senders.sendgrid([event]).send().status_code == 200
    assert ProviderEvent.objects.get().account == "env:sendgrid"
    environment(SENDGRID_WEBHOOK_PUBLIC_KEY="")
    assert senders.sendgrid([event]).send().status_code == 503


@pytest.mark.parametrize(("debug", "id_"), [(False, "castcomm.E025"), (True, "castcomm.W025")])
def test_a_provider_without_its_webhooks_secret_fails_the_check(
    environment: Any, debug: bool, id_: str
) -> None:
    environment(SENDGRID_WEBHOOK_PUBLIC_KEY="")
    with override_settings(DEBUG=debug):
        (found,) = [one for one in run_checks(tags=["security"]) if one.id == id_]
    assert "sendgrid" in found.msg
    assert "SENDGRID_WEBHOOK_PUBLIC_KEY" in (found.hint or "")
    environment()
    assert not [one for one in run_checks(tags=["security"]) if one.id == id_]


def test_addresses_that_name_nothing_are_not_found(make_account: Any, db: None) -> None:
    account = make_account("sendgrid")
    for path in (
        "/webhooks/email/nobody",
        "/webhooks/sms/sendgrid",
        "/webhooks/fax/sendgrid",
        "/webhooks/email/console",
        "/webhooks/email/smtp",
        f"/webhooks/email/mailgun/{account.id}",
        f"/webhooks/sms/twilio/{account.id}",
        "/webhooks/email/sendgrid/0198c0de-0000-7000-8000-000000000000",
        "/webhooks/email/sendgrid/env:sendgrid",
        "/webhooks/email/sendgrid/..",
    ):
        assert senders.Post(path, b"[]").send().status_code == 404, path


def test_only_post_and_no_cookies(make_account: Any, sent: Any, said: Any) -> None:
    account = make_account("sendgrid")
    place = senders.path("sendgrid", account.id)
    assert Client().get(place).status_code == 405
    assert Client().put(place, b"[]").status_code == 405
    answer = signed(orjson.dumps([senders.sendgrid_event(said("delivered", sent()))]), account).send()
    assert (answer.status_code, answer.content, dict(answer.cookies)) == (200, b"", {})


def test_a_forged_request_costs_one_look_at_the_account(make_account: Any) -> None:
    account = make_account("sendgrid")
    request = senders.sendgrid([{"event": "open"}], account=account.id, key=senders.OTHER_SENDGRID_KEY)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert request.send().status_code == 401
    assert len(queries) == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"not json", 400),
        (b"{", 400),
        (b"\xff\xfe\x00", 400),
        (b'{"event": "open"}', 400),
        (b"null", 400),
        (b"[" * 100_000, 400),
        (b"[[[[[]]]]]", 200),
        (b'["open", 1, null, {}, {"event": ["open"]}, {"event": {"a": 1}}, {"event": "new"}]', 200),
        (b'[{"event": "open", "timestamp": "x", "email": [], "sg_event_id": {}, "sg_message_id": 7}]', 200),
        (b'[{"event": "open", "timestamp": 1e300}, {"event": "open", "timestamp": -1e300}]', 200),
        (b'[{"event": "open", "timestamp": true, "delivery_id": "no uuid"}]', 200),
    ],
)
def test_bodies_that_make_no_sense(make_account: Any, body: bytes, status: int) -> None:
    answer = signed(body, make_account("sendgrid")).send()
    assert answer.status_code == status
    if status == 400:
        assert answer.json()["errors"][0]["code"] == "invalid"
        assert not ProviderEvent.objects.exists()


@pytest.mark.parametrize("provider", ["mailgun", "resend", "postmark", "amazon_ses"])
@pytest.mark.parametrize(
    "body", [b"", b"x", b"[]", b"null", b'{"signature": []}', b'{"signature": {"token": 5}}']
)
def test_no_body_breaks_a_parser(provider: str, body: bytes, make_account: Any) -> None:
    account = make_account(provider)
    for request in (
        senders.Post(senders.path(provider, account.id), body),
        senders.postmark(body, account=account.id),
        senders.resend(body, account=account.id),
    ):
        request.path = senders.path(provider, account.id)
        assert request.send().status_code in (200, 400, 401, 403)
    assert not ProviderEvent.objects.exists()


def test_texts_with_line_breaks_and_nul(make_account: Any, sent: Any, said: Any, caplog: Any) -> None:
    delivery = sent()
    event = senders.sendgrid_event(said("bounced", delivery, detail="550 no\r\nBcc: all\x00\u2028end"))
    event["sg_event_id"] = "a\r\nb\x00c"
    event["more\x00"] = {"deep": ["\x00", "\\u0000"]}
    with caplog.at_level(logging.INFO):
        assert signed(orjson.dumps([event]), make_account("sendgrid")).send().status_code == 200
    stored = ProviderEvent.objects.get()
    assert stored.delivery_id == delivery.id
    assert stored.detail == "550 no  Bcc: all  end"
    assert "\x00" not in str(stored.payload)
    assert not any("\n" in str(record.args) for record in caplog.records)


def test_large_and_deep_events_are_kept_in_part(make_account: Any, sent: Any, said: Any) -> None:
    first, second = sent(), sent(to={"email": "b@example.com"})
    large = {**senders.sendgrid_event(said("delivered", first)), "text": "x" * 200_000}
    deep: Any = []
    for _ in range(200):
        deep = [deep]
    nested = {**senders.sendgrid_event(said("delivered", second)), "deep": deep}
    body = orjson.dumps([large, nested]).replace(b"[" * 200, b"[" * 400).replace(b"]" * 200, b"]" * 400)
    assert signed(body, make_account("sendgrid")).send().status_code == 200
    assert set(Delivery.objects.values_list("status", flat=True)) == {"delivered"}
    assert all("left_out" in payload for payload in ProviderEvent.objects.values_list("payload", flat=True))


def test_more_than_two_megabytes_are_refused(make_account: Any) -> None:
    account = make_account("sendgrid")
    body = b'[{"x": "' + b"y" * (2 * 1024 * 1024) + b'"}]'
    assert signed(body, account).send().status_code == 413
    # More than the API takes, and less than that: SendGrid sends thousands of events at once.
    body = b'[{"x": "' + b"y" * (1900 * 1024) + b'"}]'
    assert signed(body, account).send().status_code == 200


def test_who_signs_wrongly_all_the_time_is_not_listened_to(
    make_account: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wrong_signatures, "FAILURES", 3)
    account = make_account("sendgrid")
    request = senders.sendgrid([], account=account.id, key=senders.OTHER_SENDGRID_KEY)
    answers = [request.send(REMOTE_ADDR="192.0.2.7") for _ in range(4)]
    assert [one.status_code for one in answers] == [401, 401, 401, 429]
    assert answers[-1].headers["Retry-After"] == "60"
    assert senders.sendgrid([], account=account.id).send(REMOTE_ADDR="192.0.2.8").status_code == 200


def test_a_minute_that_ends_while_it_is_counted_does_not_last_for_ever(
    make_account: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def incr(self: RedisCacheClient, key: str, delta: int) -> int:
        client = self.get_client(key, write=True)
        client.delete(key)  # as when it runs out after Django has looked whether it is there
        return int(client.incr(key, delta))

    monkeypatch.setattr(RedisCacheClient, "incr", incr)
    request = senders.sendgrid([], account=make_account("sendgrid").id, key=senders.OTHER_SENDGRID_KEY)
    assert [request.send().status_code for _ in range(2)] == [401, 401]
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        (key,) = client.scan_iter(f"{settings.REDIS_PREFIX}:*webhook-refused*", count=1000)
        assert 0 < client.ttl(key) <= 60


def close_connection_of_views() -> None:
    """Run where views run: the proxy looks its connection up in the thread that asks."""
    connection.close()


@pytest.mark.django_db(transaction=True)
async def test_the_same_over_asgi(make_account: Any, sent: Any, said: Any) -> None:
    """As the web process serves it: the body comes in by another way."""
    delivery = await sync_to_async(sent)()
    account = await sync_to_async(make_account)("sendgrid")
    request = senders.sendgrid([senders.sendgrid_event(said("delivered", delivery))], account=account.id)
    answer = await AsyncClient().post(
        request.path, request.body, content_type=request.content_type, headers=request.headers
    )
    assert answer.status_code == 200
    large = senders.sendgrid(b"[" + b" " * (2 * 1024 * 1024) + b"]", account=account.id)
    answer = await AsyncClient().post(
        large.path, large.body, content_type=large.content_type, headers=large.headers
    )
    assert answer.status_code == 413
    await delivery.arefresh_from_db()
    await sync_to_async(close_connection_of_views)()
    assert delivery.status == "delivered"


def test_a_refusal_says_nothing_of_why(make_account: Any, caplog: Any) -> None:
    account = make_account("sendgrid")
    stale = senders.sendgrid([], account=account.id, at=time.time() - 7200).send()
    wrong = senders.sendgrid([], account=account.id, key=senders.OTHER_SENDGRID_KEY).send()
    assert stale.content == wrong.content
    assert senders.sendgrid_public_key().encode() not in wrong.content


def test_five_thousand_in_a_burst(make_account: Any, sent: Any, news: Any, organization: Any) -> None:
    """Bounces, complaints, duplicates and strangers, in requests as large as SendGrid's, and all once more."""
    count = 5_000
    deliveries = _many(sent(), count)
    account = make_account("sendgrid")
    kinds = ("processed", "delivered", "bounce", "spamreport", "open")
    events = [
        {
            "event": kinds[number % len(kinds)],
            "email": f"person{number}@example.com",
            "timestamp": int(time.time()) - 60,
            "sg_event_id": f"event-{number}",
            "sg_message_id": f"m{number}.recvd",
            # Every tenth is somebody else's.
            **(
                {"delivery_id": str(deliveries[number])}
                if number % 10
                else {"delivery_id": "another-system's"}
            ),
        }
        for number in range(count)
    ]
    requests = [senders.sendgrid(events[at : at + 1000], account=account.id) for at in range(0, count, 1000)]

    tracemalloc.start()
    with CaptureQueriesContext(connection) as queries:
        assert {request.send().status_code for request in requests} == {200}
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert {request.send().status_code for request in requests} == {200}

    assert ProviderEvent.objects.count() == count
    assert ProviderEvent.objects.filter(delivery=None).count() == count // 10
    assert Suppression.objects.filter(organization=organization, reason="bounce").count() == count // 5
    # Strangers are every tenth, and those are all "processed" or "open".
    assert Suppression.objects.filter(organization=organization, reason="complaint").count() == count // 5
    assert Delivery.objects.filter(status="bounced").count() == count // 5
    assert len(queries) < 200, "a handful of statements per 500 events, not one per event"
    assert most < 64 * 1024 * 1024


def _many(pattern: Delivery, count: int) -> list[Any]:
    """``count`` deliveries like ``pattern``, each of a notification of its own."""
    from castcomm.common.ids import new_id
    from notifications.models import Notification

    notification = pattern.notification
    notifications, deliveries, attempts = [], [], []
    for number in range(count):
        notifications.append(
            Notification(
                id=new_id(),
                organization_id=notification.organization_id,
                request_id=notification.request_id,
                event_type_id=notification.event_type_id,
                priority=notification.priority,
            )
        )
        deliveries.append(
            Delivery(
                id=new_id(),
                organization_id=pattern.organization_id,
                notification=notifications[-1],
                channel="email",
                priority=2,
                status="sent",
                reason="accepted",
                due_at=pattern.due_at,
                provider="sendgrid",
                provider_message_id=f"m{number}" if number % 10 else "",
            )
        )
        attempts.append(
            DeliveryAttempt(
                id=new_id(),
                delivery=deliveries[-1],
                number=1,
                provider="sendgrid",
                outcome="sent",
                started_at=pattern.due_at,
                finished_at=pattern.due_at,
            )
        )
    Notification.objects.bulk_create(notifications, batch_size=1000)
    Delivery.objects.bulk_create(deliveries, batch_size=1000)
    DeliveryAttempt.objects.bulk_create(attempts, batch_size=1000)
    return [one.id for one in deliveries]
