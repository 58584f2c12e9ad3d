"""A plan as lines that people read: + made, ~ changed, - deleted, ! put into use."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from castcomm.common.as_code.kinds import Document
from castcomm.common.as_code.planning import Act, Change, Plan

MARKS = {Act.CREATE: "+", Act.CHANGE: "~", Act.DELETE: "-"}
MAX_SHOWN = 200  # characters of a value in a line
_NOTHING = Document({})


def lines_of(plan: Plan) -> Iterator[str]:
    """The whole plan; the first character of a line is its mark."""
    for change in plan.changes:
        yield f"{MARKS[change.act]} {change.name}"
        if change.act is not Act.DELETE:
            yield from _details(change)
    for name in plan.drafts if plan.wish.publish else ():
        yield f"! {name}: the draft is published"
    if plan.is_empty:
        yield "  No changes: the organization has what the folder says."
    else:
        yield f"  {_summary(plan)}"
    if plan.drafts and not plan.wish.publish:
        yield f"  Drafts that are not in use until they are published (--publish): {', '.join(plan.drafts)}"
    if plan.left_alone:
        yield f"  In no file, and left alone without --prune: {', '.join(plan.left_alone)}"


def _summary(plan: Plan) -> str:
    counted = f"{plan.count(Act.CREATE)} to create, {plan.count(Act.CHANGE)} to change"
    counted += f", {plan.count(Act.DELETE)} to delete"
    return counted + (f", {len(plan.drafts)} to publish" if plan.wish.publish else "")


def _details(change: Change) -> Iterator[str]:
    before, after = change.before or _NOTHING, change.after or _NOTHING
    old, new = dict(_flat(before.fields)), dict(_flat(after.fields))
    for name in [*new, *(name for name in old if name not in new)]:
        if name not in old or name not in new or json.dumps(old[name]) != json.dumps(new[name]):
            yield from _value(name, old.get(name), new.get(name), is_new=change.act is Act.CREATE)
    for name in sorted({*before.bodies, *after.bodies}):
        yield from _text(name, before.bodies.get(name, ""), after.bodies.get(name, ""))
    if not any(one for one in (old, new, before.bodies, after.bodies)):
        yield "    (all fields have their defaults)"


def _value(name: str, old: Any, new: Any, *, is_new: bool) -> Iterator[str]:
    if any(isinstance(one, str) and "\n" in one for one in (old, new)):
        yield from _text(name, str(old or ""), str(new or ""))
    elif is_new:
        yield f"    {name}: {_short(new)}"
    else:
        yield f"    {name}: {_short(old)} → {_short(new)}"


def _text(name: str, old: str, new: str) -> Iterator[str]:
    if old == new:
        return
    yield f"    {name}"
    for line in difflib.unified_diff(old.splitlines(), new.splitlines(), "now", "then", lineterm="", n=2):
        if not line.startswith(("---", "+++")):
            yield f"      {line}"


def _flat(fields: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in fields.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _short(value: Any) -> str:
    text = "(default)" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"
