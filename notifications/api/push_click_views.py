"""Where service workers tell that a push was clicked. The reference in the push is all they need."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from castcomm.common.api.serializers import StrictSerializer
from notifications.services import push_clicks


class PushClickRequest(StrictSerializer):
    """``click`` of the push."""

    click = serializers.CharField(max_length=1000)


class PushClickView(APIView):
    """A click. The answer is the same for a reference that is wrong, old or used: it tells nothing to who guesses."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    @extend_schema(request=PushClickRequest, responses={204: None})
    def post(self, request: Request) -> Response:
        asked = PushClickRequest(data=request.data)
        asked.is_valid(raise_exception=True)
        push_clicks.take(asked.validated_data["click"])
        return Response(status=status.HTTP_204_NO_CONTENT)
