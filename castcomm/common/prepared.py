"""Prepared statements of one PostgreSQL connection, run without a cursor.

A psycopg cursor takes 25 µs per statement for what a small query does not need: a generator, a conversion of the
placeholders, a description of the columns. Here a statement is converted once per process, prepared once per
connection and kind of parameters, and run through libpq (``PQexecPrepared``). Parameters and rows go through
psycopg's own adapters, so that types and errors are those of a cursor. psycopg itself must prepare nothing on the
connection: after a rollback it would deallocate everything, these statements included.

The caller is psycopg's connection, between two of its own statements; it must not be in pipeline mode.
While a statement runs, the thread waits in libpq: a signal is handled when the answer is there.
"""

from __future__ import annotations

import functools
import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import psycopg
from psycopg import errors
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import ConnStatus, ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult

Row = tuple[Any, ...]
MAX_STATEMENTS = 200  # prepared on one connection; the one unused for longest goes
_PLACEHOLDER = re.compile(r"%(?:\((?P<name>\w+)\)s|(?P<other>.))", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A statement with ``$1``, ``$2`` …; ``names`` in that order where the parameters are named."""

    text: bytes
    count: int
    names: tuple[str, ...] | None


class Prepared:
    """The statements of ``connection``; belongs to it and to the thread that uses it."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection
        self._pgconn = connection.pgconn
        self._transformer = Transformer(connection)
        self._names: OrderedDict[tuple[str, tuple[int, ...] | None], bytes] = OrderedDict()
        self._made = 0

    def may_run(self) -> bool:
        """Whether statements can run here; begins the transaction where psycopg would, before its first statement."""
        status = self._pgconn.transaction_status
        if status != TransactionStatus.IDLE:
            return status == TransactionStatus.INTRANS
        raw = self.connection
        if not raw.autocommit:
            if (raw.isolation_level, raw.read_only, raw.deferrable) != (None, None, None):
                return False
            self._checked(self._pgconn.exec_(b"BEGIN"))
        return True

    def run(self, statement: str, params: Sequence[Any] | Mapping[str, Any]) -> list[Row]:
        """The rows of the answer; none where the statement returns none. Raises psycopg's errors."""
        result = self._execute(statement, params)
        if not result.nfields:
            return []
        self._transformer.set_pgresult(result)
        rows = self._transformer.load_rows(0, result.ntuples, tuple)
        self._transformer.set_pgresult(None)  # so that a large answer does not stay in memory
        return rows

    def count(self, statement: str, params: Sequence[Any] | Mapping[str, Any]) -> int:
        """How many rows the statement touched or returned. Raises psycopg's errors."""
        return self._execute(statement, params).command_tuples or 0

    def _execute(self, statement: str, params: Sequence[Any] | Mapping[str, Any]) -> PGresult:
        compiled = _compile(statement)
        values = _in_order(compiled, params)
        dumped = self._transformer.dump_sequence(values, _formats(compiled.count))
        types = self._transformer.types
        name = self._names.get((statement, types))
        if name is None:
            name = self._prepare(compiled.text, (statement, types))
        else:
            self._names.move_to_end((statement, types))
        # psycopg's annotation leaves out that a parameter may be None.
        return self._checked(
            self._pgconn.exec_prepared(name, cast("Sequence[bytes]", dumped), self._transformer.formats)
        )

    def _prepare(self, text: bytes, key: tuple[str, tuple[int, ...] | None]) -> bytes:
        while len(self._names) >= MAX_STATEMENTS:
            _, oldest = self._names.popitem(last=False)
            self._checked(self._pgconn.exec_(b"DEALLOCATE " + oldest))
        self._made += 1
        name = b"castcomm_%d" % self._made
        self._checked(self._pgconn.prepare(name, text, key[1]))
        self._names[key] = name
        return name

    def _checked(self, result: PGresult) -> PGresult:
        if result.status in (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK):
            return result
        if self._pgconn.status != ConnStatus.OK:
            raise errors.OperationalError(self._pgconn.get_error_message())
        error = errors.error_from_result(result, encoding=self.connection.info.encoding)
        if isinstance(error, errors.InvalidSqlStatementName):
            self._names.clear()  # somebody ran DEALLOCATE ALL; the next statements are prepared anew
        raise error


def _in_order(compiled: _Compiled, params: Sequence[Any] | Mapping[str, Any]) -> Sequence[Any]:
    if compiled.names is not None:
        if not isinstance(params, Mapping):
            raise errors.ProgrammingError("This statement names its parameters: give a mapping.")
        return [params[name] for name in compiled.names]
    if isinstance(params, Mapping) or len(params) != compiled.count:
        raise errors.ProgrammingError(
            f"This statement has {compiled.count} places for parameters; {len(params)} were given."
        )
    return params


@functools.lru_cache(maxsize=64)
def _formats(count: int) -> list[PyFormat]:
    return [PyFormat.AUTO] * count


@functools.lru_cache(maxsize=512)
def _compile(statement: str) -> _Compiled:
    """The statement in PostgreSQL's own form; a name stands for one parameter however often it is there."""
    numbers: dict[str, int] = {}
    named = False

    def place(match: re.Match[str]) -> str:
        nonlocal named
        if match["other"] == "%":
            return "%"
        if match["other"] not in (None, "s"):
            raise errors.ProgrammingError(f"Not a placeholder: {match[0]!r}.")
        if match["name"] is not None:
            named = True
        return f"${numbers.setdefault(match['name'] or str(len(numbers)), len(numbers) + 1)}"

    text = _PLACEHOLDER.sub(place, statement)
    return _Compiled(text.encode(), len(numbers), tuple(numbers) if named else None)
