"""Statements of the hot paths, run with server-side binding so that PostgreSQL keeps their plan.

Django's own cursors interpolate on the client, which makes every statement new to the server. A statement
here is prepared once per connection. It runs on Django's connection, inside its transaction if there
is one, and is seen by ``assertNumQueries``.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
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
    with _executed(statement, params, prepare, using) as cursor:
        # Not ``cursor.description``: it describes every column anew, which costs as much as a small query.
        answered = cursor.pgresult is not None and cursor.pgresult.nfields > 0
        return cursor.fetchall() if answered else []


def count(statement: str, params: Sequence[Any] = (), *, using: str = DEFAULT_DB_ALIAS) -> int:
    """Run a data-changing statement and return how many rows it touched."""
    with _executed(statement, params, True, using) as cursor:
        return max(cursor.rowcount, 0)


@contextlib.contextmanager
def _executed(
    statement: str, params: Sequence[Any] | Mapping[str, Any], prepare: bool, using: str
) -> Iterator[psycopg.Cursor[tuple[Any, ...]]]:
    """A cursor that has run the statement on Django's connection, by Django's rules."""
    connection = connections[using]
    connection.ensure_connection()
    if connection.needs_rollback:
        raise TransactionManagementError("The transaction was broken by an earlier error.")
    raw: Any = connection.connection
    started = time.monotonic()
    with connection.wrap_database_errors, psycopg.Cursor(raw) as cursor:
        cursor.execute(statement.encode(), params, prepare=prepare)
        yield cursor
    if connection.queries_logged:
        elapsed = time.monotonic() - started
        connection.queries_log.append({"sql": statement, "time": f"{elapsed:.3f}"})
