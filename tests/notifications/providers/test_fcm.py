"""Firebase, as its HTTP v1 API answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from castcomm.common.errors import InvalidInput
from notifications.models import ProviderAccount
from notifications.providers.base import PushMessage, PushTarget
from notifications.providers.push import fcm
from notifications.services.provider_accounts_editing import save_provider_account
from notifications.stand_ins import StandIn, stand_in
from notifications.vocabulary import Outcome

from .far_side import far_side
from .subjects import ID, firebase_credentials, make


@pytest.fixture
def server() -> Iterator[StandIn]:
    with stand_in() as made:
        yield made


@pytest.fixture
def provider(server: StandIn) -> Iterator[Any]:
    made = make("push", "fcm", firebase_credentials(server) | {"api_url": server.url("fcm")})
    yield made
    made.close()


def message(*tokens: str, **fields: Any) -> PushMessage:
    targets = tuple(
        PushTarget(subscription_id=f"s-{one}", kind="fcm", endpoint=one) for one in tokens or ("token",)
    )
    given = {"delivery_id": ID, "user_id": "u", "title": "Title", "body": "Body", "action_url": "/orders/1"}
    return PushMessage(**{**given, "targets": targets, **fields})


def test_each_platform_is_told_how_urgent_it_is(server: StandIn, provider: Any) -> None:
    actions = ({"action": "open", "title": "Open"},)
    result = provider.deliver(message(ttl=60, urgency="high", topic="order-1", actions=actions))
    assert result.outcome == Outcome.SENT
    [taken] = server.accepted("fcm")
    assert result.provider_message_id == taken.message_id
    body = taken.body
    assert body["token"] == "token"
    assert body["notification"] == {"title": "Title", "body": "Body"}
    assert body["data"] == {
        "delivery_id": ID,
        "url": "/orders/1",
        "actions": orjson.dumps(list(actions)).decode(),
    }
    assert body["android"]["priority"] == "high"
    assert body["android"]["ttl"] == "60s"
    assert body["android"]["collapse_key"] == "order-1"
    assert body["apns"]["headers"]["apns-priority"] == "10"
    assert body["apns"]["headers"]["apns-collapse-id"] == "order-1"


def test_one_access_token_serves_many(server: StandIn, provider: Any) -> None:
    result = provider.deliver(message("a", "b", "c"))
    assert result.taken == ("s-a", "s-b", "s-c")
    assert len({one.headers["authorization"] for one in server.accepted("fcm")}) == 1


def test_a_token_that_was_withdrawn_is_replaced(server: StandIn, provider: Any) -> None:
    assert provider.deliver(message()).outcome == Outcome.SENT
    server.sides["fcm"]._tokens.clear()
    result = provider.deliver(message())
    assert result.outcome == Outcome.NOT_SENT
    assert provider.deliver(message()).outcome == Outcome.SENT


def test_an_app_that_was_removed_is_gone(server: StandIn, provider: Any) -> None:
    server.refuse_recipient("fcm", "b")
    result = provider.deliver(message("a", "b"))
    assert (result.outcome, result.detail) == (Outcome.SENT, "1 of 2 devices took it; 1 removed.")
    assert (result.taken, result.gone) == (("s-a",), ("s-b",))


def test_a_wrong_address_of_ours_removes_nobody(server: StandIn) -> None:
    lost = make("push", "fcm", firebase_credentials(server) | {"api_url": server.url("fcm", "elsewhere")})
    result = lost.deliver(message())
    assert (result.outcome, result.gone) == (Outcome.NOT_SENT, ())


def test_a_long_body_is_shortened(server: StandIn, provider: Any) -> None:
    assert provider.deliver(message(body="漢" * 5000)).outcome == Outcome.SENT
    [taken] = server.accepted("fcm")
    assert taken.body["notification"]["body"].endswith("漢…")


ERRORS: dict[str, tuple[int, dict[str, Any], Outcome, bool]] = {
    "a token of another form": (
        400,
        {"fieldViolations": [{"field": "message.token", "description": "Invalid registration token"}]},
        Outcome.PERMANENT,
        True,
    ),
    "a field of ours": (
        400,
        {"fieldViolations": [{"field": "message.android.ttl", "description": "Bad"}]},
        Outcome.PERMANENT,
        False,
    ),
    "another project's app": (403, {"errorCode": "SENDER_ID_MISMATCH"}, Outcome.PERMANENT, False),
    "no permission": (403, {}, Outcome.NOT_SENT, False),
    "no such project": (404, {}, Outcome.NOT_SENT, False),
    "gone": (404, {"errorCode": "UNREGISTERED"}, Outcome.PERMANENT, True),
    "a limit": (429, {"errorCode": "QUOTA_EXCEEDED"}, Outcome.NOT_SENT, False),
    "unwell": (500, {"errorCode": "INTERNAL"}, Outcome.UNKNOWN, False),
}


@pytest.mark.parametrize("name", ERRORS)
def test_what_each_error_means(
    name: str, server: StandIn, provider: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, detail, outcome, gone = ERRORS[name]
    from notifications.stand_ins.far_side import Refused, json_answer

    error = {"code": status, "message": "No.", "status": "INVALID_ARGUMENT", "details": [detail]}

    def refuse(*_: object) -> None:
        raise Refused(json_answer(status, {"error": error}))

    monkeypatch.setattr(server.sides["fcm"], "_check", refuse)
    result = provider.deliver(message())
    assert (result.outcome, bool(result.gone)) == (outcome, gone), result.detail
    assert "No." in result.detail or gone


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error": "no"}', b'{"error": {"details": [1]}}'])
def test_an_error_of_any_form_is_borne(
    body: bytes, server: StandIn, provider: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from notifications.stand_ins.far_side import Answer, Refused

    def refuse(*_: object) -> None:
        raise Refused(Answer(404, body, "text/html"))

    monkeypatch.setattr(server.sides["fcm"], "_check", refuse)
    result = provider.deliver(message())
    assert (result.outcome, result.gone) == (Outcome.NOT_SENT, ())


def refuse_token(*_: object) -> None:
    from notifications.stand_ins.far_side import Answer, Refused

    raise Refused(Answer(400, b'{"error": "invalid_grant"}', "application/json"))


def test_without_an_access_token_nothing_is_sent(server: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = make("push", "fcm", firebase_credentials(server) | {"api_url": server.url("fcm")})
    monkeypatch.setattr(server.sides["fcm"], "_token", refuse_token)
    for _ in range(2):
        result = provider.deliver(message())
        assert result.outcome == Outcome.NOT_SENT
        assert "access token" in result.detail
    assert server.calls("fcm") == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"1",
        b"{}",
        b'{"access_token": null, "expires_in": 3599}',
        b'{"access_token": 5, "expires_in": 3599}',
        b'{"access_token": "a\\r\\nX: 1", "expires_in": 3599}',
        b'{"access_token": "t", "expires_in": "soon"}',
        b'{"access_token": "t", "expires_in": [1]}',
        b'{"access_token": "t", "expires_in": 1e300}',
    ],
)
def test_a_token_answer_of_any_form_is_borne(
    body: bytes, server: StandIn, provider: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from notifications.stand_ins.far_side import Answer

    monkeypatch.setattr(server.sides["fcm"], "_token", lambda _: Answer(200, body, "application/json"))
    for _ in range(2):
        result = provider.deliver(message())
        assert (result.outcome, "access token" in result.detail) == (Outcome.NOT_SENT, True)
    assert server.calls("fcm") == 0


@pytest.mark.parametrize("allowed", [False, True])
def test_access_tokens_come_from_google(allowed: bool, server: StandIn, settings: Any) -> None:
    """A service account is somebody's input: it does not choose what this machine posts to."""
    settings.PROVIDER_STAND_INS = allowed
    elsewhere: list[bytes] = []
    with far_side(lambda far, connection: elsewhere.append(far.read(connection))) as far:
        given = json.loads(firebase_credentials(server)["firebase_credentials"])
        given["token_uri"] = f"{far.url}/internal"
        values = {"firebase_credentials": json.dumps(given), "api_url": server.url("fcm") if allowed else ""}
        provider = make("push", "fcm", values)
        result = provider.deliver(message())
        with pytest.raises(InvalidInput) as caught:
            fcm.Fcm.check_credentials(values)
    assert (result.outcome, elsewhere) == (Outcome.NOT_SENT, [])
    assert "token_uri" in result.detail
    assert caught.value.attr == "firebase_credentials"


