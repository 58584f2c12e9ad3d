"""Postmark: ``POST /email`` and ``/email/batch``; every answer has an ``ErrorCode``, 0 when the mail was taken.

https://postmarkapp.com/developer/api/email-api, https://postmarkapp.com/developer/api/overview (error codes)
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

from notifications.stand_ins.addresses import addresses_in, is_address, plain_mail
from notifications.stand_ins.far_side import Answer, Call, FarSide, Refused, Taken, json_answer
from notifications.stand_ins.ledger import Accepted
from notifications.stand_ins.marks import HEADER, delivery_in

MOST_IN_A_BATCH = 500
_FAILURES = {
    400: (402, "Invalid JSON"),
    401: (10, "The Server Token you provided in the X-Postmark-Server-Token request header was invalid."),
    429: (429, "Rate limit exceeded."),
    500: (500, "Internal Server Error"),
    503: (100, "Offline for maintenance"),
}


class Postmark(FarSide):
    key = "postmark"

    def take(self, call: Call) -> Taken:
        if call.method != "POST" or call.path not in {"email", "email/batch"}:
            raise Refused(_error(404, 0, "The requested resource does not exist."))
        if not call.headers.get("x-postmark-server-token"):
            raise Refused(self.failure(401))
        try:
            body = call.json()
        except ValueError:
            raise Refused(_error(422, 402, "Invalid JSON")) from None
        if call.path == "email":
            result, accepted = self._send(body, call)
            if accepted is None:
                raise Refused(json_answer(422, result))
            return Taken(json_answer(200, result), (accepted,))
        if not isinstance(body, list) or len(body) > MOST_IN_A_BATCH:
            raise Refused(_error(422, 410, f"A batch may contain at most {MOST_IN_A_BATCH} messages."))
        results = [self._send(one, call) for one in body]
        return Taken(
            json_answer(200, [result for result, _ in results]),
            tuple(accepted for _, accepted in results if accepted is not None),
        )

    def _send(self, body: Any, call: Call) -> tuple[dict[str, Any], Accepted | None]:
        """What Postmark says to one mail of a call, and the mail when it was taken."""
        problem = self._problem(body)
        if problem is not None:
            return {"ErrorCode": problem[0], "Message": problem[1]}, None
        headers = [(one["Name"], one["Value"]) for one in body.get("Headers") or ()]
        accepted = Accepted(
            to=", ".join(addresses_in(body["To"])),
            message_id=str(uuid.uuid4()),
            delivery_id=(
                delivery_in(body.get("Metadata") or {})
                or delivery_in(headers)
                or call.headers.get(HEADER, "")
            ),
            body=body,
            headers=dict(call.headers),
            size=len(call.content),
        )
        return {
            "To": body["To"],
            "SubmittedAt": datetime.now(UTC).isoformat(),
            "MessageID": accepted.message_id,
            "ErrorCode": 0,
            "Message": "OK",
        }, accepted

    def _problem(self, body: Any) -> tuple[int, str] | None:
        if not isinstance(body, dict):
            return 403, "Invalid JSON"
        if not addresses_in(body.get("From")):
            return 300, "Invalid 'From' address: ''."
        recipients = addresses_in(body.get("To"))
        if not recipients:
            return 300, "Zero recipients specified"
        wrong = [one for one in recipients if not is_address(one)]
        if wrong:
            return 300, f"Error parsing 'To': Illegal email address '{wrong[0]}'."
        inactive = [one for one in recipients if one in self.refused_recipients]
        if inactive:
            return 406, (
                "You tried to send to recipient(s) that have been marked as inactive. Found inactive addresses: "
                f"{', '.join(inactive)}. Inactive recipients are ones that have generated a hard bounce, a spam "
                "complaint, or a manual suppression."
            )
        if not body.get("TextBody") and not body.get("HtmlBody"):
            return 300, "Provide either email TextBody or HtmlBody or both."
        return None

    def failure(self, status: int) -> Answer:
        return _error(status, *_FAILURES[status])

    def mail_of(self, accepted: Accepted) -> EmailMessage | None:
        body = accepted.body
        return plain_mail(
            sender=body["From"],
            to=accepted.to.split(", "),
            subject=body.get("Subject", ""),
            text=body.get("TextBody", ""),
            html=body.get("HtmlBody", ""),
            headers=[(one["Name"], one["Value"]) for one in body.get("Headers") or ()],
            attachments=[
                (one["Name"], one["ContentType"], one["Content"]) for one in body.get("Attachments") or ()
            ],
        )


def _error(status: int, code: int, message: str) -> Answer:
    return json_answer(status, {"ErrorCode": code, "Message": message})
