"""Twilio's messages: ``POST /2010-04-01/Accounts/<sid>/Messages.json`` with a form; 201 with the message as JSON.

The delivery's id travels in the query of ``StatusCallback``. Errors are ``{code, message, more_info, status}``.
https://www.twilio.com/docs/messaging/api/message-resource, https://www.twilio.com/docs/api/errors
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import parse_qsl, urlsplit

from notifications.stand_ins.far_side import Answer, Call, FarSide, Refused, Taken, json_answer
from notifications.stand_ins.ledger import Accepted
from notifications.stand_ins.marks import HEADER, delivery_in, uuid_in

_VERSION = "2010-04-01"
_FAILURES = {
    400: (21211, "Invalid 'To' Phone Number"),
    401: (20003, "Authenticate"),
    429: (20429, "Too Many Requests"),
    500: (20500, "Internal Server Error"),
    503: (20503, "Service Unavailable"),
}


class Twilio(FarSide):
    key = "twilio"

    def take(self, call: Call) -> Taken:
        match call.path.split("/"):
            case [version, "Accounts", sid, "Messages.json"] if version == _VERSION and call.method == "POST":
                pass
            case _:
                raise Refused(_error(404, 20404, f"The requested resource /{call.path} was not found"))
        if call.basic_auth() is None:
            raise Refused(self.failure(401))
        form = call.form()
        self._check(form)
        message_id = f"SM{secrets.token_hex(16)}"
        accepted = Accepted(
            to=form["To"],
            message_id=message_id,
            delivery_id=_delivery(form.get("StatusCallback", "")) or call.headers.get(HEADER, ""),
            body=form,
            headers=dict(call.headers),
            size=len(call.content),
        )
        return Taken(json_answer(201, _message(form, sid, message_id)), (accepted,))

    def _check(self, form: dict[str, str]) -> None:
        to = form.get("To", "")
        if not to:
            raise Refused(_error(400, 21604, "A 'To' phone number is required."))
        if not (to.startswith("+") and to[1:].isdigit() and 8 <= len(to) <= 16):
            raise Refused(_error(400, 21211, f"Invalid 'To' Phone Number: {to}"))
        if to in self.refused_recipients:
            raise Refused(_error(400, 21610, "Attempt to send to unsubscribed recipient"))
        if not form.get("From") and not form.get("MessagingServiceSid"):
            raise Refused(_error(400, 21603, "A 'From' phone number is required."))
        if not form.get("Body"):
            raise Refused(_error(400, 21602, "Message body is required."))
        if len(form["Body"]) > 1600:
            raise Refused(
                _error(400, 21617, "The concatenated message body exceeds the 1600 character limit")
            )
        callback = form.get("StatusCallback", "")
        if callback and urlsplit(callback).scheme not in {"http", "https"}:
            raise Refused(_error(400, 21609, f"The StatusCallback URL {callback} is not a valid URL."))

    def failure(self, status: int) -> Answer:
        return _error(status, *_FAILURES[status])


def _delivery(callback: str) -> str:
    return delivery_in(parse_qsl(urlsplit(callback).query)) or uuid_in(callback)


def _message(form: dict[str, str], account: str, message_id: str) -> dict[str, object]:
    now = format_datetime(datetime.now(UTC))
    uri = f"/{_VERSION}/Accounts/{account}/Messages/{message_id}"
    return {
        "account_sid": account,
        "api_version": _VERSION,
        "body": form["Body"],
        "date_created": now,
        "date_sent": None,
        "date_updated": now,
        "direction": "outbound-api",
        "error_code": None,
        "error_message": None,
        "from": form.get("From"),
        "messaging_service_sid": form.get("MessagingServiceSid"),
        "num_media": "0",
        "num_segments": "1",
        "price": None,
        "price_unit": "USD",
        "sid": message_id,
        "status": "queued",
        "subresource_uris": {"media": f"{uri}/Media.json"},
        "to": form["To"],
        "uri": f"{uri}.json",
    }


def _error(status: int, code: int, message: str) -> Answer:
    more = f"https://www.twilio.com/docs/errors/{code}"
    return json_answer(status, {"code": code, "message": message, "more_info": more, "status": status})