@pytest.mark.django_db
def test_an_account_is_not_saved_that_takes_its_tokens_elsewhere(server: StandIn, settings: Any) -> None:
    settings.PROVIDER_STAND_INS = False
    given = json.loads(firebase_credentials(server)["firebase_credentials"])
    row = ProviderAccount(channel="push", provider="fcm", name="Apps")
    for wrong in (json.dumps(given), "nonsense", "[]"):
        with pytest.raises(InvalidInput) as caught:
            save_provider_account(account=row, credentials={"firebase_credentials": wrong})
        assert caught.value.attr == "credentials.firebase_credentials"
    assert not ProviderAccount.objects.exists()
    given["token_uri"] = fcm.TOKEN_URI
    save_provider_account(account=row, credentials={"firebase_credentials": json.dumps(given)})


@pytest.mark.parametrize(
    "given", ["nonsense", "{", "[]", '{"type": "service_account"}', "/no/such/file.json"]
)
def test_a_wrong_service_account_holds_it_back(given: str) -> None:
    provider = make("push", "fcm", {"firebase_credentials": given, "fcm_project_id": "p"})
    result = provider.deliver(message())
    assert result.outcome == Outcome.NOT_SENT
    assert "service account" in result.detail or "FIREBASE_CREDENTIALS" in result.detail


def test_the_file_of_a_service_account_is_read_for_the_environment_alone(tmp_path: Path) -> None:
    path = tmp_path / "account.json"
    path.write_text('{"project_id": "p"}')
    assert fcm.service_account_of(str(path), may_be_path=True) == {"project_id": "p"}
    with pytest.raises(ValueError, match="not JSON"):
        fcm.service_account_of(str(path), may_be_path=False)
