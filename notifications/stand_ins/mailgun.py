"""Mailgun: ``POST /v3/<domain>/messages`` with a form, multipart or url-encoded; 200 with ``id`` and ``message``.

https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/messages
"""

from __future__ import annotations

import email.parser
import email.policy
import secrets
import time
from email.message import EmailMessage
from urllib.parse import parse_qsl

from notifications.stand_ins.addresses import addresses_in, is_address, plain_mail
from notifications.stand_ins.far_side import HTML, Answer, Call, FarSide, Refused, Taken, json_answer
from notifications.stand_ins.ledger import Accepted
from notifications.stand_ins.marks import HEADER, delivery_in

_WORDS = {
    400: "to parameter is not a valid address. please check documentation",
    429: "too many requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


class Mailgun(FarSide):
    key = "mailgun"

    def take(self, call: Call) -> Taken:
        domain, _, rest = call.path.removeprefix("v3/").partition("/")
        if call.method != "POST" or rest != "messages" or not domain:
            raise Refused(Answer(404, b"Not Found\n", HTML))
        credentials = call.basic_auth()
        if credentials is None or credentials[0] != "api":
            raise Refused(self.failure(401))
        fields = _fields(call)
        recipients = self._check(fields)
        form = {name: values[0] if len(values) == 1 else values for name, values in fields.items()}
        message_id = f"<{time.strftime('%Y%m%d%H%M%S', time.gmtime())}.{secrets.token_hex(8)}@{domain}>"
        accepted = Accepted(
            to=", ".join(recipients),
            message_id=message_id,
            delivery_id=(
                delivery_in((name[2:], values[0]) for name, values in fields.items() if name[:2] == "v:")
                or delivery_in((name[2:], values[0]) for name, values in fields.items() if name[:2] == "h:")
                or call.headers.get(HEADER, "")
            ),
            body=form,
            headers=dict(call.headers),
            size=len(call.content),
        )
        return Taken(json_answer(200, {"id": message_id, "message": "Queued. Thank you."}), (accepted,))

    def _check(self, fields: dict[str, list[str]]) -> list[str]:
        for name in ("from", "to"):
            if not fields.get(name):
                raise Refused(_error(f"{name} parameter is missing"))
        recipients = addresses_in(fields["to"])
        if not recipients or not all(
            is_address(one) and one not in self.refused_recipients for one in recipients
        ):
            raise Refused(_error(_WORDS[400]))
        if not addresses_in(fields["from"]):
            raise Refused(_error("from parameter is not a valid address. please check documentation"))
        if not any(fields.get(name) for name in ("text", "html", "amp-html", "template")):
            raise Refused(
                _error("Need at least one of 'text', 'html', 'amp-html' or 'template' parameters specified")
            )
        return recipients

    def failure(self, status: int) -> Answer:
        if status == 401:
            return Answer(401, b"Forbidden", HTML)
        return json_answer(status, {"message": _WORDS[status]})

    def mail_of(self, accepted: Accepted) -> EmailMessage | None:
        body = accepted.body
        return plain_mail(
            sender=body["from"],
            to=accepted.to.split(", "),
            subject=body.get("subject", ""),
            text=body.get("text", ""),
            html=body.get("html", ""),
            headers=[(name[2:], value) for name, value in body.items() if name[:2] == "h:"],
        )


def _fields(call: Call) -> dict[str, list[str]]:
    content_type = call.headers.get("content-type", "")
    found: dict[str, list[str]] = {}
    if content_type.startswith("application/x-www-form-urlencoded"):
        for field, given in parse_qsl(call.content.decode("utf-8", "replace"), keep_blank_values=True):
            found.setdefault(field, []).append(given)
        return found
    if not content_type.startswith("multipart/form-data"):
        raise Refused(_error("from parameter is missing"))
    head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1")
    form = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + call.content)
    for part in form.iter_parts() if isinstance(form, EmailMessage) else ():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(content, bytes):
            file = part.get_filename()
            value = f"{file} ({len(content)} bytes)" if file else content.decode("utf-8", "replace")
            found.setdefault(name, []).append(value)
    return found


def _error(message: str) -> Answer:
    return json_answer(400, {"message": message})
