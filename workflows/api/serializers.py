"""The JSON of workflows, events and executions."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from castcomm.common.api.serializers import StrictSerializer
from workflows.models import Execution, ExecutionStatus, Reentry, Workflow, WorkflowVersion


class VersionView(serializers.ModelSerializer[WorkflowVersion]):
    """A published version, without its definition."""

    class Meta:
        model = WorkflowVersion
        fields = ("id", "number", "published_at")


class WorkflowView(serializers.ModelSerializer[Workflow]):
    """A workflow with its draft. ``version`` is what new executions run; null until it is published."""

    definition = serializers.JSONField()
    version = VersionView(source="current_version", allow_null=True)

    class Meta:
        model = Workflow
        fields = (
            "id", "key", "name", "trigger_event", "is_active", "paused_at", "reentry", "definition", "version",
            "created_at", "updated_at",
        )  # fmt: skip


class NewWorkflow(StrictSerializer):
    """A workflow to be made; its key is the definition's ``type``."""

    definition = serializers.JSONField()
    reentry = serializers.ChoiceField(choices=Reentry.choices, required=False)
    is_active = serializers.BooleanField(required=False)


class WorkflowChanges(StrictSerializer):
    """What changes of a workflow; the definition is the draft."""

    definition = serializers.JSONField(required=False)
    reentry = serializers.ChoiceField(choices=Reentry.choices, required=False)
    is_active = serializers.BooleanField(required=False)


class NewTrigger(StrictSerializer):
    """Whom a workflow is started for; ``user`` is an id or an e-mail address of a member."""

    user = serializers.CharField(max_length=254)
    data = serializers.DictField(required=False)  # type: ignore[assignment]
    cancellation_key = serializers.CharField(max_length=255, required=False, allow_blank=True)


class NewEvent(StrictSerializer):
    """Something that happened to a member; ``user`` is an id or an e-mail address."""

    event = serializers.CharField(max_length=100)
    user = serializers.CharField(max_length=254)
    data = serializers.DictField(required=False)  # type: ignore[assignment]


class EventAnswer(serializers.Serializer[Any]):
    """What an event set off. ``refused`` maps the key of a workflow that did not start to the reason."""

    event = serializers.CharField()
    executions = serializers.ListField(child=serializers.UUIDField())
    request = serializers.UUIDField(allow_null=True)
    notifications = serializers.ListField(child=serializers.UUIDField())
    refused = serializers.DictField(child=serializers.CharField())


class StepView(serializers.Serializer[Any]):
    """One step of an execution; steps that are still to come have the status ``not_reached``."""

    path = serializers.CharField()
    type = serializers.CharField()
    name = serializers.CharField(allow_blank=True)
    status = serializers.CharField()
    input = serializers.DictField()
    due_at = serializers.DateTimeField(allow_null=True)
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    attempts = serializers.IntegerField()
    result = serializers.DictField(allow_null=True)
    error = serializers.CharField(allow_blank=True)
    notification = serializers.UUIDField(source="notification_id", allow_null=True)


class ExecutionView(serializers.ModelSerializer[Execution]):
    """An execution without its steps."""

    workflow = serializers.CharField(source="workflow.key")
    version = serializers.IntegerField(source="version.number")
    user = serializers.UUIDField(source="user_id")

    class Meta:
        model = Execution
        fields = (
            "id", "workflow", "version", "user", "status", "reason", "event", "source", "data",
            "cancellation_key", "started_at", "finished_at",
        )  # fmt: skip


class ExecutionWithSteps(ExecutionView):
    """An execution with its timeline."""

    steps = StepView(many=True)

    class Meta(ExecutionView.Meta):
        fields = (*ExecutionView.Meta.fields, "steps")  # type: ignore[assignment]


class ExecutionFilter(StrictSerializer):
    """Filters of the list, in the query."""

    workflow = serializers.CharField(required=False)
    user = serializers.UUIDField(required=False)
    status = serializers.ChoiceField(choices=ExecutionStatus.choices, required=False)
    cursor = serializers.CharField(required=False)
    limit = serializers.CharField(required=False)


class Cancellation(StrictSerializer):
    """Why an execution is cancelled."""

    reason = serializers.CharField(max_length=500, required=False, allow_blank=True)


class CancelledView(serializers.Serializer[Any]):
    """What a cancel really stopped; steps are named by their paths."""

    execution = ExecutionView()
    stopped = serializers.ListField(child=serializers.CharField())
    never_begun = serializers.ListField(child=serializers.CharField())
    done = serializers.ListField(child=serializers.CharField())
    notifications = serializers.ListField(child=serializers.UUIDField())
