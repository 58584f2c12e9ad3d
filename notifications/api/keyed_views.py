"""What the addresses of topics and of lists have in common."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.tenancy import HasScope, TenantAPIView
from castcomm.common.api.serializers import StrictSerializer
from notifications.models import RecipientList, Topic
from notifications.services.audiences.keys import change_row, create_row, delete_row, find_row


def checked(serializer: type[StrictSerializer], request: Request) -> dict[str, Any]:
    """The body, if it has the form; raises ValidationError."""
    asked = serializer(data=request.data)
    asked.is_valid(raise_exception=True)
    given: dict[str, Any] = asked.validated_data
    return given


class _KeyedView(TenantAPIView):
    """Staff and keys: reading needs ``notifications:read``, writing ``notifications:send``."""

    model: ClassVar[type[Any]]

    def get_permissions(self) -> list[Any]:
        scope = "notifications:read" if self.request.method == "GET" else "notifications:send"
        return [HasScope(scope)()]

    def shown(self, row: Any) -> dict[str, Any]:
        """The row as JSON."""
        made: dict[str, Any] = self.row_serializer(row).data
        return made

    row_serializer: ClassVar[type[serializers.BaseSerializer[Any]]]


class KeyedCollection(_KeyedView):
    """All of them, and one more."""

    write_serializer: ClassVar[type[StrictSerializer]]

    def get(self, request: Request) -> Response:
        return Response({"results": [self.shown(row) for row in self.rows()]})

    def rows(self) -> Any:
        """All of the organization's, by name."""
        return self.model.objects.for_organization(self.organization).order_by("name", "key")

    def post(self, request: Request) -> Response:
        return self.run_once(lambda: self._create(request))

    def _create(self, request: Request) -> Response:
        given = checked(self.write_serializer, request)
        made = create_row(self.model, organization=self.organization, **given)
        return Response(self.shown(made), status=status.HTTP_201_CREATED)


class KeyedOne(_KeyedView):
    """One of them, named by its key."""

    change_serializer: ClassVar[type[StrictSerializer]]

    def find(self, key: str) -> Any:
        """The row; raises NotFound."""
        return find_row(self.model, self.organization, key)

    def get(self, request: Request, key: str) -> Response:
        return Response(self.shown(self.find(key)))

    def patch(self, request: Request, key: str) -> Response:
        row = self.find(key)
        return Response(self.shown(change_row(row, **checked(self.change_serializer, request))))

    def delete(self, request: Request, key: str) -> Response:
        delete_row(self.find(key))
        return Response(status=status.HTTP_204_NO_CONTENT)


class WithTopic(_KeyedView):
    """Something of one topic."""

    model = Topic

    def topic(self, key: str) -> Topic:
        """The topic; raises NotFound."""
        return find_row(Topic, self.organization, key)


class WithList(_KeyedView):
    """Something of one list."""

    model = RecipientList

    def recipient_list(self, key: str) -> RecipientList:
        """The list; raises NotFound."""
        return find_row(RecipientList, self.organization, key)
