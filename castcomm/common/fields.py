"""Model fields that are encrypted at rest."""

from __future__ import annotations

from typing import Any

from django.db import models

from castcomm.common import crypto


class EncryptedTextField(models.TextField):  # type: ignore[type-arg]
    """Text that the database holds only in encrypted form (see ``castcomm.common.crypto``).

    It cannot be searched; keep a blind index beside it where that is needed. Empty text stays empty.
    """

    def get_prep_value(self, value: Any) -> Any:
        prepared = super().get_prep_value(value)
        return crypto.encrypt(prepared) if prepared else prepared

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> str | None:
        return crypto.decrypt(value) if value else value

    def get_lookup(self, lookup_name: str) -> Any:
        if lookup_name not in {"isnull"}:
            raise TypeError(f"An encrypted field cannot be searched by {lookup_name!r}; use its blind index.")
        return super().get_lookup(lookup_name)
