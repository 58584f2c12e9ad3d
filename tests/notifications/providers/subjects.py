"""Who is held to the contract's matrix. To add a provider, add a ``Subject`` to ``SUBJECTS``.

A subject whose stand-in is in ``notifications.stand_ins`` needs its keys, how it is made and a message (``over_http``);
any other brings a ``stage``: a context that breaks the far side as told and tells what it has accepted.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.test import override_settings

from notifications.providers.base import (
    Account,
    EmailMessage,
    PushMessage,
    PushTarget,
    SmsMessage,
    providers_of,
)
from notifications.providers.email.anymail_adapter import AnymailProvider
from notifications.providers.push.vapid import make_keys
from notifications.stand_ins import stand_in
from notifications.vocabulary import Outcome
from tests.notifications.smtp_server import smtp_server

PATIENCE = 0.4  # seconds for which a provider waits for a far side that hangs
RETRY_AFTER = 7.0  # seconds
MODES = ("ok", "slow", "429", "503", "401", "400", "500", "hang", "reset", "refuse")
OUTCOMES: Mapping[str, Outcome] = {
    "ok": Outcome.SENT,
    "slow": Outcome.SENT,
    "429": Outcome.NOT_SENT,
    "503": Outcome.NOT_SENT,
    "401": Outcome.NOT_SENT,
    "400": Outcome.PERMANENT,
    "500": Outcome.UNKNOWN,
    "hang": Outcome.UNKNOWN,
    "reset": Outcome.UNKNOWN,
    "refuse": Outcome.NOT_SENT,
}
ID = "0190aaaa-bbbb-7ccc-8ddd-eeeeffff0000"
Message = EmailMessage | SmsMessage | PushMessage


@dataclass(frozen=True)
class Taken:
    """A message that the far side accepted."""

    to: str
    message_id: str
    delivery_id: str


class FarEnd(Protocol):
    """The far side of one provider, in one mode."""

    provider: Any

    def taken(self) -> list[Taken]:
        """What it has accepted, whether or not it said so."""

    def calls(self) -> int:
        """How often it was asked."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A row of the matrix. ``outcomes`` names the modes in which this provider differs from the table.

    ``says_retry_after``: whether its 429 can carry a wait. ``gives_id``: whether it returns the far side's own id.
    ``carries_id``: whether our delivery's id travels with the message.
    """

    key: str
    channel: str
    message: Message
    stage: Callable[[str, pytest.MonkeyPatch], AbstractContextManager[FarEnd]]
    modes: tuple[str, ...] = MODES
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    says_retry_after: bool = True
    gives_id: bool = True
    carries_id: bool = True

    def expected(self, mode: str) -> Outcome:
        return {**OUTCOMES, **self.outcomes}[mode]


def mail(**fields: Any) -> EmailMessage:
    """A mail to send; any field may be another."""
    given: dict[str, Any] = {
        "delivery_id": ID,
        "sender": "from@example.com",
        "sender_name": "Sender",
        "to": "to@example.com",
        "subject": "Subject",
        "text": "Text",
        "html": "<p>Text</p>",
        "message_id": f"{ID}@example.com",
    }
    return EmailMessage(**{**given, **fields})


def sms(**fields: Any) -> SmsMessage:
    return SmsMessage(**{"delivery_id": ID, "to": "+4915112345678", "text": "Text", **fields})


def make(channel: str, key: str, credentials: Mapping[str, str]) -> Any:
    """The provider of an account with these credentials."""
    account = Account(key=f"env:{key}", provider=key, channel=channel, credentials=credentials)
    return providers_of(channel).get(key)(account)


@dataclass
class _StandInEnd:
    provider: Any
    server: Any
    far: str

    def taken(self) -> list[Taken]:
        return [Taken(one.to, one.message_id, one.delivery_id) for one in self.server.accepted(self.far)]

    def calls(self) -> int:
        found: int = self.server.calls(self.far)
        return found


def over_http(
    key: str,
    far: str,
    *,
    channel: str,
    message: Message,
    hurry: Callable[[pytest.MonkeyPatch], None],
    limits: Mapping[str, Any] | None = None,
    **credentials: str,
) -> Subject:
    """A provider whose far side is ``far`` of ``notifications.stand_ins``; ``hurry`` limits its patience.

    ``limits`` are fields of the Subject in which it falls short.
    """

    @contextmanager
    def stage(mode: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FarEnd]:
        hurry(monkeypatch)
        with stand_in() as server:
            provider = make(channel, key, {**credentials, "api_url": server.url(far)})
            if mode != "ok":
                server.break_(far, mode=mode, retry_after=RETRY_AFTER if mode == "429" else None, seconds=0.1)
            yield _StandInEnd(provider, server, far)
            provider.close()

    return Subject(key=key, channel=channel, message=message, stage=stage, **(limits or {}))


def _mail_over_http(key: str, far: str, **credentials: str) -> Subject:
    def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(AnymailProvider, "read_timeout", PATIENCE)

    return over_http(key, far, channel="email", message=mail(), hurry=hurry, **credentials)


def _sms_over_http(key: str, far: str, *, carries_id: bool = True, **credentials: str) -> Subject:
    def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(f"notifications.providers.sms.{key}.READ_TIMEOUT", PATIENCE)

    limits = {"carries_id": carries_id}
    return over_http(key, far, channel="sms", message=sms(), hurry=hurry, limits=limits, **credentials)


# SMTP has no such statuses; these say the same. After the final dot 5xx means "refused", and nonsense "who knows".
_SMTP: Mapping[str, dict[str, Any]] = {
    "ok": {},
    "slow": {"hang": 0.1},
    "429": {"at": {"RCPT": "450 4.2.1 Try again later"}},
    "503": {"at": {"MAIL": "421 4.3.2 Closing"}},
    "401": {"password": "another"},
    "400": {"at": {"RCPT": "550 5.1.1 No such user"}},
    "500": {"at": {"DATA": "650 What?"}},
    "hang": {"hang": 5.0},
    "reset": {"reset": True},
    "refuse": {},
}


@dataclass
class _SmtpEnd:
    provider: Any
    server: Any

    def taken(self) -> list[Taken]:
        return [
            Taken(one.recipients[0], str(one.message["Message-ID"]).strip("<>"), one.delivery)
            for one in self.server.arrived
        ]

    def calls(self) -> int:
        found: int = self.server.connections
        return found


@contextmanager
def _smtp_stage(mode: str, _monkeypatch: pytest.MonkeyPatch) -> Iterator[FarEnd]:
    with smtp_server(**_SMTP[mode]) as server:
        port = server.port
        given = {"host": "127.0.0.1", "port": str(port), "timeout": "1" if mode != "hang" else str(PATIENCE)}
        if mode == "401":
            given |= {"user": "someone", "password": "wrong"}
        if mode != "refuse":
            provider = make("email", "smtp", given)
            yield _SmtpEnd(provider, server)
            provider.close()
            return
    yield _SmtpEnd(make("email", "smtp", given), server)  # the server is gone, its port is closed


@dataclass
class _PushEnd:
    """Pushes to the one device that the far side knows; a push names no recipient but its devices."""

    real: Any
    server: Any
    far: str
    target: PushTarget

    @property
    def provider(self) -> _PushEnd:
        return self

    def deliver(self, message: PushMessage) -> Any:
        return self.real.deliver(replace(message, targets=(self.target,)))

    def taken(self) -> list[Taken]:
        # A push service names the message in the address that it returns; ours is the end of it.
        return [Taken("", one.message_id, one.delivery_id) for one in self.server.accepted(self.far)]

    def calls(self) -> int:
        found: int = self.server.calls(self.far)
        return found


@contextmanager
def _push_stage(mode: str, monkeypatch: pytest.MonkeyPatch, *, key: str) -> Iterator[FarEnd]:
    monkeypatch.setattr(f"notifications.providers.push.{key}.READ_TIMEOUT", PATIENCE)
    with stand_in() as server, override_settings(WEBPUSH_ALLOW_LOOPBACK=True):
        if key == "fcm":
            target = PushTarget(subscription_id="1", kind="fcm", endpoint="token")
            provider = make("push", key, firebase_credentials(server) | {"api_url": server.url("fcm")})
        else:
            device = server.device()
            target = PushTarget(
                subscription_id="1",
                kind="web",
                endpoint=device.endpoint,
                p256dh=device.p256dh,
                auth=device.auth,
            )
            provider = make("push", key, {"vapid_private_key": make_keys()[1]})
        if mode != "ok":
            server.break_(key, mode=mode, retry_after=RETRY_AFTER if mode == "429" else None, seconds=0.1)
        yield _PushEnd(provider, server, key, target)
        provider.close()


def firebase_credentials(server: Any) -> dict[str, str]:
    """A service account that the stand-in's Firebase takes; its project is its own, and so is its breaker."""
    account = {
        "type": "service_account",
        "project_id": f"project-{server.port}",
        "private_key_id": "1",
        "private_key": _service_key(),
        "client_email": "sender@project.iam.gserviceaccount.com",
        "token_uri": server.url("fcm", "token"),
    }
    return {"firebase_credentials": json.dumps(account)}


