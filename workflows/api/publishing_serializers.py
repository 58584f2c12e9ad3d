"""The JSON of publishing."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from castcomm.common.api.serializers import StrictSerializer
from workflows.api.serializers import VersionView, WorkflowView
from workflows.models import WorkflowVersion
from workflows.services.moving import Running, Unmapped

CHANGES = ("added", "removed", "changed", "moved")


class ProblemView(serializers.Serializer[Any]):
    """Something that would refuse the draft; ``path`` points into the definition."""

    path = serializers.CharField()
    message = serializers.CharField()


class StepChangeView(serializers.Serializer[Any]):
    """What happens to a step; ``before`` and ``after`` are paths, empty where there is none."""

    change = serializers.ChoiceField(CHANGES)
    type = serializers.CharField()
    name = serializers.CharField()
    before = serializers.CharField()
    after = serializers.CharField()


class RunningAtView(serializers.Serializer[Any]):
    """Executions that are at a step of a version, and the path at which they would go on if they migrate."""

    version = serializers.IntegerField()
    path = serializers.CharField()
    type = serializers.CharField()
    count = serializers.IntegerField()
    goes_on_at = serializers.CharField(allow_null=True, help_text="Null: the draft has no such step.")


class ReachedView(serializers.Serializer[Any]):
    """The events of the last days that would have started the draft, and the people to whom they happened."""

    event = serializers.CharField()
    days = serializers.IntegerField()
    since = serializers.DateTimeField()
    events = serializers.IntegerField()
    people = serializers.IntegerField()


class Impact(serializers.Serializer[Any]):
    """What publishing the draft would change."""

    problems = ProblemView(many=True)
    is_changed = serializers.BooleanField()
    steps = StepChangeView(many=True)
    running = RunningAtView(many=True)
    reached = ReachedView()


class PublishChoice(StrictSerializer):
    """What becomes of executions under way, and of those whose step the new version lacks when others migrate."""

    running = serializers.ChoiceField(choices=Running.choices, default=Running.PIN)
    unmapped = serializers.ChoiceField(choices=Unmapped.choices, default=Unmapped.STAY)


class RollbackChoice(PublishChoice):
    """The version to publish again."""

    version = serializers.IntegerField(min_value=1)


class MovedView(serializers.Serializer[Any]):
    """How many executions; ``unmapped`` counts, by path, the steps that the new version does not have."""

    migrated = serializers.IntegerField()
    cancelled = serializers.IntegerField()
    stayed = serializers.IntegerField()
    unmapped = serializers.DictField(child=serializers.IntegerField())


class Published(WorkflowView):
    """The workflow as it is now; ``is_new`` is false when the draft was what runs already."""

    is_new = serializers.BooleanField()
    moved = MovedView()

    class Meta(WorkflowView.Meta):
        fields = (*WorkflowView.Meta.fields, "is_new", "moved")  # type: ignore[assignment]


class FullVersion(VersionView):
    """A version with its definition."""

    definition = serializers.JSONField()

    class Meta:
        model = WorkflowVersion
        fields = ("id", "number", "published_at", "definition")


class Difference(serializers.Serializer[Any]):
    """Two definitions side by side; ``text`` is a unified diff of their JSON."""

    steps = StepChangeView(many=True)
    text = serializers.CharField()
