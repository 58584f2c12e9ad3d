"""No address of the API shows or touches a row of another organization.

The walk finds the addresses in the URLconf by itself, so that a new one is covered the day it is added.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from django.urls import get_resolver
from rest_framework.test import APIClient

from accounts.models import Organization, User
from accounts.models.organizations import Role
from tests.tenancy_rows import BODIES, MARK, ROWS, Foreign

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
# About the caller alone, in whichever organization.
PERSONAL = {"me", "organizations"}


@dataclass(frozen=True)
class Address:
    """``template`` has ``%(name)s`` for each of ``parameters``."""

    template: str
    parameters: tuple[str, ...]

    @property
    def segment(self) -> str:
        return self.template.removeprefix("api/v1/").split("/")[0]

    def fill(self, foreign: Foreign) -> str:
        values = {}
        for name in self.parameters:
            maker = ROWS.get(f"{self.segment}.{name}") or ROWS.get(name)
            assert maker is not None, (
                f"/{self.template}: nobody says which row {name!r} names; add it to tests/tenancy_rows.py"
            )
            values[name] = maker(foreign)
        return "/" + self.template % values


def addresses() -> Iterator[Address]:
    seen = set()
    for _, possibilities in get_resolver().reverse_dict.lists():
        for bits, *_ in possibilities:
            for template, parameters in bits:
                if not template.startswith("api/v1/") or parameters == ["address"]:
                    continue
                address = Address(template.rstrip("/"), tuple(parameters))
                if address not in seen:
                    seen.add(address)
                    yield address


ALL = sorted(addresses(), key=lambda address: address.template)
# Those below one name are walked in one test: making the rows costs more than asking.
SEGMENTS = sorted({address.segment for address in ALL})


def addresses_of(segment: str, *, with_rows: bool | None = None) -> list[Address]:
    found = [address for address in ALL if address.segment == segment]
    return [one for one in found if with_rows is None or bool(one.parameters) is with_rows]


def name_of(address: Address) -> str:
    return re.sub(r"%\((\w+)\)s", r"{\1}", address.template.removeprefix("api/v1/"))


@pytest.fixture
def foreign(other_organization: Organization, make_user: Callable[..., User]) -> Foreign:
    first, second = (
        make_user(organization=other_organization, role=Role.OWNER, first_name=MARK) for _ in range(2)
    )
    return Foreign(organization=other_organization, user=first, second_user=second)


@pytest.fixture
def callers(
    api_client: Callable[..., APIClient], owner: User, member: User, make_api_key, organization: Organization
) -> dict[str, APIClient]:
    _, plain = make_api_key(organization, "admin")
    return {"owner": api_client(owner), "member": api_client(member), "key": api_client(plain)}


def test_the_walk_finds_the_addresses() -> None:
    assert {"api/v1/me", "api/v1/members/%(user_id)s"} <= {address.template for address in ALL}


@pytest.mark.parametrize("segment", SEGMENTS)
def test_a_foreign_row_does_not_exist(segment: str, foreign: Foreign, callers: dict[str, APIClient]) -> None:
    for address in addresses_of(segment, with_rows=True):
        _assert_hidden(address, foreign, callers)


def _assert_hidden(address: Address, foreign: Foreign, callers: dict[str, APIClient]) -> None:
    url = address.fill(foreign)
    answered = set()
    for name, client in callers.items():
        for method in METHODS:
            body = BODIES.get((method, name_of(address)), lambda _: {})(foreign)
            answer = client.generic(method, url, json.dumps(body), content_type="application/json")
            said = f"{name}: {method} {url} answered {answer.status_code}: {answer.content[:300]!r}"
            assert answer.status_code in {403, 404, 405}, said
            if name == "owner":
                answered.add(answer.status_code)
            _assert_nothing_seen(answer.content, said)
    assert 404 in answered, (
        f"an owner gets {answered} for {url}: is the row looked up within the organization?"
    )


def test_lists_show_nothing_foreign(foreign: Foreign, callers: dict[str, APIClient]) -> None:
    for maker in ROWS.values():
        maker(foreign)
    for segment in SEGMENTS:
        for address in addresses_of(segment, with_rows=False):
            _assert_nothing_listed(address, callers)
        for name in ("owner", "member"):
            assert callers[name].get("/api/v1/me").status_code == 200, f"{name} was signed out by {segment}"


def _assert_nothing_listed(address: Address, callers: dict[str, APIClient]) -> None:
    for name, client in callers.items():
        for method in METHODS:
            answer = client.generic(method, f"/{address.template}", "{}", content_type="application/json")
            said = f"{name}: {method} /{address.template} answered {answer.status_code}: {answer.content[:300]!r}"
            assert answer.status_code < 500, said
            _assert_nothing_seen(answer.content, said)


@pytest.mark.parametrize("segment", [one for one in SEGMENTS if one not in PERSONAL])
def test_naming_a_foreign_organization_is_404(
    segment: str, foreign: Foreign, callers: dict[str, APIClient]
) -> None:
    for address in addresses_of(segment):
        _assert_no_organization(address, foreign, callers)


def _assert_no_organization(address: Address, foreign: Foreign, callers: dict[str, APIClient]) -> None:
    url = address.fill(foreign)
    for name in ("owner", "key"):
        for method in METHODS:
            answer = callers[name].generic(
                method,
                url,
                "{}",
                content_type="application/json",
                headers={"X-Organization": foreign.organization.slug},
            )
            said = f"{name}: {method} {url} answered {answer.status_code}"
            assert answer.status_code in {404, 405}, said


@pytest.mark.parametrize("segment", SEGMENTS)
def test_without_a_credential_nothing_answers(segment: str, foreign: Foreign) -> None:
    client = APIClient()
    for url, method in itertools.product([one.fill(foreign) for one in addresses_of(segment)], METHODS):
        answer = client.generic(method, url, "{}", content_type="application/json")
        assert answer.status_code in {401, 405}, f"{method} {url} answered {answer.status_code}"
        if answer.status_code == 401:
            assert "WWW-Authenticate" in answer
            assert answer.json()["errors"][0]["code"] in {"not_authenticated", "authentication_failed"}


def _assert_nothing_seen(content: bytes, said: str) -> None:
    assert MARK.encode() not in content, said
