"""Firebase Cloud Messaging, HTTP v1: to apps.

https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages and
https://firebase.google.com/docs/cloud-messaging/error-codes. Google's firebase-admin sends again by itself after a
time-out or a 503, and says nothing of it: docs/decisions.md.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import requests
from google.auth.transport.requests import Request
from google.oauth2.service_account import Credentials

from castcomm.common.errors import InvalidInput
from notifications.providers.base import (
    Account,
    Credential,
    NotSent,
    ProviderRefusal,
    PushMessage,
    PushTarget,
    RefusedForGood,
    push_providers,
)
from notifications.providers.far_sides import stand_ins_are_allowed
from notifications.providers.fields import api_url, optional
from notifications.providers.outcomes import refusal_for_exception, refusal_for_status, retry_after_seconds
from notifications.providers.pooled_http import session
from notifications.providers.push.base import DeviceGone, PushCarrier, fitting, topic_header
from notifications.providers.push.services import PushServices

# https://developers.google.com/identity/protocols/oauth2/service-account: the one place for access tokens.
TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
LARGEST_PAYLOAD = 3600  # bytes of text and data; Firebase takes 4096 with what the platforms are told
CONNECT_TIMEOUT, READ_TIMEOUT = 3.05, 10.0  # seconds
TOKEN_TIMEOUT = 5.0  # seconds for an access token
PAUSE = 5.0  # seconds until an access token is asked for again after none came
_FROM_ENVIRONMENT = "env:"


@push_providers.add("fcm")
class Fcm(PushCarrier):
    key = "fcm"
    label = "Firebase Cloud Messaging"
    kind = "fcm"
    credentials = (
        Credential(
            name="firebase_credentials",
            env=("FIREBASE_CREDENTIALS",),
            label="Service account",
            secret=True,
            help="The JSON of a service account; in the environment, the path of its file will do.",
        ),
        optional(
            "fcm_project_id",
            "FCM_PROJECT_ID",
            label="Project",
            help="The service account's project unless set.",
        ),
        api_url("https://fcm.googleapis.com"),
    )

    def __init__(self, account: Account) -> None:
        super().__init__(account)
        self._session = session(self.concurrency, connect_timeout=CONNECT_TIMEOUT, read_timeout=READ_TIMEOUT)
        self._services = PushServices()
        self._lock = threading.Lock()
        self._failed_at = -PAUSE
        self._failure = ""

    @classmethod
    def check_credentials(cls, values: Mapping[str, str]) -> None:
        """For rows; what the environment says may be a path (``notifications.push_checks``)."""
        try:
            given = service_account_of(values.get("firebase_credentials", ""), may_be_path=False)
            check_token_uri(given, values.get("api_url", ""))
        except ValueError as error:
            raise InvalidInput(str(error), attr="firebase_credentials") from None

    def close(self) -> None:
        self._session.close()

    @functools.cached_property
    def service_account(self) -> dict[str, Any]:
        """The service account; raises ValueError that says what is wrong with the setting."""
        return service_account_of(
            self.credential("firebase_credentials"),
            may_be_path=self.account.key.startswith(_FROM_ENVIRONMENT),
        )

    @property
    def project(self) -> str:
        return self.credential("fcm_project_id") or str(self.service_account.get("project_id", ""))

    def encode(self, message: PushMessage) -> bytes:
        data = {"delivery_id": message.delivery_id}
        if message.action_url:
            data["url"] = message.action_url
        if message.actions:
            data["actions"] = orjson.dumps([dict(one) for one in message.actions]).decode()
        fields = {"title": message.title, "data": data}
        return fitting(message, LARGEST_PAYLOAD, fields)

    def push(self, message: PushMessage, content: bytes, target: PushTarget) -> str:
        try:
            url = f"{self.credential('api_url')}/v1/projects/{self.project}/messages:send"
        except ValueError as error:
            raise NotSent(str(error)) from error
        body = orjson.dumps({"message": _message(message, orjson.loads(content), target.endpoint)})
        with self._services.calling("Firebase"):
            answer = self._post(url, body)
            refused = _refusal(answer)
            if refused is not None:
                raise refused
            return _name(answer)

    def _post(self, url: str, body: bytes) -> requests.Response:
        token = self._token()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        try:
            answer = self._session.post(url, data=body, headers=headers)
        except requests.RequestException as error:
            raise refusal_for_exception(error) from error
        if answer.status_code == 401:
            with self._lock:
                if self._credentials.token == token:
                    self._credentials.token = None  # withdrawn before its time: the next push gets another
        return answer

    def _token(self) -> str:
        """An access token, kept until shortly before its end; raises NotSent."""
        with self._lock:
            if not self._credentials.valid:
                self._refresh(self._credentials)
            return str(self._credentials.token)

    def _refresh(self, credentials: Credentials) -> None:
        if time.monotonic() - self._failed_at < PAUSE:
            raise NotSent(self._failure)
        request = functools.partial(Request(self._session), timeout=TOKEN_TIMEOUT)
        try:
            credentials.refresh(request)  # type: ignore[no-untyped-call]
            if not _is_token(credentials.token):
                raise ValueError("no token in the answer")
        except (
            Exception
        ) as error:  # the library lets out whatever an answer of another form makes of its code
            credentials.token = None
            self._failure = f"Google gives no access token: {type(error).__name__}."
            self._failed_at = time.monotonic()
            raise NotSent(self._failure) from error

    @functools.cached_property
    def _credentials(self) -> Credentials:
        try:
            check_token_uri(self.service_account, self.credential("api_url"))
            made: Credentials = Credentials.from_service_account_info(  # type: ignore[no-untyped-call]
                self.service_account, scopes=[SCOPE]
            )
        except ValueError as error:
            raise NotSent(f"FIREBASE_CREDENTIALS is no service account: {error}") from error
        return made


def service_account_of(given: str, *, may_be_path: bool) -> dict[str, Any]:
    """The service account in ``given``, JSON or (for the environment's) the path of a file; raises ValueError."""
    text = given.strip()
    if not text.startswith("{"):
        if not may_be_path:
            raise ValueError("The service account is not JSON.")
        try:
            text = Path(text).read_text()
        except OSError as error:
            raise ValueError(
                f"FIREBASE_CREDENTIALS names a file that cannot be read: {error.strerror}."
            ) from error
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ValueError("FIREBASE_CREDENTIALS is not JSON.") from error
    if not isinstance(found, dict):
        raise ValueError("FIREBASE_CREDENTIALS is no JSON object.")
    return found


def check_token_uri(service_account: Mapping[str, Any], api_url: str) -> None:
    """Raises ValueError for a service account whose access tokens come from elsewhere than Google.

    Whoever writes the JSON would otherwise choose where this machine posts to. A stand-in issues the tokens for itself.
    """
    given = service_account.get("token_uri")
    if given == TOKEN_URI:
        return
    if not (stand_ins_are_allowed() and isinstance(given, str) and _origin(given) == _origin(api_url)):
        raise ValueError(f"The token_uri of the service account has to be {TOKEN_URI}.")


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _is_token(given: object) -> bool:
    """Whether it can stand in a header (RFC 6750, 2.1)."""
    return isinstance(given, str) and given.isascii() and given.isprintable() and bool(given.strip())


def _message(message: PushMessage, content: dict[str, Any], token: str) -> dict[str, Any]:
    """The message with what each platform makes of ``ttl``, ``urgency`` and ``topic``.

    The delivery's id is the notification's tag: should it come twice, the device shows it once.
    """
    urgent = message.urgency == "high"
    topic = topic_header(message.topic) if message.topic else ""
    tag = topic or message.delivery_id
    expires = int(time.time()) + message.ttl
    android: dict[str, Any] = {
        "priority": "high" if urgent else "normal",
        "ttl": f"{message.ttl}s",
        "notification": {"tag": tag},
    }
    apns = {
        "apns-priority": "10" if urgent else "5",
        "apns-expiration": str(expires),
        "apns-collapse-id": tag,
    }
    if topic:
        android["collapse_key"] = topic
    return {
        "token": token,
        "notification": {"title": content["title"], "body": content["body"]},
        "data": content["data"],
        "android": android,
        "apns": {"headers": apns},
    }


def _refusal(answer: requests.Response) -> ProviderRefusal | None:
    if answer.ok:
        return None
    said, code, fields = _error(answer)
    detail = f"{answer.status_code} {code or ''} {said}".replace("  ", " ").strip()[:300]
    if code == "UNREGISTERED" or (code == "INVALID_ARGUMENT" and "message.token" in fields):
        return DeviceGone(detail)
    if code == "SENDER_ID_MISMATCH":
        return RefusedForGood(detail)
    refusal = refusal_for_status(answer.status_code, detail, retry_after=retry_after_seconds(answer.headers))
    if refusal is not None:
        # A limit is no illness, and our own credentials are nothing that waiting for the service would mend.
        refusal.about_recipient = answer.status_code in (401, 403, 429)
    return refusal


def _error(answer: requests.Response) -> tuple[str, str, tuple[str, ...]]:
    """Message, code and offending fields of a Google error; empty for an answer of another form."""
    try:
        error = answer.json()["error"]
        details = [one for one in error.get("details", []) if isinstance(one, dict)]
        code = next((one["errorCode"] for one in details if "errorCode" in one), str(error.get("status", "")))
        fields = tuple(
            str(violation.get("field", "")) for one in details for violation in one.get("fieldViolations", [])
        )
        return str(error.get("message", "")), str(code), fields
    except (ValueError, KeyError, TypeError, AttributeError):
        return "", "", ()


def _name(answer: requests.Response) -> str:
    """The message's name; "" when Firebase said yes in a form that nobody knows."""
    try:
        return str(answer.json()["name"])
    except (ValueError, KeyError, TypeError):
        return ""
