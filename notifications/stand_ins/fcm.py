"""Firebase Cloud Messaging, HTTP v1: ``POST /v1/projects/<id>/messages:send``, and ``POST /token`` for OAuth.

A service account's JSON whose ``token_uri`` is ``url("fcm", "token")`` gets its access tokens here; a call with a token
that was not issued here is 401. Calls for tokens are neither counted nor broken.
https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages/send, RFC 7523 (the assertion)
"""

from __future__ import annotations

import base64
import secrets
import time
from typing import Any

import orjson

from notifications.stand_ins.far_side import Answer, Call, FarSide, Refused, Taken, json_answer
from notifications.stand_ins.ledger import Accepted
from notifications.stand_ins.marks import HEADER, delivery_in

_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_TOKEN_SECONDS = 3599
_MOST_TOKENS = 1000
_LARGEST_PAYLOAD = 4096  # bytes
_ERROR_TYPE = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
_FAILURES = {
    400: ("INVALID_ARGUMENT", "INVALID_ARGUMENT", "Request contains an invalid argument."),
    401: ("UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR", "Request had invalid authentication credentials."),
    404: ("NOT_FOUND", "UNREGISTERED", "Requested entity was not found."),
    429: ("RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", "Sending limit exceeded for the message target."),
    500: ("INTERNAL", "INTERNAL", "Internal error encountered."),
    503: ("UNAVAILABLE", "UNAVAILABLE", "The service is currently unavailable."),
}


class FCM(FarSide):
    key = "fcm"
    modes = frozenset({"404"})

    def __init__(self, *, keep: int = 1000) -> None:
        super().__init__(keep=keep)
        self._tokens: dict[str, float] = {}

    def is_beside(self, call: Call) -> bool:
        return call.path == "token"

    def take(self, call: Call) -> Taken:
        if self.is_beside(call):
            return Taken(self._token(call))
        match call.path.split("/"):
            case ["v1", "projects", project, "messages:send"] if call.method == "POST":
                return self._send(call, project)
            case _:
                raise Refused(
                    Answer(404, b"<!DOCTYPE html><title>Error 404 (Not Found)</title>", "text/html")
                )

    def _token(self, call: Call) -> Answer:
        form = call.form()
        if form.get("grant_type") != _GRANT:
            raise Refused(json_answer(400, {"error": "unsupported_grant_type"}))
        problem = _problem_of(form.get("assertion", ""))
        if problem:
            raise Refused(json_answer(400, {"error": "invalid_grant", "error_description": problem}))
        token = f"ya29.{secrets.token_urlsafe(32)}"
        self._tokens[token] = time.monotonic() + _TOKEN_SECONDS
        if len(self._tokens) > _MOST_TOKENS:
            del self._tokens[next(iter(self._tokens))]
        return json_answer(200, {"access_token": token, "expires_in": _TOKEN_SECONDS, "token_type": "Bearer"})

    def _send(self, call: Call, project: str) -> Taken:
        if self._tokens.get(call.bearer(), 0.0) < time.monotonic():
            raise Refused(self.failure(401))
        try:
            message = call.json()["message"]
            token = message.get("token") or ""
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Refused(self.failure(400)) from None
        self._check(message, token)
        name = f"projects/{project}/messages/0:{time.time_ns() // 1000}%{secrets.token_hex(8)}"
        accepted = Accepted(
            to=token,
            message_id=name,
            delivery_id=delivery_in(message.get("data") or {}) or call.headers.get(HEADER, ""),
            body=message,
            headers=dict(call.headers),
            size=len(call.content),
        )
        return Taken(json_answer(200, {"name": name}), (accepted,))

    def _check(self, message: dict[str, Any], token: str) -> None:
        if not token:
            raise Refused(
                _error(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "Recipient of the message is not set.")
            )
        if token in self.refused_recipients:
            raise Refused(self.failure(404))
        for key, value in (message.get("data") or {}).items():
            if not isinstance(value, str):
                raise Refused(_wrong_value(f"message.data[{key}]", value))
        if len(orjson.dumps(message)) - len(token) > _LARGEST_PAYLOAD:
            raise Refused(self.failure(400))

    def failure(self, status: int) -> Answer:
        return _error(status, *_FAILURES[status])


def _problem_of(assertion: str) -> str:
    """What is wrong with an assertion's claims; the signature cannot be checked, as the key is the caller's."""
    try:
        part = assertion.split(".")[1]
        claims = orjson.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        missing = [name for name in ("iss", "aud", "exp", "iat", "scope") if name not in claims]
        expired = claims.get("exp", 0) < time.time()
    except (IndexError, ValueError, TypeError, AttributeError):
        return "Invalid JWT"
    if missing:
        return f"Required claims are missing: {', '.join(missing)}"
    return "Invalid JWT: Token must be a short-lived token" if expired else ""


def _error(status: int, canonical: str, code: str, message: str) -> Answer:
    details = [{"@type": _ERROR_TYPE, "errorCode": code}]
    return json_answer(
        status, {"error": {"code": status, "message": message, "status": canonical, "details": details}}
    )


def _wrong_value(field: str, value: object) -> Answer:
    text = f"Invalid value at '{field}' (TYPE_STRING), {value}"
    details = [
        {
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [{"field": field, "description": text}],
        }
    ]
    return json_answer(
        400, {"error": {"code": 400, "message": text, "status": "INVALID_ARGUMENT", "details": details}}
    )
