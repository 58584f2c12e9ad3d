"""CastComm: one Django service for every message a product sends."""

from castcomm.celery import app as celery_app

__all__ = ["celery_app"]
