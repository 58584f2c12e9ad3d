"""Identifiers: UUID version 7 (RFC 9562), which sort by the time of their making."""

from __future__ import annotations

import uuid

import uuid_utils.compat


def new_id() -> uuid.UUID:
    """A new UUIDv7; ids made by one process only ever grow."""
    made: uuid.UUID = uuid_utils.compat.uuid7()
    return made


def parse_id(value: object) -> uuid.UUID | None:
    """The UUID that ``value`` spells, or None when it spells none."""
    if isinstance(value, uuid.UUID):
        return value
    if not isinstance(value, str):
        return None
    try:
        return uuid.UUID(value)
    except ValueError:
        return None
