"""What a step type is, what it is given when it runs, and what it answers."""

from __future__ import annotations

import datetime as dt
import enum
import importlib
import pkgutil
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, Protocol, TypeVar

from castcomm.common.clock import Clock
from castcomm.common.registry import Registry
from workflows.engine.ports import Effects, Origin, Person
from workflows.errors import Problem


class Outcome(enum.Enum):
    """What follows a step."""

    GO_ON = "go_on"
    SKIP = "skip"
    ENTER = "enter"
    WAIT = "wait"
    STOP = "stop"
    DIGESTED = "digested"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """A step's answer. ``output`` is recorded, and later steps read it as ``steps.N.result``.

    ``target`` is the list that is entered, relative to the step. ``saves`` is laid over the run's data,
    ``attributes`` are those that the step has set of the person.
    """

    outcome: Outcome
    output: Mapping[str, Any] = field(default_factory=dict)
    until: dt.datetime | None = None
    reason: str = ""
    target: str = ""
    notification_id: uuid.UUID | None = None
    saves: Mapping[str, Any] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def go_on(
        cls,
        output: Mapping[str, Any] | None = None,
        *,
        notification_id: uuid.UUID | None = None,
        saves: Mapping[str, Any] | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> StepResult:
        """The step is done; the next one follows at once."""
        return cls(
            outcome=Outcome.GO_ON,
            output=output or {},
            notification_id=notification_id,
            saves=saves or {},
            attributes=attributes or {},
        )

    @classmethod
    def skip(cls, reason: str, output: Mapping[str, Any] | None = None) -> StepResult:
        """There was nothing to do, for ``reason``, a sentence; the step is recorded as skipped, the next follows."""
        return cls(outcome=Outcome.SKIP, output=output or {}, reason=reason)

    @classmethod
    def enter(cls, list_path: str, output: Mapping[str, Any] | None = None) -> StepResult:
        """Go on with the steps of a list inside this step, such as ``branches.0.steps``; then with what follows.

        An empty list is gone through at once.
        """
        return cls(outcome=Outcome.ENTER, output=output or {}, target=list_path)

    @classmethod
    def wait(cls, until: dt.datetime, output: Mapping[str, Any]) -> StepResult:
        """Run this step again at ``until``; it finds ``output`` as ``context.earlier`` then."""
        return cls(outcome=Outcome.WAIT, output=output, until=until)

    @classmethod
    def stop(cls, reason: str, output: Mapping[str, Any] | None = None) -> StepResult:
        """End the execution here; ``reason`` is a sentence."""
        return cls(outcome=Outcome.STOP, output=output or {}, reason=reason)

    @classmethod
    def digested(cls, reason: str, output: Mapping[str, Any]) -> StepResult:
        """End the execution here: another run of the person goes on with what it brought."""
        return cls(outcome=Outcome.DIGESTED, output=output, reason=reason)


class Expression(NamedTuple):
    """An expression in a step: where (relative to the step), its text, and what it should give.

    ``expected`` is boolean, number, string, date, list, object or any. With ``about_event``, ``event.x`` means
    something in it.
    """

    path: str
    source: str
    expected: str = "any"
    about_event: bool = False


class TemplateUse(NamedTuple):
    """A template that a step renders: where it is named, its key, and the data the step itself adds."""

    path: str
    key: str
    data: Mapping[str, Any]


class Catalog(Protocol):
    """What a definition may refer to."""

    def has_template(self, key: str) -> bool:
        """Whether a template with this key is published."""
        ...

    def has_event_type(self, key: str) -> bool:
        """Whether there is an active event type with this key."""
        ...

    def variables_of(self, template: str) -> Mapping[str, Mapping[str, Any]]:
        """What a template declares: ``{name: {"type", "required", …}}``; nothing for one that is not there."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StepContext:
    """What a running step has at hand. ``earlier`` is what it recorded when it went to sleep, else None.

    ``origin`` says which step of which run it is. ``key`` is the same for each try of this step run and for no other:
    the idempotency key of its effects.
    ``time_scale`` divides delays. ``values`` looks names of expressions up. ``critical`` says that preferences and
    quiet hours must not hold back what the workflow sends.
    """

    clock: Clock
    origin: Origin
    person: Person
    data: Mapping[str, Any]
    values: Values
    effects: Effects
    key: str
    time_scale: float
    earlier: Mapping[str, Any] | None
    critical: bool = False


class Values(Protocol):
    """Where expressions get the values of their names (see ``workflows.engine.values``)."""

    def look_up(self, path: Sequence[str]) -> Any:
        """The value under the dotted path, or None."""
        ...


_ID = {
    "type": "string",
    "maxLength": 64,
    "pattern": r"^[A-Za-z][A-Za-z0-9_-]*\Z",
    "description": "An id begins with a letter; letters, digits, _ and - follow.",
}
EVERY_STEP: Mapping[str, Any] = {
    "name": {"type": "string", "minLength": 1, "maxLength": 200},
    "id": _ID,
    "when": {"type": "string", "minLength": 1, "maxLength": 1000},
    "next": _ID,
}


class Step(ABC):
    """A step type. One instance serves all runs: keep no state on it.

    ``schema`` is JSON Schema (2020-12) for the fields besides those that every step has (``EVERY_STEP``): the
    keywords ``properties`` and ``required`` are used. ``lists`` names the fields that hold steps, in the order in
    which they are read: ``otherwise``, ``branches.*.steps``; their schema is ``steps.common.STEPS``.
    """

    type: ClassVar[str]
    label: ClassVar[str]
    schema: ClassVar[Mapping[str, Any]]
    lists: ClassVar[Sequence[str]] = ()

    def validate(self, step: Mapping[str, Any]) -> Iterator[Problem]:
        """What the schema cannot say; ``step`` fits the schema. Paths are relative to the step."""
        yield from ()

    def check_references(self, step: Mapping[str, Any], catalog: Catalog) -> Iterator[Problem]:
        """What is missing in the organization for this step to run; asked when a workflow is published."""
        yield from ()

    def expressions(self, step: Mapping[str, Any]) -> Iterator[Expression]:
        """The expressions in the step's own fields; their syntax and types are checked for it."""
        yield from ()

    def templates(self, step: Mapping[str, Any]) -> Iterator[TemplateUse]:
        """The templates that the step renders."""
        yield from ()

    def passes(self, step: Mapping[str, Any]) -> bool:
        """Whether a run can go on behind this step without going through one of its lists."""
        return True

    def all_expressions(self, step: Mapping[str, Any]) -> Iterator[Expression]:
        """``expressions``, and the ones that every step may have."""
        if "when" in step:
            yield Expression("when", step["when"], "boolean")
        yield from self.expressions(step)

    def recorded(self, step: Mapping[str, Any]) -> dict[str, Any]:
        """The step as records show it: without what is secret."""
        return dict(step)

    @abstractmethod
    def run(self, step: Mapping[str, Any], context: StepContext) -> StepResult:
        """Do the step, once or again after ``wait``. Effects go through ``context.effects`` only.

        A retryable CastCommError, or any unknown exception, has the step tried again later; any other
        CastCommError ends the execution as failed with the error's message.
        """

    def full_schema(self) -> dict[str, Any]:
        """``schema`` with the fields that every step has; nothing else is allowed."""
        return {
            "type": "object",
            "required": ["type", *self.schema.get("required", ())],
            "properties": {
                "type": {"const": self.type},
                **self.schema.get("properties", {}),
                **EVERY_STEP,
            },
            "additionalProperties": False,
        }


step_types: Registry[Step] = Registry("step type")
StepClass = TypeVar("StepClass", bound=type[Step])


def register(step_class: StepClass) -> StepClass:
    """Class decorator: make the step type known under its ``type``."""
    step_types.register(step_class.type, step_class())
    return step_class


def load_step_types() -> None:
    """Import every module of ``workflows.steps``, so that its step type is registered."""
    package = importlib.import_module("workflows.steps")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"workflows.steps.{module.name}")
