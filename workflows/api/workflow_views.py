"""Workflows: their drafts, publishing, and starting one by its key."""

from __future__ import annotations

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
from workflows.api.access import checked, definition_errors, member_or_error
from workflows.models import Workflow
from workflows.services.drafts import create_workflow, delete_workflow, update_workflow
from workflows.services.pausing import pause_workflow, resume_workflow
from workflows.services.triggering import trigger_workflow


class WorkflowsView(TenantMixin, ListAPIView[Workflow]):
    """The workflows of the organization, and a new one."""

    permission_classes = [HasScope("workflows:write")]
    serializer_class = serializers.WorkflowView
    queryset = Workflow.objects.none()

    def get_queryset(self) -> Any:
        if getattr(self, "swagger_fake_view", False):
            return self.queryset
        return Workflow.objects.for_organization(self.organization).select_related("current_version")

    @extend_schema(request=serializers.NewWorkflow, responses={201: serializers.WorkflowView})
    def post(self, request: Request) -> Response:
        """Make a workflow from its definition; nothing runs until it is published."""

        def act() -> Response:
            new = checked(serializers.NewWorkflow, request.data)
            with definition_errors():
                workflow = create_workflow(organization=self.organization, **new)
            return Response(serializers.WorkflowView(workflow).data, status=status.HTTP_201_CREATED)

        return self.run_once(act)


class OneWorkflowView(TenantAPIView):
    """What the views of one workflow share."""

    permission_classes = [HasScope("workflows:write")]

    def find(self, key: str) -> Workflow:
        """The organization's workflow with this key; raises NotFound."""
        workflow: Workflow | None = (
            Workflow.objects.for_organization(self.organization)
            .filter(key=key)
            .select_related("current_version")
            .first()
        )
        if workflow is None:
            raise NotFound("There is no such workflow.")
        return workflow


class WorkflowDetailView(OneWorkflowView):
    """One workflow."""

    @extend_schema(responses=serializers.WorkflowView)
    def get(self, request: Request, key: str) -> Response:
        """The workflow with its draft."""
        return Response(serializers.WorkflowView(self.find(key)).data)

    @extend_schema(request=serializers.WorkflowChanges, responses=serializers.WorkflowView)
    def patch(self, request: Request, key: str) -> Response:
        """Change the draft, the rule of re-entry, or whether it may start."""
        workflow = self.find(key)
        with definition_errors():
            update_workflow(workflow=workflow, **checked(serializers.WorkflowChanges, request.data))
        return Response(serializers.WorkflowView(self.find(key)).data)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, key: str) -> Response:
        """Remove a workflow that has never run; 409 for one that has."""
        delete_workflow(workflow=self.find(key))
        return Response(status=status.HTTP_204_NO_CONTENT)


class PauseView(OneWorkflowView):
    """Let a workflow stand still."""

    @extend_schema(request=None, responses=serializers.WorkflowView)
    def post(self, request: Request, key: str) -> Response:
        """No step begins from now on, until it is resumed; 409 when it is paused already."""
        pause_workflow(workflow=self.find(key))
        return Response(serializers.WorkflowView(self.find(key)).data)


class ResumeView(OneWorkflowView):
    """Let a paused workflow go on."""

    @extend_schema(request=None, responses=serializers.WorkflowView)
    def post(self, request: Request, key: str) -> Response:
        """What became due meanwhile is run; 409 when it is not paused."""
        resume_workflow(workflow=self.find(key))
        return Response(serializers.WorkflowView(self.find(key)).data)


class TriggerView(OneWorkflowView):
    """Start a workflow by its key."""

    @extend_schema(request=serializers.NewTrigger, responses={202: serializers.ExecutionView})
    def post(self, request: Request, key: str) -> Response:
        """Start it for one member; 409 when it is off, unpublished or may not be entered again."""
        workflow = self.find(key)

        def act() -> Response:
            new = checked(serializers.NewTrigger, request.data)
            user = member_or_error(self.organization, new.pop("user"))
            execution = trigger_workflow(
                organization=self.organization, workflow=workflow.key, user=user, source="api", **new
            )
            return Response(serializers.ExecutionView(execution).data, status=status.HTTP_202_ACCEPTED)

        return self.run_once(act)
