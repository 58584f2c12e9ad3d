"""Where the names of expressions get their values.

``data.x`` is the event's data, ``user.x`` the person (a field such as ``locale``, else an attribute),
``steps.N.result.x`` what the step with the path or the id N recorded. A bare ``x`` is looked up in the data, then
with the person. Only plain JSON values are ever reached.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from workflows.definition import places_by_id
from workflows.engine.ports import Person


class ExecutionValues:
    """The values of one execution. ``results`` is called at most once, and only when a step is named."""

    def __init__(
        self, *, data: Mapping[str, Any], person: Person, results: Callable[[], Mapping[str, Any]]
    ) -> None:
        self._data = data
        self._person = person
        self._read_results = results
        self._results: Mapping[str, Any] | None = None

    def look_up(self, path: Sequence[str]) -> Any:
        """The value under the dotted path, or None when there is none."""
        root, rest = path[0], path[1:]
        if rest and root == "data":
            return _inside(self._data, rest)
        if rest and root == "user":
            return self._of_person(rest)
        if rest and root == "steps":
            return self._of_step(rest)
        found = _inside(self._data, path)
        if found is None and root in self._person.attributes:
            return _inside(self._person.attributes, path)
        return found if found is not None else _inside(self._person.fields, path)

    def _of_person(self, path: Sequence[str]) -> Any:
        source = self._person.fields if path[0] in self._person.fields else self._person.attributes
        return _inside(source, path)

    def _of_step(self, path: Sequence[str]) -> Any:
        if "result" not in path:
            return None
        if self._results is None:
            self._results = self._read_results()
        for end, part in enumerate(path):
            # The path of a nested step has dots of its own: steps.3.otherwise.0.result.value
            if part == "result" and ".".join(path[:end]) in self._results:
                return _inside(self._results[".".join(path[:end])], path[end + 1 :])
        return None


class EventValues:
    """What a match is about: ``event.x`` is the event's data, ``data.x`` the run's; a bare ``x`` is in the event."""

    def __init__(self, *, event: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        self._sources = {"event": event, "data": data}

    def look_up(self, path: Sequence[str]) -> Any:
        """The value under the dotted path, or None when there is none."""
        if len(path) > 1 and path[0] in self._sources:
            return _inside(self._sources[path[0]], path[1:])
        return _inside(self._sources["event"], path)


def named_results(definition: Mapping[str, Any], results: Mapping[str, Any]) -> dict[str, Any]:
    """``results`` by path, and by id as well for the steps that have one."""
    ids = {step_id: place.path for step_id, place in places_by_id(definition).items()}
    return {**results, **{step_id: results[path] for step_id, path in ids.items() if path in results}}


def _inside(value: Any, path: Sequence[str]) -> Any:
    for part in path:
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value
