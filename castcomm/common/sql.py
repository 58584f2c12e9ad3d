"""Statements of the hot paths, run with server-side binding so that PostgreSQL keeps their plan.

Django's own cursors interpolate on the client, which makes every statement new to the server. A statement
here is prepared once per connection (``prepared.py``). It runs on Django's connection, inside its transaction if
there is one, and is seen by ``assertNumQueries``.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.transaction import TransactionManagementError

from castcomm.common.prepared import Prepared, Row

_KEPT = "_castcomm_prepared"  # on psycopg's connection


def run(
    statement: str,
    params: Sequence[Any] | Mapping[str, Any] = (),
    *,
    prepare: bool = True,
    using: str = DEFAULT_DB_ALIAS,
) -> list[Row]:
    """Run one statement and return its rows (an empty list when it returns none).

    Named parameters (``%(name)s``) may stand in the statement more than once.

    ``prepare=False`` is for statements that are seldom run. Raises Django's database errors.
    """
    connection = connections[using]
    with _ready(connection, statement):
        prepared = _prepared(connection)
        if prepare and prepared.may_run():
            return prepared.run(statement, params)
        with psycopg.Cursor(prepared.connection) as cursor:
            cursor.execute(statement.encode(), params, prepare=False)
            return cursor.fetchall() if cursor.description else []


def count(
    statement: str, params: Sequence[Any] | Mapping[str, Any] = (), *, using: str = DEFAULT_DB_ALIAS
) -> int:
    """Run a data-changing statement and return how many rows it touched."""
    connection = connections[using]
    with _ready(connection, statement):
        prepared = _prepared(connection)
        if prepared.may_run():
            return prepared.count(statement, params)
        with psycopg.Cursor(prepared.connection) as cursor:
            cursor.execute(statement.encode(), params, prepare=False)
            return max(cursor.rowcount, 0)


@contextmanager
def _ready(connection: BaseDatabaseWrapper, statement: str) -> Iterator[None]:
    """Around a statement, by Django's rules: a usable connection, its errors, its log of queries."""
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    if connection.needs_rollback:
        raise TransactionManagementError("The transaction was broken by an earlier error.")
    started = time.monotonic()
    with connection.wrap_database_errors:
        yield
    if connection.queries_logged:
        elapsed = time.monotonic() - started
        connection.queries_log.append({"sql": statement, "time": f"{elapsed:.3f}"})


def _prepared(connection: BaseDatabaseWrapper) -> Prepared:
    """What is prepared on the server's connection that is open now; it may come from a pool and know statements."""
    raw: Any = connection.connection
    kept: Prepared | None = getattr(raw, _KEPT, None)
    if kept is None:
        kept = Prepared(raw)
        setattr(raw, _KEPT, kept)
    return kept
