"""Encrypts stored values anew, batch by batch, while the service runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.apps import apps
from django.db import connection, models, transaction

from castcomm.common import crypto
from castcomm.common.fields import EncryptedTextField


@dataclass
class Rotation:
    """How many values were encrypted anew, and the keys of the rows that no key opens."""

    rotated: int = 0
    unreadable: list[Any] = field(default_factory=list)


def encrypted_columns() -> list[tuple[type[models.Model], EncryptedTextField]]:
    """Every encrypted field of every table of ours."""
    return [
        (model, column)
        for model in apps.get_models(include_auto_created=True)
        if model._meta.managed and not model._meta.proxy
        for column in model._meta.local_concrete_fields
        if isinstance(column, EncryptedTextField)
    ]


def rotate_column(model: type[models.Model], column: EncryptedTextField, *, batch_size: int) -> Rotation:
    """Encrypt all values of one column under the first key, ``batch_size`` rows per transaction.

    Rows are locked only for their batch, and those written meanwhile are under the first key already.
    Running it again does no harm.
    """
    result = Rotation()
    last: Any = None
    while True:
        with transaction.atomic():
            rows = _next_batch(model, column, after=last, limit=batch_size)
            if not rows:
                return result
            fresh = []
            for key, token in rows:
                try:
                    fresh.append((key, crypto.rotate(token)))
                except crypto.DecryptionFailed:
                    result.unreadable.append(key)
            _store(model, column, fresh)
        result.rotated += len(fresh)
        last = rows[-1][0]


def _names(model: type[models.Model], column: EncryptedTextField) -> tuple[str, str, str]:
    quote = connection.ops.quote_name
    key = model._meta.pk
    assert key is not None
    assert key.column is not None
    assert column.column is not None
    return quote(model._meta.db_table), quote(key.column), quote(column.column)


def _next_batch(
    model: type[models.Model], column: EncryptedTextField, *, after: Any, limit: int
) -> list[tuple[Any, str]]:
    # The stored form is needed, which the field's own reading would decrypt.
    table, key, value = _names(model, column)
    beyond = f"AND {key} > %s" if after is not None else ""
    statement = (
        f"SELECT {key}, {value} FROM {table} WHERE {value} <> '' {beyond} "  # noqa: S608 (quoted names)
        f"ORDER BY {key} LIMIT %s FOR UPDATE"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [*([after] if after is not None else []), limit])
        return list(cursor.fetchall())


def _store(model: type[models.Model], column: EncryptedTextField, fresh: list[tuple[Any, str]]) -> None:
    table, key, value = _names(model, column)
    with connection.cursor() as cursor:
        cursor.executemany(
            f"UPDATE {table} SET {value} = %s WHERE {key} = %s",  # noqa: S608 (quoted names)
            [(token, row) for row, token in fresh],
        )
