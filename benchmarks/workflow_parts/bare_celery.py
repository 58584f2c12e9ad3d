"""The peer: one Celery task per step, which writes one row and commits."""

from __future__ import annotations

import os
import time

import psycopg
from celery import Celery
from celery.signals import worker_process_init

app = Celery("bare", broker=os.environ["REDIS_URL"])
app.conf.update(
    task_ignore_result=True,
    worker_prefetch_multiplier=64,
    broker_transport_options={"global_keyprefix": "bare:"},
)
_open: list[psycopg.Connection] = []


@worker_process_init.connect
def connect(**_signal: object) -> None:
    _open[:] = [psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)]


@app.task
def step(number: int) -> None:
    _open[0].execute(
        "INSERT INTO bare_step (number, done_at) VALUES (%s, clock_timestamp())", [number], prepare=True
    )


def enqueue(count: int) -> float:
    """Put ``count`` tasks into the queue; returns the seconds it took."""
    began = time.monotonic()
    with app.connection_for_write() as connection, app.amqp.Producer(connection) as producer:
        for number in range(count):
            step.apply_async((number,), producer=producer)
    return time.monotonic() - began
