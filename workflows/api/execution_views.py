"""Events, and the executions that they start."""

from __future__ import annotations

import uuid
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.permissions import HasScope
from accounts.api.tenancy import TenantAPIView, TenantMixin
from castcomm.common.errors import NotFound
from workflows.api import serializers
from workflows.api.access import checked, member_or_error
from workflows.models import Execution
from workflows.selectors import executions_of, timeline_of
from workflows.services.executions import cancel_execution
from workflows.services.triggering import report_event


class EventsView(TenantAPIView):
    """Events that customers' systems report."""

    permission_classes = [HasScope("events:write")]

    @extend_schema(request=serializers.NewEvent, responses={202: serializers.EventAnswer})
    def post(self, request: Request) -> Response:
        """Report that something happened to a member; starts what listens to it."""

        def act() -> Response:
            new = checked(serializers.NewEvent, request.data)
            user = member_or_error(self.organization, new["user"])
            reported = report_event(
                organization=self.organization,
                event=new["event"],
                user=user,
                data=new.get("data"),
                source="api",
            )
            sent = reported.notification
            answer = {
                "event": new["event"],
                "executions": [execution.id for execution in reported.executions],
                "request": sent.request_id if sent else None,
                "notifications": [one.id for one in sent.notifications] if sent else [],
                "refused": reported.refused,
            }
            return Response(serializers.EventAnswer(answer).data, status=status.HTTP_202_ACCEPTED)

        return self.run_once(act)


class ExecutionsView(TenantMixin, ListAPIView[Execution]):
    """The executions of the organization, newest first."""

    permission_classes = [HasScope("workflows:write")]
    serializer_class = serializers.ExecutionView
    queryset = Execution.objects.none()

    @extend_schema(parameters=[serializers.ExecutionFilter])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Filters: ``workflow`` (key), ``user`` (id), ``status``."""
        return super().get(request, *args, **kwargs)

    def get_queryset(self) -> Any:
        if getattr(self, "swagger_fake_view", False):
            return self.queryset
        wanted = checked(serializers.ExecutionFilter, self.request.query_params.dict())
        filters = {"workflow": "workflow__key", "user": "user_id", "status": "status"}
        given = {field: wanted[name] for name, field in filters.items() if name in wanted}
        return executions_of(self.organization).filter(**given)


class _OneExecutionView(TenantAPIView):
    permission_classes = [HasScope("workflows:write")]

    def find(self, execution_id: str) -> Execution:
        execution = executions_of(self.organization).filter(id=uuid.UUID(execution_id)).first()
        if execution is None:
            raise NotFound("There is no such execution.")
        return execution


class ExecutionDetailView(_OneExecutionView):
    """One execution."""

    @extend_schema(responses=serializers.ExecutionWithSteps)
    def get(self, request: Request, execution_id: str) -> Response:
        """The execution with each step: when, what came of it, and the notification that it sent."""
        execution = self.find(execution_id)
        execution.steps = timeline_of(execution)  # type: ignore[attr-defined]
        return Response(serializers.ExecutionWithSteps(execution).data)


class CancelView(_OneExecutionView):
    """The end of a running execution."""

    @extend_schema(request=serializers.Cancellation, responses=serializers.CancelledView)
    def post(self, request: Request, execution_id: str) -> Response:
        """Cancel it and say what that stopped; 409 when it has ended already."""
        execution = self.find(execution_id)
        reason = checked(serializers.Cancellation, request.data).get("reason", "")
        cancelled = cancel_execution(execution=execution, reason=reason)
        cancelled.execution.workflow, cancelled.execution.version = execution.workflow, execution.version
        return Response(serializers.CancelledView(cancelled).data)
