"""SendGrid's v3 Mail Send: ``POST /v3/mail/send`` answers 202 with nothing but ``X-Message-Id``.

https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send
"""

from __future__ import annotations

import secrets
from email.message import EmailMessage
from typing import Any

from notifications.stand_ins.addresses import is_address, plain_mail
from notifications.stand_ins.far_side import TEXT, Answer, Call, FarSide, Refused, Taken, json_answer
from notifications.stand_ins.ledger import Accepted
from notifications.stand_ins.marks import HEADER, delivery_in

_WORDS = {
    400: "Bad Request",
    401: "The provided authorization grant is invalid, expired, or revoked",
    403: "The from address does not match a verified Sender Identity. Mail cannot be sent until this error is "
    "resolved.",
    429: "too many requests",
    500: "internal server error",
    503: "service unavailable",
}


class SendGrid(FarSide):
    key = "sendgrid"

    def take(self, call: Call) -> Taken:
        if call.method != "POST" or call.path.removeprefix("v3/") != "mail/send":
            raise Refused(_error(404, "not found"))
        if not call.bearer():
            raise Refused(self.failure(401))
        try:
            body = call.json()
        except ValueError:
            raise Refused(_error(400, "Bad Request")) from None
        self._check(body)
        messages = tuple(
            _accepted(personalization, body, call) for personalization in body["personalizations"]
        )
        return Taken(
            Answer(202, b"", TEXT, (("X-Message-Id", messages[0].message_id),)),
            messages,
        )

    def _check(self, body: Any) -> None:
        if not isinstance(body, dict) or not body.get("personalizations"):
            raise Refused(
                _error(
                    400,
                    "The personalizations field is required and must have at least one personalization.",
                    "personalizations",
                )
            )
        for index, personalization in enumerate(body["personalizations"]):
            for number, recipient in enumerate(personalization.get("to") or [{}]):
                address = str(recipient.get("email", ""))
                if not is_address(address) or address in self.refused_recipients:
                    raise Refused(
                        _error(
                            400,
                            "Does not contain a valid address.",
                            f"personalizations.{index}.to.{number}.email",
                        )
                    )
        if not is_address(str((body.get("from") or {}).get("email", ""))):
            raise Refused(_error(400, "The from email does not contain a valid address.", "from.email"))
        if not body.get("subject"):
            raise Refused(_error(400, "The subject is required.", "subject"))
        if not body.get("content") or not all(part.get("value") for part in body["content"]):
            raise Refused(
                _error(
                    400,
                    "The content value must be a string at least one character in length.",
                    "content.0.value",
                )
            )

    def failure(self, status: int) -> Answer:
        return _error(status, _WORDS[status])

    def mail_of(self, accepted: Accepted) -> EmailMessage | None:
        body = accepted.body
        parts = {part["type"]: part["value"] for part in body["content"]}
        return plain_mail(
            sender=_mailbox(body["from"]),
            to=accepted.to.split(", "),
            subject=body["subject"],
            text=parts.get("text/plain", ""),
            html=parts.get("text/html", ""),
            headers=body.get("headers", {}).items(),
            attachments=[
                (one["filename"], one["type"], one["content"]) for one in body.get("attachments", ())
            ],
        )


def _accepted(personalization: dict[str, Any], body: dict[str, Any], call: Call) -> Accepted:
    headers = body.get("headers", {}) | personalization.get("headers", {})
    return Accepted(
        to=", ".join(one["email"] for one in personalization["to"]),
        message_id=secrets.token_urlsafe(16),
        delivery_id=(
            delivery_in(personalization.get("custom_args", {}))
            or delivery_in(body.get("custom_args", {}))
            or delivery_in(headers)
            or call.headers.get(HEADER, "")
        ),
        body=body,
        headers=dict(call.headers),
        size=len(call.content),
    )


def _mailbox(given: dict[str, Any]) -> str:
    return f'"{given["name"]}" <{given["email"]}>' if given.get("name") else str(given["email"])


def _error(status: int, message: str, field: str | None = None) -> Answer:
    return json_answer(status, {"errors": [{"message": message, "field": field, "help": None}]})
