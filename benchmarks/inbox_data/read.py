"""Fills a database, calls the inbox's API in this process, and prints times, queries and plans."""

from __future__ import annotations

import os
import statistics
import sys
import time
from typing import Any
from unittest import mock

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "castcomm.settings")

import django

django.setup()

from django.db import connection  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402
from rest_framework.test import APIClient  # noqa: E402
from servers import table  # noqa: E402

from castcomm.common.prepared import Prepared  # noqa: E402
from inbox_data.fill import fill  # noqa: E402

MEDIAN, P95 = 15.0, 40.0  # milliseconds
WARM_UP = 20
Asked = tuple[str, Any]
ADDRESSES = {
    "unread list": "/api/v1/notifications/unread",
    "counts": "/api/v1/notifications/count",
    "whole list": "/api/v1/notifications",
}


def main() -> int:
    rows, inbox, unread, calls = (int(one) for one in sys.argv[1:5])
    started = time.monotonic()
    filled = fill(rows, inbox, unread)
    print(f"{rows:,} notifications, {inbox:,} in the inbox, {unread:,} unread", end="")
    print(f" (filled in {time.monotonic() - started:.0f} s)\n")
    client = APIClient()
    client.force_login(filled.user, backend="django.contrib.auth.backends.ModelBackend")
    other = APIClient()
    other.force_login(filled.other, backend="django.contrib.auth.backends.ModelBackend")
    lines, statements, missed = [], [], False
    for what, address in ADDRESSES.items():
        times = measure(client, address, calls)
        seen = asked_by(client, address)
        statements.append((what, seen))
        queries = str(len(seen))
        if len(asked_by(other, address)) != len(seen):
            queries, missed = "not constant", True
        middle, p95 = statistics.median(times), statistics.quantiles(times, n=20)[18]
        missed |= middle >= MEDIAN or p95 >= P95
        lines.append([what, f"{middle:.1f}", f"{p95:.1f}", f"{max(times):.1f}", queries])
    print(table(["call", "median ms", "p95 ms", "max ms", "queries"], lines))
    for what, sqls in statements:
        show_plans(what, sqls)
    print(f"\nGoal: median < {MEDIAN:.0f} ms, p95 < {P95:.0f} ms: {'missed' if missed else 'reached'}")
    return int(missed)


def get(client: APIClient, address: str) -> Any:
    response = client.get(address)
    if response.status_code != 200:
        raise RuntimeError(f"{address} answered {response.status_code}: {response.content[:300]!r}")
    return response.content


def measure(client: APIClient, address: str, calls: int) -> list[float]:
    """Milliseconds of each call."""
    for _ in range(WARM_UP):
        get(client, address)
    times = []
    for _ in range(calls):
        started = time.perf_counter()
        get(client, address)
        times.append((time.perf_counter() - started) * 1000)
    return times


def asked_by(client: APIClient, address: str) -> list[Asked]:
    """The statements of one call: Django's own with their values, and CastComm's with their parameters."""
    own: list[Asked] = []
    real = Prepared._execute

    def recorded(prepared: Prepared, statement: str, params: Any) -> Any:
        own.append((statement, params))
        return real(prepared, statement, params)

    with mock.patch.object(Prepared, "_execute", recorded), CaptureQueriesContext(connection) as seen:
        get(client, address)
    known = {statement for statement, _ in own}
    return [*own, *((one["sql"], None) for one in seen.captured_queries if one["sql"] not in known)]


def show_plans(what: str, asked: list[Asked]) -> None:
    """EXPLAIN of the statements that read notifications."""
    for statement, params in asked:
        if "notifications_notification" not in statement:
            continue
        with connection.cursor() as cursor:
            cursor.execute("EXPLAIN (ANALYZE, BUFFERS, COSTS OFF) " + statement, params)
            plan = "\n".join(f"  {row[0]}" for row in cursor.fetchall())
        start = statement.find("FROM")
        print(f"\n{what}: … {' '.join(statement[start:].split())[:300]}\n{plan}")


if __name__ == "__main__":
    sys.exit(main())
