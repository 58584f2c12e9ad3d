"""The buttons of an inbox row: which of them the person has used, and when."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from django.db.models import F, Func, JSONField, Q, TextField, Value
from django.db.models.functions import Cast, Coalesce, NullIf

from accounts.models import Organization, User
from castcomm.common.clock import now as current_time
from castcomm.common.errors import NotFound
from notifications.services.inbox import Change, change_one, own_row


def mark_action(
    *, organization: Organization, user: User, notification_id: uuid.UUID, key: str, done: bool
) -> dict[str, Any]:
    """Note that a button was used, or that it was not after all; returns the row's new form.

    Who uses a button has read the row. Raises NotFound for a row that is not in this person's inbox, and for a
    button that the row does not have.
    """
    row = own_row(organization, user, notification_id)
    if key not in {action["key"] for action in row.actions or ()}:
        raise NotFound("This notification has no such action.")
    change = _done(key, current_time()) if done else _undone(key)
    return change_one(organization, user, row, change)


def _done(key: str, now: dt.datetime) -> Change:
    at = now.isoformat().replace("+00:00", "Z")
    kept = Coalesce(F("actions_done"), Value({}, JSONField()))
    return Change(
        "action",
        ~Q(actions_done__has_key=key),
        {
            "actions_done": _joined(" || ", kept, Value({key: at}, JSONField())),
            "read_at": Coalesce(F("read_at"), Value(now)),
            "seen_at": Coalesce(F("seen_at"), Value(now)),
        },
        key,
    )


def _undone(key: str) -> Change:
    left = _joined(" - ", F("actions_done"), Cast(Value(key), TextField()))
    return Change(
        "action_undone",
        Q(actions_done__has_key=key),
        {"actions_done": NullIf(left, Value({}, JSONField()))},
        key,
    )


def _joined(operator: str, *operands: Any) -> Func:
    return Func(*operands, template="(%(expressions)s)", arg_joiner=operator, output_field=JSONField())
