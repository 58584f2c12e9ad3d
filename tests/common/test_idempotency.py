"""Idempotency-Key: the same request twice has one effect and one answer."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import RequestFactory
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIClient

from accounts.models import Organization, User
from castcomm.common.api import idempotency
from castcomm.common.clock import now
from castcomm.common.errors import StillRunning
from castcomm.common.models import IdempotentRequest

MEMBERS = "/api/v1/members"
NEW = {"email": "new@example.com", "first_name": "New"}


@pytest.fixture
def client(api_client: Callable[..., APIClient], owner: User) -> APIClient:
    return api_client(owner)


def post(client: APIClient, body: object = NEW, key: str = "k1"):
    return client.post(MEMBERS, body, headers={"Idempotency-Key": key})


def test_the_second_request_gets_the_first_answer(client: APIClient) -> None:
    first, second = post(client), post(client)
    assert first.status_code == second.status_code == 201
    assert first.json() == second.json()
    assert second["Idempotency-Replayed"] == "true"
    assert User.objects.filter(email="new@example.com").count() == 1


def test_another_body_with_the_same_key_is_422(client: APIClient) -> None:
    post(client)
    answer = post(client, {"email": "else@example.com"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["code"] == "idempotency_key_reused"
    assert not User.objects.filter(email="else@example.com").exists()


def test_keys_of_different_callers_do_not_meet(
    client: APIClient, api_client: Callable[..., APIClient], make_api_key, organization: Organization
) -> None:
    _, plain = make_api_key(organization)
    assert post(client).status_code == 201
    assert post(api_client(plain), {"email": "else@example.com"}).status_code == 201


def test_a_request_that_failed_leaves_the_key_free(client: APIClient) -> None:
    assert post(client, {"email": "wrong"}).status_code == 400
    assert IdempotentRequest.objects.count() == 0
    assert post(client).status_code == 201


def test_while_the_first_runs_the_second_is_told_to_wait(
    client: APIClient, owner: User, organization: Organization
) -> None:
    IdempotentRequest.objects.create(
        organization_id=organization.id,
        actor=f"user:{owner.id}",
        key="k1",
        fingerprint=_fingerprint_of(client),
        locked_until=now() + dt.timedelta(seconds=30),
    )
    answer = post(client)
    assert answer.status_code == 409
    assert answer["Retry-After"] == "1"


def test_a_process_that_died_blocks_the_key_only_for_its_lock(
    client: APIClient, owner: User, organization: Organization
) -> None:
    IdempotentRequest.objects.create(
        organization_id=organization.id,
        actor=f"user:{owner.id}",
        key="k1",
        fingerprint=_fingerprint_of(client),
        locked_until=now() - dt.timedelta(seconds=1),
    )
    assert post(client).status_code == 201


@pytest.mark.parametrize("key", ["x" * 256, "a\x01b"])
def test_a_key_that_cannot_be_kept_is_refused(client: APIClient, key: str) -> None:
    answer = post(client, key=key)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["attr"] == "Idempotency-Key"


def test_old_records_are_forgotten(client: APIClient) -> None:
    post(client)
    assert idempotency.forget_old_requests() == 0
    IdempotentRequest.objects.update(created_at=now() - dt.timedelta(hours=25))
    assert idempotency.forget_old_requests() == 1


@pytest.mark.django_db(transaction=True)
def test_many_at_once_have_one_effect(
    api_client: Callable[..., APIClient], owner: User, make_user: Callable[..., User]
) -> None:
    answers: list[int] = []

    def call(client: APIClient) -> None:
        try:
            answers.append(post(client).status_code)
        finally:
            connection.close()

    threads = [threading.Thread(target=call, args=[api_client(owner)]) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(answers) <= {201, 409}
    assert 201 in answers
    assert User.objects.filter(email="new@example.com").count() == 1


def _request(factory: RequestFactory) -> Request:
    key = {"Idempotency-Key": "k"}
    return Request(factory.post("/x", b"{}", content_type="application/json", headers=key))


def _expire(monkeypatch: pytest.MonkeyPatch) -> None:
    later = now() + dt.timedelta(minutes=2)
    monkeypatch.setattr(idempotency, "now", lambda: later)


def test_who_stalled_past_the_lock_has_no_effects_beside_the_repetition(
    organization: Organization, rf: RequestFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    effects: list[str] = []

    def act(name: str) -> Response:
        effects.append(name)
        return Response({"by": name})

    def run(name: str) -> Response:
        return idempotency.run_once(
            request=_request(rf), organization_id=organization.id, actor="a", act=lambda: act(name)
        )

    claim = idempotency._claim

    def stall(*args: Any) -> Any:
        # Between the claim and the effects, this process stands still and the client repeats the request.
        monkeypatch.setattr(idempotency, "_claim", claim)
        claimed = claim(*args)
        _expire(monkeypatch)
        assert run("second").data == {"by": "second"}
        return claimed

    monkeypatch.setattr(idempotency, "_claim", stall)
    with pytest.raises(StillRunning):
        run("first")
    assert effects == ["second"]
    # The one that gave up has not removed the record of the other.
    assert run("third")["Idempotency-Replayed"] == "true"


@pytest.mark.django_db(transaction=True)
def test_effects_that_take_longer_than_the_lock_are_not_repeated(
    organization: Organization, rf: RequestFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[bool] = []

    def repeat() -> None:
        try:
            idempotency.run_once(
                request=_request(rf), organization_id=organization.id, actor="a", act=lambda: Response({})
            )
        except StillRunning:
            refused.append(True)
        finally:
            connection.close()

    def slow() -> Response:
        thread = threading.Thread(target=repeat)
        thread.start()
        thread.join(timeout=10)
        return Response({})

    monkeypatch.setattr(idempotency, "LOCK", dt.timedelta(seconds=-1))
    idempotency.run_once(request=_request(rf), organization_id=organization.id, actor="a", act=slow)
    assert refused == [True]


def _fingerprint_of(client: APIClient) -> str:
    post(client, key="other")
    known = IdempotentRequest.objects.get(key="other")
    User.objects.filter(email="new@example.com").delete()
    known.delete()
    return known.fingerprint
