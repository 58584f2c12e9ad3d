"""The push service's and Firebase's stand-ins."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest
import requests
from py_vapid import Vapid
from pywebpush import WebPushException, webpush

from notifications.stand_ins import Device, StandIn

from .conftest import DELIVERY


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_a_device_reads_the_example_of_rfc_8291() -> None:
    device = Device(
        "https://push.example.net/push/JzLQ3raZJfFBR0aqvOMsLrt54w4rJUsV",
        private_key=_decoded("q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"),
        auth_secret=_decoded("BTBZMqHH6r4Tts7J_aSIgg"),
    )
    body = _decoded(
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6"
        "PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )
    assert device.decrypt(body) == b"When I grow up, I want to be a watermelon"
    for damaged in (body[:-1], b"", body[:16] + b"\0\0\0\x03" + body[20:], b"x" + body[1:]):
        with pytest.raises(ValueError, match=r"."):
            device.decrypt(damaged)


@pytest.fixture(scope="module")
def key() -> Vapid:
    made = Vapid()
    made.generate_keys()
    return made


def _push(device: Device, key: Vapid, text: str = "{}", **options: Any) -> Any:
    claims = {"sub": "mailto:ops@example.com"} | options.pop("claims", {})
    return webpush(
        device.subscription(), text, vapid_private_key=key, vapid_claims=claims, **({"ttl": 60} | options)
    )


def test_a_push_arrives_readable(server: StandIn, key: Vapid) -> None:
    device = server.device()
    answer = _push(device, key, json.dumps({"title": "Hallo", "data": {"delivery_id": DELIVERY}}))
    (accepted,) = server.accepted("webpush")
    assert answer.status_code == 201
    assert answer.headers["Location"].endswith(accepted.message_id)
    assert (accepted.to, accepted.delivery_id) == (device.name, DELIVERY)
    assert accepted.body["title"] == "Hallo"
    assert b"Hallo" not in accepted.content


@pytest.mark.parametrize("status", [404, 410])
def test_a_lost_device_is_gone(server: StandIn, key: Vapid, status: int) -> None:
    device = server.device()
    server.lose_device(device.name, status=status)
    with pytest.raises(WebPushException) as refused:
        _push(device, key)
    assert refused.value.status_code == status


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"claims": {"aud": "https://elsewhere.example"}}, 403),
        ({"claims": {"exp": int(time.time()) + 25 * 3600}}, 403),
        ({"headers": {"urgency": "now"}}, 400),
        ({"headers": {"topic": "a topic"}}, 400),
        ({"content_encoding": "aesgcm"}, 400),
    ],
)
def test_a_push_that_no_service_takes_is_refused(
    server: StandIn, key: Vapid, options: dict[str, Any], status: int
) -> None:
    with pytest.raises(WebPushException) as refused:
        _push(server.device(), key, **options)
    assert refused.value.status_code == status
    assert server.accepted("webpush") == []


def test_a_push_for_another_device_is_refused(server: StandIn, key: Vapid) -> None:
    stranger = Device(server.device().endpoint)
    with pytest.raises(WebPushException) as refused:
        _push(stranger, key)
    assert refused.value.status_code == 400


def test_a_push_is_signed_or_refused(server: StandIn) -> None:
    answer = requests.post(server.device().endpoint, headers={"TTL": "1"}, timeout=5)
    assert answer.status_code == 401


def _assertion(**claims: Any) -> str:
    whole = {"iss": "a@b", "aud": "x", "scope": "s", "iat": 1, "exp": time.time() + 60} | claims
    part = base64.urlsafe_b64encode(json.dumps(whole).encode()).rstrip(b"=").decode()
    return f"e30.{part}.c2ln"


def _token(server: StandIn, **claims: Any) -> requests.Response:
    grant = "urn:ietf:params:oauth:grant-type:jwt-bearer"
    form = {"grant_type": grant, "assertion": _assertion(**claims)}
    return requests.post(server.url("fcm", "token"), data=form, timeout=5)


def _fcm(server: StandIn, message: dict[str, Any], token: str) -> requests.Response:
    return requests.post(
        server.url("fcm", "v1/projects/demo/messages:send"),
        json={"message": message},
        headers={"Authorization": f"Bearer {token}"},
        timeout=5,
    )


def test_firebase_takes_a_message_with_a_token_of_its_own(server: StandIn) -> None:
    message = {"token": "device-1", "notification": {"title": "Hi"}, "data": {"delivery_id": DELIVERY}}
    assert _fcm(server, message, "ya29.stolen").status_code == 401
    server.break_("fcm", mode="503", times=1)
    access = _token(server).json()["access_token"]
    assert _fcm(server, message, access).json()["error"]["status"] == "UNAVAILABLE"
    answer = _fcm(server, message, access)
    (accepted,) = server.accepted("fcm")
    assert answer.json() == {"name": accepted.message_id}
    assert (accepted.to, accepted.delivery_id) == ("device-1", DELIVERY)
    assert server.calls("fcm") == 3, "a call for a token is no message"


def test_firebase_refuses_in_its_words(server: StandIn) -> None:
    access = _token(server).json()["access_token"]
    server.refuse_recipient("fcm", "old")
    gone = _fcm(server, {"token": "old"}, access)
    assert (gone.status_code, gone.json()["error"]["details"][0]["errorCode"]) == (404, "UNREGISTERED")
    assert _fcm(server, {"token": "t", "data": {"n": 1}}, access).status_code == 400
    assert _fcm(server, {}, access).status_code == 400
    assert _token(server, exp=1).json()["error"] == "invalid_grant"
