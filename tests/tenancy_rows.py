"""Rows of a foreign organization, one maker per parameter of the API's addresses.

``tests/accounts/test_tenancy.py`` walks every address under ``/api/v1/``. An address with a parameter that is
not listed here fails it: say which row the parameter names, so that the walk can ask for somebody else's.

A key is ``"<first segment>.<parameter>"`` or, for all addresses, ``"<parameter>"``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from accounts.models import Organization, User
from accounts.services.api_keys import create_api_key

# Stands in every text of a foreign row; it must never be seen from outside.
MARK = "FOREIGN-ROW"


@dataclass
class Foreign:
    """Another organization, with two people of its own."""

    organization: Organization
    user: User
    second_user: User

    @functools.cached_property
    def api_key(self) -> Any:
        key, _ = create_api_key(organization=self.organization, name=MARK, scopes=["admin"])
        return key

    @functools.cached_property
    def thread(self) -> Any:
        from messaging.services.threads import create_thread

        thread, _ = create_thread(
            organization_id=self.organization.id,
            creator_id=self.user.id,
            kind="group",
            subject=MARK,
            participants=[self.second_user.id],
        )
        return thread

    @functools.cached_property
    def message(self) -> Any:
        from messaging.services.sending import send_message

        return send_message(
            organization_id=self.organization.id,
            thread_id=self.thread.id,
            sender_id=self.user.id,
            content=MARK,
        ).message


RowMaker = Callable[[Foreign], str]

ROWS: dict[str, RowMaker] = {
    "members.user_id": lambda foreign: str(foreign.second_user.id),
    "api-keys.key_id": lambda foreign: str(foreign.api_key.id),
    "threads.thread_id": lambda foreign: str(foreign.thread.id),
    "threads.participant_id": lambda foreign: str(foreign.second_user.id),
    "threads.change": lambda foreign: "archive",
    "messages.message_id": lambda foreign: str(foreign.message.id),
}

# Where a view reads the body before it looks for the row: a body it accepts, by method and address.
BODIES: dict[tuple[str, str], Callable[[Foreign], Any]] = {
    ("PATCH", "messages/{message_id}"): lambda foreign: {"content": "x"},
    ("POST", "threads/{thread_id}/messages"): lambda foreign: {"content": "x", "client_id": "c1"},
    ("POST", "threads/{thread_id}/participants"): lambda foreign: {
        "participants": [str(foreign.second_user.id)]
    },
    ("PATCH", "threads/{thread_id}/participants/{participant_id}"): lambda foreign: {"role": "member"},
}
