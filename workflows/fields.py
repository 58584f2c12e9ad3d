"""A JSON field that keeps what people wrote."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.types.json import Json


class WrittenJSONField(models.JSONField):
    """JSON in PostgreSQL's ``json`` type, which keeps the order of keys; ``jsonb`` sorts them.

    People read and edit these documents, so they get them back in their own order. It has no equality in
    SQL: do not filter or group by it.
    """

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        return "json"

    def get_db_prep_value(self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False) -> Any:
        return value if value is None or isinstance(value, Json) else Json(value)

    def from_db_value(self, value: Any, expression: Any, connection: BaseDatabaseWrapper) -> Any:
        # psycopg has read "json" already; Django turns its own reading off for "jsonb" only.
        return value
