"""Slack's incoming webhooks: ``POST`` JSON (or a form's ``payload``), the answer is the text ``ok``.

https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
"""

from __future__ import annotations

import secrets

import orjson

from notifications.stand_ins.far_side import HTML, Answer, Call, FarSide, Refused, Taken
from notifications.stand_ins.ledger import Accepted
from notifications.stand_ins.marks import HEADER

_WORDS = {
    400: "invalid_payload",
    # Slack says 403 where a token does not hold.
    401: "invalid_token",
    404: "no_service",
    410: "channel_is_archived",
    429: "rate_limited",
    500: "rollup_error",
    503: "service_unavailable",
}


class Slack(FarSide):
    key = "slack"
    modes = frozenset({"404", "410"})

    def take(self, call: Call) -> Taken:
        if call.method != "POST":
            raise Refused(self.failure(400))
        if call.path in self.refused_recipients:
            raise Refused(self.failure(404))
        is_form = call.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
        try:
            body = orjson.loads(call.form().get("payload", "")) if is_form else call.json()
        except ValueError:
            raise Refused(self.failure(400)) from None
        if not isinstance(body, dict):
            raise Refused(self.failure(400))
        if not any(body.get(name) for name in ("text", "blocks", "attachments")):
            raise Refused(Answer(400, b"no_text", HTML))
        accepted = Accepted(
            to=call.path,
            message_id=secrets.token_hex(8),
            delivery_id=call.headers.get(HEADER, ""),
            body=body,
            headers=dict(call.headers),
            size=len(call.content),
        )
        return Taken(Answer(200, b"ok", HTML), (accepted,))

    def failure(self, status: int) -> Answer:
        return Answer(403 if status == 401 else status, _WORDS[status].encode(), HTML)
