"""Reading request bodies: bounded in size, and nothing that the database cannot hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

import orjson
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from rest_framework import parsers, status
from rest_framework.exceptions import APIException, ParseError


class PayloadTooLarge(APIException):
    """The body has more bytes than DATA_UPLOAD_MAX_MEMORY_SIZE."""

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
        raw = _read(stream)
        try:
            parsed = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            raise ParseError(f"The body is not valid JSON: {error}") from error
        if b"\\u0000" in raw and _has_nul(parsed):
            raise ParseError("The body contains a NUL character.")
        return parsed


def _read(stream: IO[Any]) -> bytes:
    # HttpRequest.body checks the size and keeps the bytes for who needs them again (Idempotency-Key).
    try:
        body = getattr(stream, "body", None)
        raw = body if body is not None else stream.read(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
    except RequestDataTooBig as error:
        raise PayloadTooLarge from error
    assert isinstance(raw, bytes)
    if len(raw) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
        raise PayloadTooLarge
    return raw


def _has_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any(_has_nul(key) or _has_nul(item) for key, item in value.items())
    return isinstance(value, list) and any(_has_nul(item) for item in value)
