"""The JSON of simulations and backtests."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from castcomm.common.api.serializers import StrictSerializer
from workflows.services.backtesting import MAX_LAST
from workflows.simulation.differences import KINDS

MAX_USERS = 100  # of one call


class NewSimulation(StrictSerializer):
    """What is tried: ``definition``, else ``version``, else the draft. ``users`` are ids or addresses of members.

    ``assumptions`` has ``opened`` and ``clicked`` (how long after a mail went out; null for never), ``events``
    (``after``, ``event``, ``data``), ``attributes`` (``after``, ``set``), ``http`` (``step``, ``status``, ``body`` or
    ``fails``) and ``variants`` (by the experiment's key). ``rendering`` fills in the subjects.
    """

    users = serializers.ListField(
        child=serializers.CharField(max_length=254), min_length=1, max_length=MAX_USERS
    )
    definition = serializers.JSONField(required=False)
    version = serializers.IntegerField(required=False, min_value=1, max_value=2**31 - 1)
    start = serializers.DateTimeField(required=False)
    data = serializers.DictField(required=False)  # type: ignore[assignment]
    days = serializers.FloatField(required=False, min_value=0.001, max_value=400)
    assumptions = serializers.DictField(required=False)
    rendering = serializers.BooleanField(required=False)


class SimulatedDecisionView(serializers.Serializer[Any]):
    """A decision of routing, and until when what waits is to wait."""

    at = serializers.DateTimeField()
    action = serializers.CharField(help_text="send, defer, digest or suppress")
    reason = serializers.CharField()
    sentence = serializers.CharField()
    until = serializers.DateTimeField(allow_null=True)


class SimulatedSendView(serializers.Serializer[Any]):
    """A channel of what a step sent. ``left_at`` is null while it waits and when it never goes out."""

    channel = serializers.CharField()
    status = serializers.CharField()
    reason = serializers.CharField()
    subject = serializers.CharField(allow_blank=True)
    error = serializers.CharField(allow_blank=True)
    left_at = serializers.DateTimeField(allow_null=True)
    decisions = SimulatedDecisionView(many=True)


class SimulatedStepView(serializers.Serializer[Any]):
    """A step; ``after`` is in seconds from the start of its run, null for steps that were not reached."""

    path = serializers.CharField()
    type = serializers.CharField()
    name = serializers.CharField(allow_blank=True)
    status = serializers.CharField()
    input = serializers.DictField()
    due_at = serializers.DateTimeField(allow_null=True)
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    after = serializers.FloatField(allow_null=True)
    attempts = serializers.IntegerField()
    result = serializers.DictField(allow_null=True)
    error = serializers.CharField(allow_blank=True)
    sends = SimulatedSendView(many=True)


class SimulatedRunView(serializers.Serializer[Any]):
    """A run; ``running`` at the end of the time that was simulated."""

    started_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    status = serializers.CharField()
    reason = serializers.CharField(allow_blank=True)
    event = serializers.CharField(allow_blank=True)
    data = serializers.DictField()  # type: ignore[assignment]
    steps = SimulatedStepView(many=True)


class SimulatedDigestView(serializers.Serializer[Any]):
    """A digest that something went into; ``waiting_before`` real notifications were in it already."""

    cadence = serializers.CharField()
    closes_at = serializers.DateTimeField()
    is_closed = serializers.BooleanField()
    waiting_before = serializers.IntegerField()
    titles = serializers.ListField(child=serializers.CharField())
    mail = SimulatedSendView(allow_null=True)


class HappeningView(serializers.Serializer[Any]):
    """What happened because it was assumed: an event, a change of attributes, an opened or clicked mail."""

    at = serializers.DateTimeField()
    what = serializers.CharField(help_text="event or attributes")
    name = serializers.CharField(allow_blank=True)
    data = serializers.DictField()  # type: ignore[assignment]
    effect = serializers.CharField(allow_blank=True)


class SimulatedPersonView(serializers.Serializer[Any]):
    """One person's story."""

    user = serializers.UUIDField()
    email = serializers.EmailField()
    name = serializers.CharField(allow_blank=True)
    time_zone = serializers.CharField()
    runs = SimulatedRunView(many=True)
    digests = SimulatedDigestView(many=True)
    happenings = HappeningView(many=True)


class SimulationSummary(serializers.Serializer[Any]):
    """Counts: runs by their end, steps reached by path, sends that left by channel and that did not by reason."""

    people = serializers.IntegerField()
    runs = serializers.DictField(child=serializers.IntegerField())
    steps = serializers.DictField(child=serializers.IntegerField())
    left = serializers.DictField(child=serializers.IntegerField())
    held_back = serializers.DictField(child=serializers.IntegerField())
    digests = serializers.IntegerField()


class SimulationView(serializers.Serializer[Any]):
    """What would happen. ``version`` is null when the draft, or an unsaved definition, was tried."""

    workflow = serializers.CharField()
    version = serializers.IntegerField(allow_null=True)
    start = serializers.DateTimeField()
    until = serializers.DateTimeField()
    assumptions = serializers.DictField(help_text="All of them, also those that were not made.")
    summary = SimulationSummary()
    people = SimulatedPersonView(many=True)


class NewBacktest(StrictSerializer):
    """What is tried on the last executions: ``definition``, else ``version``, else the draft."""

    last = serializers.IntegerField(required=False, min_value=1, max_value=MAX_LAST)
    definition = serializers.JSONField(required=False)
    version = serializers.IntegerField(required=False, min_value=1, max_value=2**31 - 1)


class DifferenceView(serializers.Serializer[Any]):
    """Something that would have been different; ``path`` names the step, empty for how the run ends."""

    kind = serializers.CharField(help_text=", ".join(KINDS))
    sentence = serializers.CharField()
    path = serializers.CharField(allow_blank=True)


class ComparedView(serializers.Serializer[Any]):
    """An execution; ``differences`` is null when its person is no active member any more."""

    execution = serializers.UUIDField()
    user = serializers.UUIDField()
    email = serializers.EmailField()
    started_at = serializers.DateTimeField()
    status = serializers.CharField()
    differences = DifferenceView(many=True, allow_null=True)


class BacktestView(serializers.Serializer[Any]):
    """What would have been different. ``version`` is null when the draft, or an unsaved definition, was tried."""

    workflow = serializers.CharField()
    version = serializers.IntegerField(allow_null=True)
    counts = serializers.DictField(
        child=serializers.IntegerField(),
        help_text="executions, different, not_tried, and how many have a difference of each kind.",
    )
    executions = ComparedView(many=True)
