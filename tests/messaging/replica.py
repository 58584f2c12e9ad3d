"""A client's copy of a thread, made from frames alone."""

from __future__ import annotations

import copy
from typing import Any

from messaging.models import Message, Participant, Thread
from messaging.presentation import message_json


class Replica:
    """What a client knows of a thread; ``seq`` is the last change it has."""

    def __init__(self) -> None:
        self.seq = 0
        self.subject = ""
        self.metadata: dict[str, Any] = {}
        self.messages: dict[str, dict[str, Any]] = {}
        self.roles: dict[str, str] = {}
        self.marks: dict[str, int] = {}

    def apply(self, frame: dict[str, Any]) -> None:
        """Take a frame; numbered ones must come without gap."""
        data = dict(frame["data"])
        if frame["event"] == "message:read":
            if data["user"] in self.roles:
                self.marks[data["user"]] = max(self.marks[data["user"]], data["seq"])
            return
        assert frame["seq"] == self.seq + 1
        self.seq = frame["seq"]
        operation = data.pop("op")
        data.pop("actor", None)
        if frame["event"] == "message:received":
            self.messages[data["id"]] = data
        elif operation == "thread_changed":
            self.subject, self.metadata = data["subject"], data["metadata"]
        else:
            self._apply_to_people(operation, data)

    def _apply_to_people(self, operation: str, data: dict[str, Any]) -> None:
        person = data["user"]["id"]
        if operation in {"participant_left", "participant_removed"}:
            del self.roles[person], self.marks[person]
            return
        self.roles[person] = data["role"]
        if operation == "participant_added":
            self.marks[person] = data["last_read_seq"]

    def state(self) -> dict[str, Any]:
        return copy.deepcopy(vars(self))


def fresh(thread: Thread) -> Replica:
    """The same, read from the tables."""
    replica = Replica()
    thread = Thread.objects.get(id=thread.id)
    replica.seq, replica.subject, replica.metadata = thread.seq, thread.subject, thread.metadata
    for message in Message.objects.filter(thread=thread).select_related("sender"):
        replica.messages[str(message.id)] = message_json(message)
    for person in Participant.objects.filter(thread=thread, left_at=None):
        replica.roles[str(person.user_id)] = person.role
        replica.marks[str(person.user_id)] = person.last_read_seq
    return replica
