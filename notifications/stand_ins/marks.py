"""Finding the delivery's id in what travels with a message, however a provider spells its metadata."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

HEADER = "x-castcomm-delivery"
_NAMES = frozenset({"deliveryid", "delivery", "castcommdelivery", "castcommdeliveryid", "xcastcommdelivery"})
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_SEPARATORS = re.compile(r"[^a-z]")


def delivery_in(pairs: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> str:
    """The delivery's id among names and values, or "".

    A name counts whatever its case and separators (``delivery_id``, ``X-CastComm-Delivery``, ``castcomm-delivery``);
    ``X-Metadata`` is looked into as JSON, which is how Anymail carries metadata where a provider has none.
    """
    items = pairs.items() if isinstance(pairs, Mapping) else pairs
    metadata = ""
    for name, value in items:
        plain = _SEPARATORS.sub("", str(name).lower())
        if plain in _NAMES and value:
            return str(value)
        if plain == "xmetadata":
            metadata = str(value)
    return _in_json(metadata) if metadata else ""


def _in_json(text: str) -> str:
    try:
        value = orjson.loads(text)
    except ValueError:
        return ""
    return delivery_in(value) if isinstance(value, dict) else ""


def uuid_in(text: str) -> str:
    """The last UUID in a text, or ""."""
    found = _UUID.findall(text)
    return found[-1] if found else ""
