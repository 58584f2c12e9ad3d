"""Statements of the hot paths, run with server-side binding so that PostgreSQL keeps their plan.

Django's own cursors interpolate on the client, which makes every statement new to the server. A statement
here is prepared once per connection. It runs on Django's connection, inside its transaction if there
is one, and is seen by ``assertNumQueries``.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.transaction import TransactionManagementError


def run(
    statement: str,
    params: Sequence[Any] | Mapping[str, Any] = (),
    *,
    prepare: bool = True,
    using: str = DEFAULT_DB_ALIAS,
) -> list[tuple[Any, ...]]:
    """Run one statement and return its rows (an empty list when it returns none).

    Named parameters (``%(name)s``) may stand in the statement more than once.

    ``prepare=False`` is for statements that are seldom run. Raises Django's database errors.
    """
    connection = connections[using]
    connection.ensure_connection()
    if connection.needs_rollback:
        raise TransactionManagementError("The transaction was broken by an earlier error.")
    raw: Any = connection.connection
    started = time.monotonic()
    with connection.wrap_database_errors, psycopg.Cursor(raw) as cursor:
        cursor.execute(statement.encode(), params, prepare=prepare)
        rows = cursor.fetchall() if cursor.description is not None else []
    if connection.queries_logged:
        elapsed = time.monotonic() - started
        connection.queries_log.append({"sql": statement, "time": f"{elapsed:.3f}"})
    return rows


def count(statement: str, params: Sequence[Any] = (), *, using: str = DEFAULT_DB_ALIAS) -> int:
    """Run a data-changing statement and return how many rows it touched."""
    connection = connections[using]
    connection.ensure_connection()
    raw: Any = connection.connection
    with connection.wrap_database_errors, psycopg.Cursor(raw) as cursor:
        cursor.execute(statement.encode(), params, prepare=True)
        return max(cursor.rowcount, 0)
