"""Addresses for those who watch the service."""

from __future__ import annotations

from django.urls import URLPattern, re_path

from castcomm.monitoring import views

urlpatterns: list[URLPattern] = [
    re_path(r"^health/?$", views.health, name="health"),
    re_path(r"^health/ready/?$", views.ready, name="health-ready"),
    re_path(r"^metrics/?$", views.metrics, name="metrics"),
]
