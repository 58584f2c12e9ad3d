"""Web Push against a push service that checks what a real one checks, and browsers that decrypt."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from django.test import override_settings

from castcomm.common import http
from notifications.providers.base import PushMessage, PushTarget
from notifications.providers.push import services, webpush
from notifications.providers.push.encryption import LARGEST_TEXT
from notifications.providers.push.vapid import make_keys
from notifications.services import push_click_tokens
from notifications.stand_ins import Device, StandIn, stand_in
from notifications.vocabulary import Outcome

from .subjects import ID, PATIENCE, make

PRIVATE = make_keys()[1]


@pytest.fixture
def server() -> Iterator[StandIn]:
    with stand_in() as made:
        yield made


@pytest.fixture
def provider() -> Iterator[Any]:
    with override_settings(WEBPUSH_ALLOW_LOOPBACK=True):
        made = make("push", "webpush", {"vapid_private_key": PRIVATE, "vapid_email": "ops@example.com"})
        yield made
        made.close()


def target(device: Device, **fields: str) -> PushTarget:
    given = {
        "subscription_id": device.name,
        "kind": "web",
        "endpoint": device.endpoint,
        "p256dh": device.p256dh,
        "auth": device.auth,
    }
    return PushTarget(**{**given, **fields})


def message(*targets: PushTarget, **fields: Any) -> PushMessage:
    given = {"delivery_id": ID, "user_id": "u", "title": "Title", "body": "Body", "action_url": "/orders/1"}
    return PushMessage(**{**given, "targets": targets, **fields})


def test_a_browser_reads_what_was_pushed(server: StandIn, provider: Any) -> None:
    device = server.device()
    actions = ({"action": "open", "title": "Open", "url": "/orders/1"},)
    sent = message(target(device), ttl=60, urgency="high", topic="order-1", actions=actions)
    result = provider.deliver(sent)
    assert (result.outcome, result.detail) == (Outcome.SENT, "")
    assert result.taken == (device.name,)
    [taken] = server.accepted("webpush")
    assert str(push_click_tokens.read(taken.body.pop("click"))) == ID
    assert taken.body == {
        "delivery_id": ID,
        "title": "Title",
        "body": "Body",
        "url": "/orders/1",
        "actions": [dict(actions[0])],
        "topic": "order-1",
    }
    told = {name: taken.headers[name] for name in ("ttl", "urgency", "topic", "content-encoding")}
    assert told == {"ttl": "60", "urgency": "high", "topic": "order-1", "content-encoding": "aes128gcm"}


def test_a_topic_of_any_form_fits_its_header(server: StandIn, provider: Any) -> None:
    device = server.device()
    for topic in ("Bestellung № 1", "x" * 100, "Bestellung № 1"):
        assert provider.deliver(message(target(device), topic=topic)).outcome == Outcome.SENT
    first, second, third = (one.headers["topic"] for one in server.accepted("webpush"))
    assert first == third != second
    assert len(first) == len(second) == 32


@pytest.mark.parametrize("piece", ["a", "ü", "\n", "漢", '"', "👍"])
def test_a_body_that_is_too_long_is_shortened(server: StandIn, provider: Any, piece: str) -> None:
    device = server.device()
    assert provider.deliver(message(target(device), body=piece * 5000)).outcome == Outcome.SENT
    [taken] = server.accepted("webpush")
    assert taken.size <= 4096
    assert taken.body["title"] == "Title"
    text = taken.body["body"].removesuffix("…")
    if piece != "\n":
        assert len(text) > 600
    assert text == piece * len(text)


def test_the_longest_body_that_fits_is_left_alone(server: StandIn, provider: Any) -> None:
    device = server.device()
    bare = len(provider.encode(message(body="")))
    exact = "a" * (LARGEST_TEXT - bare)
    for body, expected in ((exact, exact), (exact + "a", exact[:-3] + "…")):
        assert provider.deliver(message(target(device), body=body)).outcome == Outcome.SENT
        assert server.accepted("webpush")[-1].body["body"] == expected


def test_what_is_too_large_without_its_body_is_refused(server: StandIn, provider: Any) -> None:
    result = provider.deliver(message(target(server.device()), title="t" * 4000))
    assert result.outcome == Outcome.PERMANENT
    assert "at most 3993" in result.detail
    assert server.calls("webpush") == 0


def test_the_header_is_signed_once_per_service_and_hour(
    server: StandIn, provider: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed: list[str] = []
    real = webpush.authorization

    def count(*args: Any, **options: Any) -> str:
        signed.append(options["audience"])
        return real(*args, **options)

    monkeypatch.setattr(webpush, "authorization", count)
    device = server.device()
    with time_machine.travel("2026-11-25T10:20:00Z", tick=False) as clock:
        for minutes in (0, 30, 15, 44):
            clock.shift(minutes * 60)
            # Each is valid for the far side at its time: the same one for an hour, then another.
            assert provider.deliver(message(target(device))).outcome == Outcome.SENT
    assert len(signed) == 2
    headers = [one.headers["authorization"] for one in server.accepted("webpush")]
    assert headers[0] == headers[1] != headers[2] == headers[3]


def test_devices_that_are_gone_are_told_apart(server: StandIn, provider: Any) -> None:
    devices = [server.device() for _ in range(3)]
    server.lose_device(devices[1].name, status=410)
    result = provider.deliver(message(*map(target, devices)))
    assert result.outcome == Outcome.SENT
    assert result.detail == "2 of 3 devices took it; 1 removed."
    assert result.taken == (devices[0].name, devices[2].name)
    assert result.gone == (devices[1].name,)


def test_nobody_left(server: StandIn, provider: Any) -> None:
    device = server.device()
    server.lose_device(device.name, status=404)
    result = provider.deliver(message(target(device)))
    assert (result.outcome, result.detail) == (Outcome.PERMANENT, "No device is left. 1 removed.")
    assert provider.deliver(message()).detail == "No device is left."
    assert result.about_recipient


@pytest.mark.parametrize(
    ("modes", "outcome", "detail"),
    [
        (["503", "ok"], Outcome.SENT, "1 of 2 devices took it; 1 not: 503"),
        (["hang", "ok"], Outcome.SENT, "1 of 2 devices took it; 1 not: The call took too long"),
        (["503", "hang"], Outcome.UNKNOWN, "0 of 2 devices took it; 1 not: 503"),
        (["429", "400"], Outcome.NOT_SENT, "0 of 2 devices took it; 1 not: 429"),
        (["400", "410"], Outcome.PERMANENT, "0 of 2 devices took it; 1 removed; 1 not: 400"),
    ],
)
def test_several_devices_have_one_outcome(
    provider: Any, modes: list[str], outcome: Outcome, detail: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider._client._read_timeout = PATIENCE
    with stand_in() as one, stand_in() as other:
        for place, mode in zip((one, other), modes, strict=True):
            if mode != "ok":
                place.break_("webpush", mode=mode, retry_after=5 if mode == "429" else None)
        result = provider.deliver(message(target(one.device()), target(other.device())))
    assert result.outcome == outcome
    assert result.detail.startswith(detail)
    assert result.retry_after == (5 if "429" in modes else None)


def test_a_device_of_another_kind_has_nobody(server: StandIn, provider: Any) -> None:
    result = provider.deliver(message(target(server.device(), kind="fcm")))
    assert result.outcome == Outcome.PERMANENT
    assert "'fcm'" in result.detail


def test_wrong_keys_of_ours_hold_it_back_until_they_are_right(server: StandIn) -> None:
    broken = make("push", "webpush", {"vapid_private_key": "nonsense"})
    with override_settings(WEBPUSH_ALLOW_LOOPBACK=True):
        result = broken.deliver(message(target(server.device())))
    assert result.outcome == Outcome.NOT_SENT
    assert "VAPID_PRIVATE_KEY" in result.detail
    assert server.calls("webpush") == 0


# Where a person's "push service" may not lead. Each is a real address of its kind.
INSIDE = [
    "https://127.0.0.1/push/1",
    "http://127.0.0.1/push/1",
    "https://169.254.169.254/latest/meta-data/",
    "https://[::ffff:10.0.0.1]/push/1",
    "https://[::1]/push/1",
    "https://10.0.0.1/push/1",
    "https://localhost/push/1",
    "https://2130706433/push/1",
]


@pytest.mark.parametrize("endpoint", INSIDE)
@pytest.mark.parametrize("allowed", [None, ["*"]])
def test_no_address_inside_is_pushed_to(endpoint: str, allowed: list[str] | None) -> None:
    device = Device(endpoint)
    options = {"WEBPUSH_ALLOWED_HOSTS": allowed} if allowed else {}
    with override_settings(WEBPUSH_ALLOW_LOOPBACK=False, **options):
        result = make("push", "webpush", {"vapid_private_key": PRIVATE}).deliver(message(target(device)))
    assert result.outcome == Outcome.PERMANENT
    assert result.gone == ()
    assert "0 of 1 devices took it" in result.detail


def test_a_known_name_that_leads_inside_is_not_pushed_to(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(*_: object, **__: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.168.1.1", 443))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    device = Device("https://updates.push.services.mozilla.com/wpush/v2/1")
    result = make("push", "webpush", {"vapid_private_key": PRIVATE}).deliver(message(target(device)))
    assert result.outcome == Outcome.PERMANENT
    assert "not on the public internet" in result.detail


class Redirecting:
    """A push service that sends everybody on, and counts who came."""

    def __init__(self, location: str) -> None:
        self.connections = 0
        self._answer = (
            f"HTTP/1.1 307 Temporary Redirect\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()
        )
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            connection.recv(65536)
            connection.sendall(self._answer)
            connection.close()

    def close(self) -> None:
        self._listener.close()


def test_a_redirect_inside_is_not_followed(provider: Any) -> None:
    inside = Redirecting("http://127.0.0.1/")
    outside = Redirecting(f"http://127.0.0.1:{inside.port}/latest/meta-data/")
    result = provider.deliver(message(target(Device(f"http://127.0.0.1:{outside.port}/push/1"))))
    for one in (inside, outside):
        one.close()
    assert result.outcome == Outcome.NOT_SENT
    assert (outside.connections, inside.connections) == (1, 0)


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://fcm.googleapis.com/fcm/send/1",
        "https://jmt17.google.com/fcm/send/1",
        "https://updates.push.services.mozilla.com/wpush/v2/1",
        "https://wns2-am3p.notify.windows.com/w/?token=1",
        "https://web.push.apple.com/1",
    ],
)
def test_the_browsers_own_services_are_known(endpoint: str) -> None:
    with override_settings(WEBPUSH_ALLOW_LOOPBACK=False):
        assert webpush.refusal_of(endpoint) == ""


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://push.example.com/1",
        "https://fcm.googleapis.com.example.com/1",
        "https://examplefcm.googleapis.com/1",
        "https://push.services.mozilla.com/1",
        "https://fcm.googleapis.com@example.com/1",
        "https://fcm.googleapis.com:8443/1",
        "http://fcm.googleapis.com/1",
        "https://fcm.googleapis.com:99999/1",
        "https://[::1/1",
        "ftp://fcm.googleapis.com/1",
        "",
    ],
)
def test_no_other_service_is(endpoint: str) -> None:
    with override_settings(WEBPUSH_ALLOW_LOOPBACK=False):
        assert webpush.refusal_of(endpoint)


def test_a_service_that_fails_is_left_alone_and_no_other(
    provider: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "REST", 0.3)
    with stand_in() as ill, stand_in() as well:
        ill.break_("webpush", mode="503")
        for _ in range(services.FAILURES + 3):
            assert provider.deliver(message(target(ill.device()))).outcome == Outcome.NOT_SENT
        assert ill.calls("webpush") == services.FAILURES
        result = provider.deliver(message(target(ill.device()), target(well.device())))
        assert (result.outcome, ill.calls("webpush")) == (Outcome.SENT, services.FAILURES)
        ill.mend("webpush")
        deadline = time.monotonic() + 5
        while provider.deliver(message(target(ill.device()))).outcome != Outcome.SENT:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert provider.deliver(message(target(ill.device()))).outcome == Outcome.SENT


def test_limits_and_refusals_are_no_illness(server: StandIn, provider: Any) -> None:
    for mode in ("429", "401", "400", "410"):
        server.break_("webpush", mode=mode)
        for _ in range(services.FAILURES + 1):
            provider.deliver(message(target(server.device())))
    assert server.calls("webpush") == 4 * (services.FAILURES + 1)


def test_time_runs_out_for_all_devices_together(
    server: StandIn, provider: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("notifications.providers.push.base.BUDGET", 0.15)
    server.break_("webpush", mode="slow", seconds=0.2)
    result = provider.deliver(message(*(target(server.device()) for _ in range(3))))
    assert result.outcome == Outcome.SENT
    assert result.detail == "1 of 3 devices took it; 2 not: No time was left."


def test_pushes_share_connections(server: StandIn, provider: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []
    real = http.Connection.open

    def count(*args: Any, **options: Any) -> Any:
        opened.append(args)
        return real(*args, **options)

    monkeypatch.setattr(http.Connection, "open", count)
    for _ in range(5):
        provider.deliver(message(target(server.device())))
    assert len(opened) == 1
