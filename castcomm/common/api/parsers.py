"""Reading request bodies: bounded in size, and nothing that the database cannot hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

import orjson
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from rest_framework import parsers, status
from rest_framework.exceptions import APIException, ParseError

from castcomm.common.errors import InvalidInput

# Levels of lists and objects. What reads a body (serializers, conditions, PostgreSQL's jsonb) calls itself for
# each of them, and Python allows that a thousand times.
MAX_DEPTH = 64


class PayloadTooLarge(APIException):
    """The body has more bytes than its address takes."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = "The body of the request is too large."
    default_code = "payload_too_large"


class JSONParser(parsers.BaseParser):
    """``application/json`` as RFC 8259 has it: UTF-8, no NaN, no lone surrogates, bounded depth.

    NUL characters are refused, because PostgreSQL can hold them neither in text nor in jsonb.
    """

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        raw = _read(stream, parser_context)
        try:
            parsed = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            raise ParseError(f"The body is not valid JSON: {error}") from error
        _check_depth(parsed)
        if b"\\u0000" in raw and _has_nul(parsed):
            raise ParseError("The body contains a NUL character.")
        return parsed


class CSVParser(parsers.BaseParser):
    """``text/csv`` (RFC 4180) as its bytes; who reads the rows says what is wrong with them."""

    media_type = "text/csv"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        return _read(stream, parser_context)


def _read(stream: IO[Any], context: Mapping[str, Any] | None) -> bytes:
    """The body, as large as its view allows (``max_body_bytes``), which is never more than Django does."""
    limit = getattr((context or {}).get("view"), "max_body_bytes", settings.API_BODY_BYTES)
    declared = getattr(stream, "META", {}).get("CONTENT_LENGTH") or "0"
    if declared.isdigit() and int(declared) > limit:
        raise PayloadTooLarge
    # HttpRequest.body checks the size and keeps the bytes for who needs them again (Idempotency-Key).
    try:
        body = getattr(stream, "body", None)
        raw = body if body is not None else stream.read(limit + 1)
    except RequestDataTooBig as error:
        raise PayloadTooLarge from error
    assert isinstance(raw, bytes)
    if len(raw) > limit:
        raise PayloadTooLarge
    return raw


def _check_depth(parsed: Any) -> None:
    """Raise InvalidInput, which names the field of the body, for what is nested deeper than MAX_DEPTH."""
    fields = parsed.items() if isinstance(parsed, dict) else [("body", parsed)]
    below = 1 if isinstance(parsed, dict) else 0
    for name, value in fields:
        if _is_deeper(value, MAX_DEPTH - below):
            raise InvalidInput(
                f"At most {MAX_DEPTH} levels of lists and objects.", attr=str(name), code="too_deep"
            )


def _is_deeper(value: Any, levels: int) -> bool:
    """Whether ``value`` has more than ``levels`` levels; without calling itself."""
    layer = [value]
    for _ in range(levels + 1):
        layer = [one for one in layer if isinstance(one, dict | list)]
        if not layer:
            return False
        layer = [item for one in layer for item in (one.values() if isinstance(one, dict) else one)]
    return True


def _has_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any(_has_nul(key) or _has_nul(item) for key, item in value.items())
    return isinstance(value, list) and any(_has_nul(item) for item in value)
