"""A transaction that PostgreSQL itself holds to reading."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DEFAULT_DB_ALIAS, connections, transaction


@contextmanager
def reading_only(using: str = DEFAULT_DB_ALIAS) -> Iterator[None]:
    """Refuse every change of a row, by whatever code: InternalError inside, and what was there before goes on after.

    Inside another transaction it is a savepoint: PostgreSQL lets that one write again behind it.
    """
    with transaction.atomic(using=using):
        with connections[using].cursor() as cursor:
            cursor.execute("SET TRANSACTION READ ONLY")
        yield
