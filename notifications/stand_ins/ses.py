"""Amazon SES v2 as boto3 calls it: ``POST /v2/email/outbound-emails`` with JSON; errors carry ``x-amzn-errortype``.

https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html
"""

from __future__ import annotations

import base64
import binascii
import email.parser
import email.policy
import secrets
import uuid
from email.message import EmailMessage
from typing import Any

from notifications.stand_ins.addresses import addresses_in, is_address, plain_mail
from notifications.stand_ins.far_side import Answer, Call, FarSide, Refused, Taken, json_answer
from notifications.stand_ins.ledger import Accepted
from notifications.stand_ins.marks import HEADER, delivery_in

_FAILURES = {
    400: (400, "BadRequestException", "Bad request."),
    # A wrong key is 403 at Amazon, never 401.
    401: (403, "UnrecognizedClientException", "The security token included in the request is invalid."),
    429: (429, "TooManyRequestsException", "Maximum sending rate exceeded."),
    500: (500, "InternalFailure", "Internal failure."),
    503: (503, "ServiceUnavailable", "Service is unavailable."),
}


class SES(FarSide):
    key = "ses"

    def take(self, call: Call) -> Taken:
        if call.method != "POST" or call.path != "v2/email/outbound-emails":
            raise Refused(_error(404, "UnknownOperationException", "Unknown operation."))
        if not call.headers.get("authorization", "").startswith("AWS4-HMAC-SHA256 "):
            raise Refused(_error(403, "MissingAuthenticationTokenException", "Missing Authentication Token"))
        try:
            body = call.json()
        except ValueError:
            raise Refused(_error(400, "SerializationException", "The body is no JSON.")) from None
        mail = _content(body)
        recipients = self._check(body, mail)
        accepted = Accepted(
            to=", ".join(recipients),
            message_id=f"0100{secrets.token_hex(6)}-{uuid.uuid4()}-000000",
            delivery_id=(
                delivery_in((one["Name"], one["Value"]) for one in body.get("EmailTags") or ())
                or delivery_in(mail.items())
                or call.headers.get(HEADER, "")
            ),
            body=body,
            headers=dict(call.headers),
            size=len(call.content),
        )
        return Taken(json_answer(200, {"MessageId": accepted.message_id}), (accepted,))

    def _check(self, body: dict[str, Any], mail: EmailMessage) -> list[str]:
        given = (body.get("Destination") or {}).get("ToAddresses") or mail.get_all("To")
        recipients = addresses_in(given)
        if not recipients:
            raise Refused(_error(400, "BadRequestException", "Missing required header 'To'."))
        for one in recipients:
            if not is_address(one):
                raise Refused(_error(400, "BadRequestException", f"Illegal address: {one}"))
            if one in self.refused_recipients:
                raise Refused(
                    _error(
                        400,
                        "MessageRejected",
                        "Email address is not verified. The following identities failed the check in region "
                        f"US-EAST-1: {one}",
                    )
                )
        if not addresses_in(body.get("FromEmailAddress") or mail.get_all("From")):
            raise Refused(_error(400, "BadRequestException", "Missing required header 'From'."))
        return recipients

    def failure(self, status: int) -> Answer:
        return _error(*_FAILURES[status])

    def mail_of(self, accepted: Accepted) -> EmailMessage | None:
        return _content(accepted.body)


def _content(body: Any) -> EmailMessage:
    """The mail of a call's ``Content``: raw, or put together from ``Simple``. Raises Refused."""
    content = body.get("Content") if isinstance(body, dict) else None
    if not isinstance(content, dict):
        raise Refused(_error(400, "BadRequestException", "Content is required."))
    if simple := content.get("Simple"):
        return _simple(simple, body)
    try:
        raw = base64.b64decode(content["Raw"]["Data"], validate=True)
    except (KeyError, TypeError, binascii.Error):
        raise Refused(_error(400, "BadRequestException", "Raw message data is required.")) from None
    return email.parser.BytesParser(policy=email.policy.default).parsebytes(raw)


def _simple(simple: dict[str, Any], body: dict[str, Any]) -> EmailMessage:
    parts = {name: part.get("Data", "") for name, part in (simple.get("Body") or {}).items()}
    return plain_mail(
        sender=body.get("FromEmailAddress", ""),
        to=(body.get("Destination") or {}).get("ToAddresses") or (),
        subject=(simple.get("Subject") or {}).get("Data", ""),
        text=parts.get("Text", ""),
        html=parts.get("Html", ""),
        headers=[(one["Name"], one["Value"]) for one in simple.get("Headers") or ()],
    )


def _error(status: int, kind: str, message: str) -> Answer:
    return json_answer(
        status,
        {"message": message},
        ("x-amzn-errortype", kind),
        ("x-amzn-requestid", str(uuid.uuid4())),
    )
