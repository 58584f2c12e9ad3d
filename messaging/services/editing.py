"""Changing and deleting what was said."""

from __future__ import annotations

import uuid

from django.db import transaction

from castcomm.common.clock import now
from castcomm.common.errors import Conflict, NotFound, NotPermitted
from messaging.models import Message, ThreadEvent
from messaging.selectors import get_message
from messaging.services.history import Place, lock_thread, record_change
from messaging.services.validation import check_content


def edit_message(
    *, organization_id: uuid.UUID, message_id: uuid.UUID, user_id: uuid.UUID, content: object
) -> Message:
    """Change one's own message; what it said before is kept with the event. The same content changes nothing.

    Raises InvalidInput, NotFound, NotPermitted, Conflict (it is deleted).
    """
    text = check_content(content)
    with transaction.atomic():
        place, message = _lock_message(organization_id, message_id, user_id)
        if message.sender_id != user_id:
            raise NotPermitted("Only the sender may change a message.")
        place.require_voice()
        if message.deleted_at is not None:
            raise Conflict("The message is deleted.", code="deleted")
        if message.content == text:
            return message
        previous, message.content, message.edited_at = message.content, text, now()
        message.save(update_fields=["content", "edited_at"])
        record_change(
            place, ThreadEvent.Kind.MESSAGE_EDITED, message=message, data={"previous_content": previous}
        )
        return message


def delete_message(*, organization_id: uuid.UUID, message_id: uuid.UUID, user_id: uuid.UUID) -> Message:
    """Take back one's own message, or as owner or moderator anybody's. Deleting it again changes nothing.

    It keeps its place and is no longer shown; the row remains for moderation. Raises NotFound, NotPermitted.
    """
    with transaction.atomic():
        place, message = _lock_message(organization_id, message_id, user_id)
        if message.sender_id != user_id:
            place.require_moderator()
        if message.deleted_at is None:
            message.deleted_at = now()
            message.save(update_fields=["deleted_at"])
            record_change(place, ThreadEvent.Kind.MESSAGE_DELETED, message=message)
        return message


def _lock_message(
    organization_id: uuid.UUID, message_id: uuid.UUID, user_id: uuid.UUID
) -> tuple[Place, Message]:
    found = get_message(user_id, organization_id, message_id)
    place = lock_thread(organization_id=organization_id, thread_id=found.thread_id, user_id=user_id)
    message = (
        Message.objects.select_for_update(of=("self",)).select_related("sender").filter(id=message_id).first()
    )
    if message is None:
        raise NotFound("There is no such message.")
    return place, message
