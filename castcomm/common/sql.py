"""Statements of the hot paths, run with server-side binding so that PostgreSQL keeps their plan.

Django's own cursors interpolate on the client, which makes every statement new to the server. A statement
here is prepared once per connection. It runs on Django's connection, inside its transaction if there
is one, and is seen by ``assertNumQueries``.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.transaction import TransactionManagementError

Row = tuple[Any, ...]
_Cursor = psycopg.Cursor[Row]

KEPT_ROWS = 100  # of a larger answer nothing stays in memory after it was read
_KEPT = "_castcomm_cursor"  # on Django's connection


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
    cursor = _executed(connection, statement, params, prepare)
    # Not ``cursor.description``: it describes every column anew, which costs as much as a small query.
    if cursor.pgresult is None or cursor.pgresult.nfields == 0:
        return []
    rows = cursor.fetchall()
    if len(rows) > KEPT_ROWS:
        setattr(connection, _KEPT, None)
    return rows


def count(
    statement: str, params: Sequence[Any] | Mapping[str, Any] = (), *, using: str = DEFAULT_DB_ALIAS
) -> int:
    """Run a data-changing statement and return how many rows it touched."""
    return max(_executed(connections[using], statement, params, True).rowcount, 0)


def _executed(
    connection: BaseDatabaseWrapper, statement: str, params: Sequence[Any] | Mapping[str, Any], prepare: bool
) -> _Cursor:
    """The connection's cursor after it has run the statement, by Django's rules."""
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    if connection.needs_rollback:
        raise TransactionManagementError("The transaction was broken by an earlier error.")
    cursor = _cursor(connection)
    started = time.monotonic()
    with connection.wrap_database_errors:
        cursor.execute(_encoded(statement), params, prepare=prepare)
    if connection.queries_logged:
        elapsed = time.monotonic() - started
        connection.queries_log.append({"sql": statement, "time": f"{elapsed:.3f}"})
    return cursor


def _cursor(connection: BaseDatabaseWrapper) -> _Cursor:
    """One cursor for all statements of a connection: making one costs a third of a small statement."""
    raw: Any = connection.connection
    kept: _Cursor | None = getattr(connection, _KEPT, None)
    if kept is None or kept.connection is not raw or kept.closed:
        kept = psycopg.Cursor(raw)
        setattr(connection, _KEPT, kept)
    return kept


@functools.lru_cache(maxsize=256)
def _encoded(statement: str) -> bytes:
    return statement.encode()
