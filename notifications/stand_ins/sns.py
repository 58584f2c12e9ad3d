"""Amazon SNS as boto3 calls it for an SMS: ``Publish`` with a phone number, the query protocol, answers in XML.

SNS takes no metadata, so the delivery's id is known only where the caller adds the header.
https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
"""

from __future__ import annotations

import uuid
from xml.sax.saxutils import escape

from notifications.stand_ins.far_side import Answer, Call, FarSide, Refused, Taken
from notifications.stand_ins.ledger import Accepted
from notifications.stand_ins.marks import HEADER, delivery_in

_NAMESPACE = "http://sns.amazonaws.com/doc/2010-03-31/"
_XML = "text/xml"
_LONGEST = 1600  # characters
_FAILURES = {
    400: (400, "InvalidParameter", "Invalid parameter"),
    # Amazon answers 403 to a wrong key and 400 to too many requests.
    401: (403, "InvalidClientTokenId", "The security token included in the request is invalid."),
    429: (400, "Throttling", "Rate exceeded"),
    500: (500, "InternalError", "Internal error"),
    503: (503, "ServiceUnavailable", "Service is unavailable."),
}


class SNS(FarSide):
    key = "sns"

    def take(self, call: Call) -> Taken:
        form = call.form()
        if not call.headers.get("authorization", "").startswith("AWS4-HMAC-SHA256 "):
            raise Refused(
                _error(403, "MissingAuthenticationToken", "Request is missing Authentication Token")
            )
        if call.method != "POST" or call.path or form.get("Action") != "Publish":
            raise Refused(_error(400, "InvalidAction", "The action is not valid for this endpoint."))
        self._check(form)
        message_id = str(uuid.uuid4())
        accepted = Accepted(
            to=form["PhoneNumber"],
            message_id=message_id,
            delivery_id=delivery_in(_attributes(form)) or call.headers.get(HEADER, ""),
            body=form,
            headers=dict(call.headers),
            size=len(call.content),
        )
        return Taken(_published(message_id), (accepted,))

    def _check(self, form: dict[str, str]) -> None:
        phone = form.get("PhoneNumber", "")
        if not (phone.startswith("+") and phone[1:].isdigit()) or phone in self.refused_recipients:
            raise Refused(
                _error(
                    400,
                    "InvalidParameter",
                    f"Invalid parameter: PhoneNumber Reason: {phone} is not valid to publish to",
                )
            )
        message = form.get("Message", "")
        if not message:
            raise Refused(_error(400, "InvalidParameter", "Invalid parameter: Empty message"))
        if len(message) > _LONGEST:
            raise Refused(_error(400, "InvalidParameter", "Invalid parameter: Message too long"))

    def failure(self, status: int) -> Answer:
        return _error(*_FAILURES[status])


def _attributes(form: dict[str, str]) -> list[tuple[str, str]]:
    found = []
    number = 1
    while name := form.get(f"MessageAttributes.entry.{number}.Name"):
        found.append((name, form.get(f"MessageAttributes.entry.{number}.Value.StringValue", "")))
        number += 1
    return found


def _published(message_id: str) -> Answer:
    request = uuid.uuid4()
    text = (
        f'<PublishResponse xmlns="{_NAMESPACE}"><PublishResult><MessageId>{message_id}</MessageId></PublishResult>'
        f"<ResponseMetadata><RequestId>{request}</RequestId></ResponseMetadata></PublishResponse>"
    )
    return Answer(200, text.encode(), _XML, (("x-amzn-RequestId", str(request)),))


def _error(status: int, code: str, message: str) -> Answer:
    request = uuid.uuid4()
    who = "Sender" if status < 500 else "Receiver"
    text = (
        f'<ErrorResponse xmlns="{_NAMESPACE}"><Error><Type>{who}</Type><Code>{code}</Code>'
        f"<Message>{escape(message)}</Message></Error><RequestId>{request}</RequestId></ErrorResponse>"
    )
    return Answer(status, text.encode(), _XML, (("x-amzn-RequestId", str(request)),))
