"""The buttons and tags of an inbox row: what they may be, and which buttons the person has used, and when."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import F, Func, JSONField, Q, TextField, Value
from django.db.models.functions import Cast, Coalesce, NullIf

from accounts.models import Organization, User
from castcomm.common.clock import now as current_time
from castcomm.common.errors import InvalidInput, NotFound
from notifications.rendering.content import MAX_LABEL, MAX_URL
from notifications.rendering.sandbox import storable
from notifications.services.inbox import Change, change_one, own_row

MAX_ACTIONS = 4
MAX_TAGS = 20
STYLES = ("primary", "secondary")
_KEY = re.compile(r"[a-z0-9_-]{1,40}")
_TAG = re.compile(r"[a-z0-9][a-z0-9:._-]{0,39}")


def check_tags(given: Any, *, attr: str) -> tuple[str, ...]:
    """The tags, sorted and each once; raises InvalidInput that names ``attr`` or the tag's position in it."""
    if given is None:
        return ()
    if not _is_list(given):
        raise InvalidInput("Give a list of tags.", attr=attr)
    if len(given) > MAX_TAGS:
        raise InvalidInput(f"At most {MAX_TAGS} tags.", attr=attr)
    for position, tag in enumerate(given):
        if not isinstance(tag, str) or not _TAG.fullmatch(tag):
            raise InvalidInput(
                "A tag has up to 40 small letters, digits and : . _ -, and begins with a letter or digit.",
                attr=f"{attr}.{position}",
            )
    return tuple(sorted(set(given)))


def check_actions(given: Any, *, attr: str) -> list[dict[str, str]]:
    """Buttons as they are kept: ``key``, ``label``, ``url`` (may be empty), ``style``.

    Raises InvalidInput that names the field, such as ``content.actions.0.label``.
    """
    if given is None:
        return []
    if not _is_list(given) or len(given) > MAX_ACTIONS:
        raise InvalidInput(f"Give a list of at most {MAX_ACTIONS} actions.", attr=attr)
    made = [_check_action(one, f"{attr}.{position}") for position, one in enumerate(given)]
    if len({one["key"] for one in made}) < len(made):
        raise InvalidInput("Each action needs a key of its own.", attr=attr)
    if sum(one["style"] == "primary" for one in made) > 1:
        raise InvalidInput("Only one action can be primary.", attr=attr)
    return made


def _is_list(given: Any) -> bool:
    return isinstance(given, Sequence) and not isinstance(given, str | bytes)


def _check_action(given: Any, attr: str) -> dict[str, str]:
    if not isinstance(given, Mapping):
        raise InvalidInput("An action is an object with a key and a label.", attr=attr)
    for name in sorted(given.keys() - {"key", "label", "url", "style"}):
        raise InvalidInput("An action has key, label, url and style.", attr=f"{attr}.{name}")
    made = {"url": "", "style": "secondary", **given}
    for name, longest in (("key", 40), ("label", MAX_LABEL), ("url", MAX_URL), ("style", 9)):
        value = made.get(name, "")
        if not isinstance(value, str) or "\x00" in value or not storable(value) or len(value) > longest:
            raise InvalidInput(f"Text of at most {longest} characters.", attr=f"{attr}.{name}")
    if not _KEY.fullmatch(made.get("key", "")):
        raise InvalidInput("A key has small letters, digits, _ and -.", attr=f"{attr}.key")
    if not made.get("label", "").strip():
        raise InvalidInput("A button needs a label.", attr=f"{attr}.label", code="required")
    if made["style"] not in STYLES:
        raise InvalidInput("primary or secondary.", attr=f"{attr}.style")
    return made


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
