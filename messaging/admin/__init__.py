"""Conversations in the admin: what was said and done, to be read and not changed."""

from messaging.admin import messages, threads

__all__ = ["messages", "threads"]
