"""CastComm's errors in the API's one error shape."""

from __future__ import annotations

import math
from typing import Any

from drf_standardized_errors.formatter import ExceptionFormatter
from drf_standardized_errors.handler import ExceptionHandler
from drf_standardized_errors.types import ErrorResponse
from rest_framework import exceptions
from rest_framework.exceptions import APIException

from castcomm.common.errors import CastCommError


class ServiceError(APIException):
    """A CastCommError on its way through DRF."""

    def __init__(self, error: CastCommError) -> None:
        self.status_code = error.status_code
        super().__init__(detail=error.message, code=error.code)
        self.attr = error.attr
        retry_after = getattr(error, "retry_after", None)
        if retry_after is not None:
            self.wait = math.ceil(retry_after)


class Handler(ExceptionHandler):
    """drf-standardized-errors' handler, which also knows our own exceptions."""

    def convert_known_exceptions(self, exc: Exception) -> Exception:
        if isinstance(exc, CastCommError):
            if exc.status_code == 400:
                field = exc.attr or "non_field_errors"
                return exceptions.ValidationError(_nested(field, exc))
            return ServiceError(exc)
        converted: Exception = super().convert_known_exceptions(exc)
        return converted


def _nested(path: str, error: CastCommError) -> dict[str, Any]:
    """``a.0.b`` as nested dictionaries, which the formatter joins with dots again."""
    detail: Any = [exceptions.ErrorDetail(error.message, code=error.code)]
    for part in reversed(path.split(".")):
        detail = {part: detail}
    assert isinstance(detail, dict)
    return detail


class Formatter(ExceptionFormatter):
    """Adds ``attr`` for errors of services that are not validation errors."""

    def format_error_response(self, error_response: ErrorResponse) -> Any:
        if isinstance(self.exc, ServiceError) and self.exc.attr:
            error_response.errors[0].attr = self.exc.attr
        return super().format_error_response(error_response)
