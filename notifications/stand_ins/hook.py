"""Somebody's own webhook receiver: takes whatever comes to ``/hook/<name>`` and keeps body, headers and bytes.

The id that counts duplicates is ``webhook-id`` (Standard Webhooks) where there is no delivery's id.
"""

from __future__ import annotations

import uuid
from http import HTTPStatus

from notifications.stand_ins.far_side import TEXT, Answer, Call, FarSide, Refused, Taken
from notifications.stand_ins.ledger import Accepted
from notifications.stand_ins.marks import HEADER


class Hook(FarSide):
    key = "hook"
    modes = frozenset({"404", "409", "410"})

    def take(self, call: Call) -> Taken:
        if not call.path:
            raise Refused(self.failure(404))
        if call.path in self.refused_recipients:
            raise Refused(self.failure(410))
        try:
            body = call.json()
        except ValueError:
            body = call.content.decode("utf-8", "replace")
        accepted = Accepted(
            to=call.path,
            message_id=call.headers.get("webhook-id", "") or str(uuid.uuid4()),
            delivery_id=call.headers.get(HEADER, "") or call.headers.get("webhook-id", ""),
            idempotency_key=call.headers.get("idempotency-key", ""),
            body=body,
            headers=dict(call.headers),
            size=len(call.content),
            content=call.content,
        )
        return Taken(Answer(200, b"ok\n", TEXT), (accepted,))

    def failure(self, status: int) -> Answer:
        return Answer(status, HTTPStatus(status).phrase.encode() + b"\n", TEXT)