@functools.cache
def _service_key() -> str:
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = made.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pem.decode()


def _push(key: str, *gone: str) -> Subject:
    message = PushMessage(delivery_id=ID, user_id="", title="Title", body="Body", action_url="/a")
    outcomes = dict.fromkeys(gone, Outcome.PERMANENT)
    stage = functools.partial(_push_stage, key=key)
    return Subject(
        key=key, channel="push", message=message, stage=stage, modes=(*MODES, *gone), outcomes=outcomes
    )


SUBJECTS: tuple[Subject, ...] = (
    _mail_over_http("sendgrid", "sendgrid", api_key="key"),
    _mail_over_http("mailgun", "mailgun", api_key="key", domain="mg.example.com"),
    _mail_over_http("resend", "resend", api_key="key"),
    _mail_over_http("postmark", "postmark", api_key="key"),
    _mail_over_http("amazon_ses", "ses", access_key="id", secret_key="key", region="eu-central-1"),
    Subject(key="smtp", channel="email", message=mail(), stage=_smtp_stage, says_retry_after=False),
    _sms_over_http("twilio", "twilio", account_sid="AC1", auth_token="key", from_number="+12025550100"),
    _sms_over_http(
        *("amazon_sns", "sns"),
        carries_id=False,  # SNS has no place for it
        access_key_id="id",
        secret_access_key="key",
        region="eu-central-1",
    ),
    _push("webpush", "404", "410"),
    _push("fcm", "404"),
)
MAIL = tuple(one for one in SUBJECTS if one.channel == "email")
