"""Celery: the doorbell. Tasks carry no work, only "look now"; the work is in PostgreSQL."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "castcomm.settings")

app = Celery("castcomm")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
