"""Synchronous work (the database) on behalf of sockets, in a bounded number of threads."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import Any, ParamSpec, TypeVar

from django.db import close_old_connections

from .conf import limits

P = ParamSpec("P")
T = TypeVar("T")


@cache
def _executor() -> ThreadPoolExecutor:
    # As many threads as the pool has connections: more would only wait for one.
    return ThreadPoolExecutor(max_workers=limits().calls, thread_name_prefix="realtime")


def _run(work: Callable[[], T]) -> T:
    close_old_connections()
    try:
        return work()
    finally:
        # Gives a pooled connection back; a lasting one stays with this thread.
        close_old_connections()


async def call_sync(func: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run ``func`` in one of the threads and return what it returns or raise what it raises.

    The caller's context variables go along; Django's connections are tidied before and after.
    """
    context = contextvars.copy_context()
    work: Callable[[], Any] = partial(context.run, partial(func, *args, **kwargs))
    result: T = await asyncio.get_running_loop().run_in_executor(_executor(), _run, work)
    return result
