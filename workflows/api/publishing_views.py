"""From draft to version: what it would change, publishing, versions, and going back."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from castcomm.common.errors import InvalidInput
from workflows.api import publishing_serializers as forms
from workflows.api.access import checked, definition_errors
from workflows.api.serializers import WorkflowView
from workflows.api.workflow_views import OneWorkflowView
from workflows.definition.comparing import compare, text_diff
from workflows.models import Workflow
from workflows.services.impact import impact_of
from workflows.services.moving import Running, Unmapped
from workflows.services.publishing import Publication, publish_and_move, roll_back, version_of


class ImpactView(OneWorkflowView):
    """What publishing would change."""

    @extend_schema(responses=forms.Impact)
    def get(self, request: Request, key: str) -> Response:
        """What would refuse the draft, what happens to its steps and the runs at them, and whom it would reach."""
        return Response(forms.Impact(impact_of(self.find(key))).data)


class PublishView(OneWorkflowView):
    """The draft becomes what runs."""

    @extend_schema(request=forms.PublishChoice, responses=forms.Published)
    def post(self, request: Request, key: str) -> Response:
        """Publish the draft; `running` says what becomes of the executions under way."""
        workflow, choice = self.find(key), checked(forms.PublishChoice, request.data)
        with definition_errors():
            done = publish_and_move(workflow=workflow, published_by=self.user, **_choices(choice))
        return _answer(self.find(key), done)


class VersionsView(OneWorkflowView):
    """What was published, newest first."""

    @extend_schema(responses=forms.FullVersion(many=True))
    def get(self, request: Request, key: str) -> Response:
        """All versions with their definitions."""
        return Response(forms.FullVersion(self.find(key).versions.all(), many=True).data)


class DiffView(OneWorkflowView):
    """A version beside another, or beside the draft."""

    @extend_schema(
        parameters=[
            OpenApiParameter("to", int, description="Another version; the draft when it is left out.")
        ],
        responses=forms.Difference,
    )
    def get(self, request: Request, key: str, number: int) -> Response:
        """What was added, removed, changed and moved, and both as text with their differences."""
        workflow = self.find(key)
        before = version_of(workflow, number).definition
        after, name = _other_side(workflow, request.query_params.get("to"))
        told = {
            "steps": compare(before, after),
            "text": text_diff(before, after, names=(f"version {number}", name)),
        }
        return Response(forms.Difference(told).data)


class RollbackView(OneWorkflowView):
    """An earlier version, published again."""

    @extend_schema(request=forms.RollbackChoice, responses=forms.Published)
    def post(self, request: Request, key: str) -> Response:
        """Publish the definition of an earlier version as a new one; the draft becomes it, too."""
        workflow, choice = self.find(key), checked(forms.RollbackChoice, request.data)
        number = choice.pop("version")
        with definition_errors():
            done = roll_back(workflow=workflow, number=number, published_by=self.user, **_choices(choice))
        return _answer(self.find(key), done)


def _choices(given: dict[str, Any]) -> dict[str, Any]:
    return {
        "running": Running(given.get("running", Running.PIN)),
        "unmapped": Unmapped(given.get("unmapped", Unmapped.STAY)),
    }


def _other_side(workflow: Workflow, to: str | None) -> tuple[dict[str, Any], str]:
    if to is None:
        return workflow.definition, "draft"
    if not to.isdecimal() or len(to) > 9:
        raise InvalidInput("The number of a version.", attr="to")
    return version_of(workflow, int(to)).definition, f"version {to}"


def _answer(workflow: Workflow, done: Publication) -> Response:
    told = {"is_new": done.is_new, "moved": forms.MovedView(done.moved).data}
    return Response({**WorkflowView(workflow).data, **told})
