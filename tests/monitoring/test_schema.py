"""The API describes itself, and its pages load nothing from elsewhere."""

from __future__ import annotations

import functools
import re
from typing import Any

import pytest
import yaml
from django.test import Client


@functools.cache
def made_schema() -> dict[str, Any]:
    answer = Client().get("/api/schema/")
    assert answer.status_code == 200
    return yaml.safe_load(answer.content)


@pytest.fixture
def schema(db: None) -> dict[str, Any]:
    return made_schema()


def test_it_is_openapi_3_1_with_every_way_to_sign_in(schema: dict[str, Any]) -> None:
    assert schema["openapi"].startswith("3.1")
    assert set(schema["components"]["securitySchemes"]) == {
        "AccessToken",
        "ApiKey",
        "PreferenceLink",
        "Session",
    }


def test_each_address_stands_there_once_without_a_slash(schema: dict[str, Any]) -> None:
    assert "/api/v1/members/{user_id}" in schema["paths"]
    assert not [path for path in schema["paths"] if path.endswith("/") or "?" in path]


def test_errors_are_described(schema: dict[str, Any]) -> None:
    assert "400" in schema["paths"]["/api/v1/me"]["patch"]["responses"]


@pytest.mark.django_db
def test_the_pages_are_served_from_here() -> None:
    answer = Client().get("/api/docs/")
    assert answer.status_code == 200
    sources = re.findall(r'(?:src|href)="([^"]+)"', answer.content.decode())
    assert sources
    assert all(source.startswith("/") for source in sources)
    for source in sources:
        assert Client().get(source).status_code == 200, source
