"""Threads, the people in them, and what was said: one file per noun."""

from messaging.models.events import ThreadEvent
from messaging.models.messages import Message
from messaging.models.participants import Participant, Role
from messaging.models.threads import Kind, Thread

__all__ = ["Kind", "Message", "Participant", "Role", "Thread", "ThreadEvent"]
