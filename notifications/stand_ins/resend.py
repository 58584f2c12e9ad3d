"""Resend: ``POST /emails`` and ``/emails/batch``; an ``Idempotency-Key`` makes a second try get the first answer.

A key holds for 24 hours; with another payload it is a conflict (409 ``invalid_idempotent_request``), and while the
first call runs as well (409 ``concurrent_idempotent_requests``, the mode ``409``).
https://resend.com/docs/api-reference/emails/send-email, https://resend.com/docs/dashboard/emails/idempotency-keys
"""

from __future__ import annotations

import hashlib
import time
import uuid
from email.message import EmailMessage
from typing import Any

from notifications.stand_ins.addresses import addresses_in, is_address, plain_mail
from notifications.stand_ins.far_side import Answer, Call, FarSide, Refused, Taken, json_answer
from notifications.stand_ins.ledger import Accepted
from notifications.stand_ins.marks import HEADER, delivery_in

KEY_SECONDS = 24 * 3600
MOST_KEYS = 200_000
MOST_IN_A_BATCH = 100
_FAILURES = {
    400: ("validation_error", "We found an error with one or more fields in the request."),
    401: ("missing_api_key", "Missing API key in the authorization header."),
    409: (
        "concurrent_idempotent_requests",
        "Another request with the same idempotency key is currently in progress.",
    ),
    429: ("rate_limit_exceeded", "Too many requests. You can only make 2 requests per second."),
    500: ("internal_server_error", "An unexpected error occurred."),
    503: ("service_unavailable", "The service is temporarily unavailable."),
}


class Resend(FarSide):
    key = "resend"
    modes = frozenset({"409"})

    def __init__(self, *, keep: int = 1000) -> None:
        super().__init__(keep=keep)
        self._answers: dict[str, tuple[float, bytes, Answer]] = {}

    def take(self, call: Call) -> Taken:
        if call.method != "POST" or call.path not in {"emails", "emails/batch"}:
            raise Refused(_error(404, "not_found", "The requested endpoint does not exist."))
        if not call.bearer():
            raise Refused(self.failure(401))
        key = call.headers.get("idempotency-key", "")
        if "idempotency-key" in call.headers and not 1 <= len(key) <= 256:
            raise Refused(_error(400, "invalid_idempotency_key", "The key must be between 1-256 chars."))
        digest = hashlib.sha256(call.path.encode() + b"\0" + call.content).digest()
        known = self._known(key, digest)
        if known is not None:
            return Taken(known)
        taken = self._send(call, key)
        if key:
            self._answers[key] = (time.monotonic(), digest, taken.answer)
            if len(self._answers) > MOST_KEYS:
                del self._answers[next(iter(self._answers))]
        return taken

    def _known(self, key: str, digest: bytes) -> Answer | None:
        at, first, answer = self._answers.get(key, (0.0, b"", None))
        if answer is None or time.monotonic() - at > KEY_SECONDS:
            return None
        if first != digest:
            raise Refused(
                _error(
                    409,
                    "invalid_idempotent_request",
                    "This idempotency key has been used with a different request payload.",
                )
            )
        return answer

    def _send(self, call: Call, key: str) -> Taken:
        try:
            body = call.json()
        except ValueError:
            raise Refused(self.failure(400)) from None
        if call.path == "emails":
            accepted = self._accepted(body, call, key)
            return Taken(json_answer(200, {"id": accepted.message_id}), (accepted,))
        if not isinstance(body, list) or not 1 <= len(body) <= MOST_IN_A_BATCH:
            raise Refused(_error(422, "validation_error", "The batch must contain 1 to 100 emails."))
        messages = tuple(self._accepted(one, call, key) for one in body)
        return Taken(json_answer(200, {"data": [{"id": one.message_id} for one in messages]}), messages)

    def _accepted(self, body: Any, call: Call, key: str) -> Accepted:
        recipients = self._check(body)
        return Accepted(
            to=", ".join(recipients),
            message_id=str(uuid.uuid4()),
            delivery_id=(
                delivery_in((one["name"], one["value"]) for one in body.get("tags") or ())
                or delivery_in(body.get("headers") or {})
                or call.headers.get(HEADER, "")
            ),
            idempotency_key=key,
            body=body,
            headers=dict(call.headers),
            size=len(call.content),
        )

    def _check(self, body: Any) -> list[str]:
        for name in ("from", "to", "subject"):
            if not isinstance(body, dict) or not body.get(name):
                raise Refused(_error(422, "missing_required_field", f"Missing `{name}` field."))
        recipients = addresses_in(body["to"])
        if not all(is_address(one) and one not in self.refused_recipients for one in recipients):
            raise Refused(
                _error(
                    422,
                    "validation_error",
                    "Invalid `to` field. The email address needs to follow the `email@example.com` or "
                    "`Name <email@example.com>` format.",
                )
            )
        if not body.get("text") and not body.get("html"):
            raise Refused(_error(422, "missing_required_field", "Missing `html` or `text` field."))
        for tag in body.get("tags") or ():
            if not all(_is_tag(str(tag.get(part, ""))) for part in ("name", "value")):
                raise Refused(
                    _error(
                        422,
                        "validation_error",
                        "Tags should only contain ASCII letters, numbers, underscores, or dashes.",
                    )
                )
        return recipients

    def failure(self, status: int) -> Answer:
        return _error(status, *_FAILURES[status])

    def mail_of(self, accepted: Accepted) -> EmailMessage | None:
        body = accepted.body
        return plain_mail(
            sender=body["from"],
            to=accepted.to.split(", "),
            subject=body["subject"],
            text=body.get("text", ""),
            html=body.get("html", ""),
            headers=(body.get("headers") or {}).items(),
            attachments=[
                (one["filename"], one.get("content_type") or "application/octet-stream", one["content"])
                for one in body.get("attachments") or ()
            ],
        )


def _is_tag(text: str) -> bool:
    return 1 <= len(text) <= 256 and text.isascii() and text.replace("_", "").replace("-", "").isalnum()


def _error(status: int, name: str, message: str) -> Answer:
    return json_answer(status, {"statusCode": status, "name": name, "message": message})
