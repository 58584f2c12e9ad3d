"""What steps that do one thing want done, in the engine's transaction."""

from __future__ import annotations

import uuid

import orjson
from django.db.models import QuerySet

from accounts.models import Organization, User
from accounts.selectors import members_of
from accounts.services.users import set_attributes
from castcomm.common import sql
from castcomm.common.errors import Unprocessable
from castcomm.common.ids import parse_id
from messaging.models import Kind
from messaging.services.sending import send_message
from messaging.services.threads import create_thread
from workflows import doorbell
from workflows.engine.wants import (
    CallHttp,
    HttpOutcome,
    PassThrottle,
    Posted,
    PostMessage,
    SetAttributes,
)
from workflows.models import HttpCall, ThrottlePass


class LiveLeafEffects:
    """Every one through its service. HTTP is a row here; ``services.http_calls`` makes the call later."""

    def post_message(self, wanted: PostMessage) -> Posted:
        """Post a chat message; the same ``key`` posts once."""
        organization_id = wanted.organization.id
        sender_id = _member(wanted.organization, wanted.sender)
        if wanted.thread:
            thread_id = parse_id(wanted.thread)
            if thread_id is None:
                raise Unprocessable(f"{wanted.thread[:100]!r} is no id of a thread.")
        else:
            thread, _ = create_thread(
                organization_id=organization_id,
                creator_id=sender_id,
                kind=Kind.DIRECT,
                participants=[str(wanted.user_id)],
            )
            thread_id = thread.id
        sent = send_message(
            organization_id=organization_id,
            thread_id=thread_id,
            sender_id=sender_id,
            content=wanted.content,
            client_id=wanted.key,
        )
        return Posted(thread_id, sent.message.id)

    def set_attributes(self, wanted: SetAttributes) -> None:
        """Lay the values over the person's attributes."""
        set_attributes(user=User.objects.get(id=wanted.user_id), attributes=wanted.values)

    def pass_throttle(self, wanted: PassThrottle) -> bool:
        """Whether there was room; then it is counted, in a row that goes when the transaction does."""
        # Two at once must see each other.
        lock = uuid.uuid5(wanted.organization_id, wanted.name).int & (2**63 - 1)
        sql.run("SELECT pg_advisory_xact_lock(%s)", (lock,))
        passes: QuerySet[ThrottlePass] = ThrottlePass.objects.for_organization(wanted.organization_id)
        if passes.filter(name=wanted.name, passed_at__gt=wanted.now - wanted.per).count() >= wanted.limit:
            return False
        ThrottlePass.objects.create(
            organization_id=wanted.organization_id,
            name=wanted.name,
            passed_at=wanted.now,
            expires_at=wanted.now + wanted.per,
        )
        return True

    def call_http(self, wanted: CallHttp) -> HttpOutcome | None:
        """Write the call down, to be made after the commit."""
        HttpCall.objects.create(
            organization_id=wanted.organization_id,
            step_run_id=_step_run(wanted.key),
            method=wanted.method,
            url=wanted.url,
            host=_host(wanted.url),
            headers=orjson.dumps(dict(wanted.headers)).decode(),
            body=wanted.body,
            timeout=wanted.timeout,
            retries=wanted.retries,
            due_at=wanted.now,
        )
        doorbell.ring_calls_on_commit()
        return None

    def http_outcome(self, key: str) -> HttpOutcome | None:
        """How the call ended, or None while it is under way."""
        call = HttpCall.objects.filter(step_run=_step_run(key)).first()
        if call is None or call.finished_at is None:
            return None
        return HttpOutcome(**(call.outcome or {"status": 0}), attempts=call.attempts)


def _step_run(key: str) -> uuid.UUID:
    return uuid.UUID(key.rpartition(":")[2])


def _host(url: str) -> str:
    return url.partition("://")[2].partition("/")[0].rpartition("@")[2][:255]


def _member(organization: Organization, named: str) -> uuid.UUID:
    identifier = parse_id(named)
    wanted = {"user_id": identifier} if identifier else {"user__email": named.lower()}
    found: uuid.UUID | None = (
        members_of(organization).filter(**wanted).values_list("user_id", flat=True).first()
    )
    if found is None:
        raise Unprocessable(f"The sender {named[:254]!r} is no active member of the organization.")
    return found
