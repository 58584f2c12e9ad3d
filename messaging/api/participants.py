"""``threads/{id}/participants``: who is in a thread."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from castcomm.common.api.pagination import CursorPagination
from messaging.api import schema
from messaging.api.access import ConversationView, body_of, path_id
from messaging.models import Kind, Participant, Role
from messaging.presentation import participant_json
from messaging.selectors import get_place, participants_of
from messaging.services.participants import add_participants, change_role, remove_participant


class ParticipantPagination(CursorPagination):
    """First come, first listed."""

    ordering = ("joined_at", "id")


class ParticipantsView(ConversationView):
    """The people in a thread."""

    @extend_schema(operation_id="threads_participants_list", responses=schema.ParticipantPage)
    def get(self, request: Request, thread_id: str) -> Response:
        """Who is in the thread, first come first. Rooms do not tell how far the others have read."""
        place = get_place(self.user_id, self.organization.id, path_id(thread_id))
        pagination = ParticipantPagination()
        page: list[Participant] = (
            pagination.paginate_queryset(participants_of(place), request, view=self) or []
        )
        shared = place.thread.kind != Kind.ROOM
        people = [
            participant_json(person, with_mark=shared or person.user_id == self.user_id) for person in page
        ]
        return pagination.get_paginated_response(people)

    @extend_schema(request=schema.NewParticipants, responses={201: schema.Participant(many=True)})
    def post(self, request: Request, thread_id: str) -> Response:
        """Let people in; answers those who were not in the thread before."""
        body = body_of(request, "participants", "role")
        added = add_participants(
            **self.place(thread_id),
            participants=body.get("participants"),
            role=body.get("role", Role.MEMBER),
        )
        return Response([participant_json(person) for person in added], status=201)


class ParticipantView(ConversationView):
    """One person in a thread."""

    @extend_schema(request=schema.RoleChange, responses=schema.Participant)
    def patch(self, request: Request, thread_id: str, participant_id: str) -> Response:
        """Give the person another role."""
        body = body_of(request, "role")
        person = change_role(
            **self.place(thread_id), participant_user_id=path_id(participant_id), role=body.get("role")
        )
        return Response(participant_json(person))

    @extend_schema(responses={204: None})
    def delete(self, request: Request, thread_id: str, participant_id: str) -> Response:
        """Put the person out, or leave when it is the caller."""
        remove_participant(**self.place(thread_id), participant_user_id=path_id(participant_id))
        return Response(status=204)
