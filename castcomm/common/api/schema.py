"""What the OpenAPI schema says about errors: the one shape, with the statuses that services raise."""

from __future__ import annotations

from typing import Any

from drf_standardized_errors.openapi import AutoSchema as StandardizedAutoSchema
from drf_standardized_errors.openapi_serializers import ClientErrorEnum
from rest_framework import serializers

# Raised by services (castcomm.common.errors), with codes of their own.
_OF_SERVICES = ("403", "409", "422")
_WRITING = ("POST", "PUT", "PATCH", "DELETE")


class ServiceErrorSerializer(serializers.Serializer[Any]):
    """One error; ``attr`` names the field or header where there is one."""

    code = serializers.CharField()
    detail = serializers.CharField()
    attr = serializers.CharField(allow_null=True)


class ServiceErrorResponseSerializer(serializers.Serializer[Any]):
    """The one error shape."""

    type = serializers.ChoiceField(choices=ClientErrorEnum.choices)
    errors = ServiceErrorSerializer(many=True)  # type: ignore[assignment]


class AutoSchema(StandardizedAutoSchema):
    """drf-standardized-errors' schema with 409 and 422 for what changes something."""

    def _should_add_error_response(self, responses: dict[str, Any], status_code: str) -> bool:
        if status_code in {"409", "422"} and self.method not in _WRITING:
            return False
        return bool(super()._should_add_error_response(responses, status_code))

    def _get_error_response_serializer(self, status_code: str) -> Any:
        if status_code in _OF_SERVICES:
            return ServiceErrorResponseSerializer
        return super()._get_error_response_serializer(status_code)
