"""Bad input gets the one error shape, with the name of the field."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from rest_framework.test import APIClient

from accounts.models import User

ME = "/api/v1/me"


@pytest.fixture
def client(api_client: Callable[..., APIClient], member: User) -> APIClient:
    return api_client(member)


def patch(client: APIClient, body: bytes | str, content_type: str = "application/json"):
    return client.patch(ME, body, content_type=content_type)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff\xfe",
        b'{"first_name": NaN}',
        b'{"first_name": "\\ud800"}',
        b'{"first_name": "a\\u0000b"}',
        b'{"a":' * 3000,
    ],
    ids=["cut", "not utf-8", "nan", "lone surrogate", "nul", "deep"],
)
def test_a_malformed_body_is_a_client_error(client: APIClient, body: bytes) -> None:
    answer = patch(client, body)
    assert answer.status_code == 400
    assert answer.json()["type"] == "client_error"
    assert answer.json()["errors"][0]["code"] == "parse_error"
    assert answer.json()["errors"][0]["attr"] is None


@pytest.mark.parametrize(
    ("body", "attr"),
    [
        (b'{"first_name": "x", "deep": ' + b"[" * 900 + b"]" * 900 + b"}", "deep"),
        (b'{"deep": ' + b'{"a":' * 900 + b"1" + b"}" * 901, "deep"),
        (b'{"deep": ' + b"[" * 64 + b"]" * 64 + b"}", "deep"),
        (b"[" * 900 + b"]" * 900, "body"),
    ],
    ids=["lists", "objects", "one too many", "no object"],
)
def test_a_body_that_is_nested_too_deeply_names_the_field(client: APIClient, body: bytes, attr: str) -> None:
    answer = patch(client, body)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["attr"] == attr
    assert answer.json()["errors"][0]["code"] == "too_deep"


def test_a_body_may_be_as_deep_as_that(client: APIClient) -> None:
    answer = patch(client, b'{"deep": ' + b"[" * 63 + b"]" * 63 + b"}")
    assert answer.json()["errors"][0]["code"] == "unknown_field"


@pytest.mark.parametrize(
    "address",
    [
        "/api/v1/members?search=a%00b",
        "/api/v1/threads?cursor=%00",
        "/api/v1/templates/a%00b",
        "/accounts/signup/?organization=%00",
        "/admin/accounts/user/?q=%00",
        "/%00",
    ],
)
@pytest.mark.parametrize("signed_in", [True, False])
def test_a_nul_in_an_address_is_a_client_error(client: APIClient, address: str, signed_in: bool) -> None:
    answer = (client if signed_in else APIClient()).get(address)
    assert answer.status_code == 400
    assert answer.json()["type"] == "client_error"
    assert answer.json()["errors"][0]["detail"] == "An address holds no NUL characters."


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"7", b"null"])
def test_a_body_that_is_no_object_is_refused(client: APIClient, body: bytes) -> None:
    answer = patch(client, body)
    assert answer.status_code == 400
    assert answer.json()["type"] == "validation_error"


def test_unknown_fields_are_named(client: APIClient) -> None:
    answer = client.patch(ME, {"first_name": "Anna", "shoe_size": 41, "is_superuser": True})
    assert answer.status_code == 400
    found = {(error["attr"], error["code"]) for error in answer.json()["errors"]}
    assert found == {("shoe_size", "unknown_field"), ("is_superuser", "unknown_field")}


def test_nothing_is_changed_when_one_field_is_wrong(client: APIClient, member: User) -> None:
    answer = client.patch(ME, {"first_name": "Changed", "time_zone": "Mars/Olympus"})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["attr"] == "time_zone"
    member.refresh_from_db()
    assert member.first_name == "Mem"


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("first_name", "x" * 101, "max_length"),
        ("phone", "12", "invalid"),
        ("phone", "not a number", "invalid"),
        ("locale", "x", "invalid"),
        ("first_name", {"a": 1}, "invalid"),
        ("first_name", "two\nlines", "invalid"),
    ],
)
def test_a_wrong_value_names_its_field(client: APIClient, field: str, value: object, code: str) -> None:
    answer = client.patch(ME, {field: value})
    assert answer.status_code == 400
    assert answer.json() == {
        "type": "validation_error",
        "errors": [{"code": code, "detail": answer.json()["errors"][0]["detail"], "attr": field}],
    }


def test_a_body_beyond_the_limit_is_413(client: APIClient, settings) -> None:
    settings.API_BODY_BYTES = 1000
    answer = client.patch(ME, {"first_name": "x" * 2000})
    assert answer.status_code == 413
    assert answer.json()["errors"][0]["code"] == "payload_too_large"


def test_another_media_type_is_415(client: APIClient) -> None:
    answer = patch(client, b"first_name=Anna", "application/x-www-form-urlencoded")
    assert answer.status_code == 415
    assert answer.json()["errors"][0]["code"] == "unsupported_media_type"


def test_an_unknown_address_is_json_too(client: APIClient) -> None:
    answer = client.get("/api/v1/no-such-thing")
    assert answer.status_code == 404
    assert answer.json()["errors"][0]["code"] == "not_found"


def test_both_spellings_of_an_address_work(client: APIClient) -> None:
    assert client.get("/api/v1/me").status_code == 200
    assert client.get("/api/v1/me/").status_code == 200
