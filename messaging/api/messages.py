"""``threads/{id}/messages`` and ``messages/{id}``."""

from __future__ import annotations

from typing import Any

from django.utils.http import urlencode
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from castcomm.common.errors import InvalidInput
from messaging.api import schema
from messaging.api.access import ConversationView, body_of, limit_in_query, path_id, seq_in_query
from messaging.models import Message
from messaging.presentation import message_json
from messaging.selectors import get_message, get_place, messages_page
from messaging.services.editing import delete_message, edit_message
from messaging.services.sending import send_message
from messaging.services.validation import check_id


class ThreadMessagesView(ConversationView):
    """What was said in a thread."""

    @extend_schema(
        operation_id="threads_messages_list", parameters=schema.MESSAGE_FILTERS, responses=schema.MessagePage
    )
    def get(self, request: Request, thread_id: str) -> Response:
        """Messages, newest first. ``next`` leads to older ones, ``previous`` to newer ones."""
        before, after = seq_in_query(request, "before"), seq_in_query(request, "after")
        if before is not None and after is not None:
            raise InvalidInput("Give either before or after.", attr="after")
        limit = limit_in_query(request, default=50)
        place = get_place(self.user_id, self.organization.id, path_id(thread_id))
        page, more = messages_page(place.thread_id, before=before, after=after, limit=limit)
        older = bool(page) if after is not None else more
        newer = more if after is not None else bool(page) and before is not None
        return Response(
            {
                "next": _link(request, "before", page[-1], limit) if older else None,
                "previous": _link(request, "after", page[0], limit) if newer else None,
                "results": [message_json(message) for message in page],
            }
        )

    @extend_schema(request=schema.NewMessage, responses={200: schema.SentMessage, 201: schema.SentMessage})
    def post(self, request: Request, thread_id: str) -> Response:
        """Send a message. 200 with ``duplicate`` when its client_id was sent before."""
        body = body_of(request, "content", "client_id", "reply_to")
        reply_to = body.get("reply_to")
        place = self.place(thread_id)

        def act() -> Response:
            sent = send_message(
                organization_id=place["organization_id"],
                thread_id=place["thread_id"],
                sender_id=place["user_id"],
                content=body.get("content"),
                client_id=body.get("client_id"),
                reply_to_id=None if reply_to is None else check_id(reply_to, attr="reply_to"),
            )
            assert self.user is not None
            answer: dict[str, Any] = message_json(sent.message, sender_name=self.user.display_name)
            return Response({**answer, "duplicate": sent.duplicate}, status=200 if sent.duplicate else 201)

        return self.run_once(act)


class MessageView(ConversationView):
    """One message."""

    @extend_schema(responses=schema.Message)
    def get(self, request: Request, message_id: str) -> Response:
        """The message as it is now."""
        message = get_message(self.user_id, self.organization.id, path_id(message_id))
        return Response(message_json(message))

    @extend_schema(request=schema.MessageChange, responses=schema.Message)
    def patch(self, request: Request, message_id: str) -> Response:
        """Change one's own message."""
        body = body_of(request, "content")
        message = edit_message(
            organization_id=self.organization.id,
            message_id=path_id(message_id),
            user_id=self.user_id,
            content=body.get("content"),
        )
        return Response(message_json(message))

    @extend_schema(responses={204: None})
    def delete(self, request: Request, message_id: str) -> Response:
        """Take a message back; it keeps its place."""
        delete_message(
            organization_id=self.organization.id, message_id=path_id(message_id), user_id=self.user_id
        )
        return Response(status=204)


def _link(request: Request, direction: str, edge: Message, limit: int) -> str:
    query = urlencode({direction: edge.seq, "limit": limit})
    return request.build_absolute_uri(f"{request.path}?{query}")
