"""Encrypted fields: closed in the database, searchable only by their index, and keys can change."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.db import connection

from accounts.models import User
from castcomm.common import crypto

NUMBER = "+12025550123"


def stored(user: User) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT phone FROM accounts_user WHERE id = %s", [user.id])
        return cursor.fetchone()[0]


def test_the_database_holds_no_plain_text(make_user: Callable[..., User]) -> None:
    user = make_user(phone=NUMBER)
    assert NUMBER not in stored(user)
    assert User.objects.get(id=user.id).phone == NUMBER


def test_the_index_finds_and_the_field_does_not(make_user: Callable[..., User]) -> None:
    user = make_user(phone=NUMBER)
    make_user(phone="+12025550199")
    index = crypto.blind_index(NUMBER, kind="phone")
    assert list(User.objects.filter(phone_index=index)) == [user]
    with pytest.raises(TypeError, match="blind index"):
        User.objects.filter(phone=NUMBER).exists()


def test_the_index_follows_the_value(make_user: Callable[..., User]) -> None:
    user = make_user(phone=NUMBER)
    user.phone = ""
    user.save(update_fields=["phone"])
    user.refresh_from_db()
    assert user.phone_index == ""


def test_indexes_of_different_kinds_and_keys_differ(settings) -> None:
    as_phone = crypto.blind_index(NUMBER, kind="phone")
    assert as_phone != crypto.blind_index(NUMBER, kind="email")
    settings.BLIND_INDEX_KEY = "another key of some length"
    assert crypto.blind_index(NUMBER, kind="phone") != as_phone


def test_an_old_key_still_opens_and_a_foreign_key_does_not(settings) -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    settings.FIELD_ENCRYPTION_KEYS = [old]
    token = crypto.encrypt("secret")
    settings.FIELD_ENCRYPTION_KEYS = [new, old]
    assert crypto.decrypt(token) == "secret"
    rotated = crypto.rotate(token)
    settings.FIELD_ENCRYPTION_KEYS = [new]
    assert crypto.decrypt(rotated) == "secret"
    with pytest.raises(crypto.DecryptionFailed):
        crypto.decrypt(token)


def test_rotation_covers_every_row_in_batches(settings, make_user: Callable[..., User]) -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    settings.FIELD_ENCRYPTION_KEYS = [old]
    people = [make_user(phone=f"+1202555{number:04}") for number in range(7)]
    without = make_user()
    settings.FIELD_ENCRYPTION_KEYS = [new, old]
    said = StringIO()
    call_command("rotate_encryption_keys", batch_size=3, stdout=said)
    assert "accounts.User.phone: 7 rotated" in said.getvalue()
    settings.FIELD_ENCRYPTION_KEYS = [new]
    assert [User.objects.get(id=person.id).phone for person in people] == [
        f"+1202555{number:04}" for number in range(7)
    ]
    assert stored(without) == ""


def test_rotation_reports_what_no_key_opens_and_leaves_it(settings, make_user: Callable[..., User]) -> None:
    lost = Fernet.generate_key().decode()
    settings.FIELD_ENCRYPTION_KEYS = [lost]
    closed = make_user(phone=NUMBER)
    before = stored(closed)
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    opened = make_user(phone="+12025550199")
    errors = StringIO()
    with pytest.raises(CommandError, match="1 values could not be opened"):
        call_command("rotate_encryption_keys", stdout=StringIO(), stderr=errors)
    assert str(closed.id) in errors.getvalue()
    assert stored(closed) == before
    assert User.objects.get(id=opened.id).phone == "+12025550199"
