"""Registries: the one way in which a provider, a step type or a channel becomes known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")


class UnknownKey(KeyError):
    """Nothing is registered under this key."""

    def __str__(self) -> str:
        return str(self.args[0])


class Registry(Generic[Item]):
    """Maps a key to an item and refuses to have one replaced by accident."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._items: dict[str, Item] = {}

    def register(self, key: str, item: Item) -> None:
        """Add ``item``; a key that is taken by another item raises ValueError."""
        if key in self._items and self._items[key] is not item:
            raise ValueError(f"{self.name} {key!r} is registered twice")
        self._items[key] = item

    def add(self, key: str) -> Callable[[Item], Item]:
        """Decorator form of ``register``."""

        def decorate(item: Item) -> Item:
            self.register(key, item)
            return item

        return decorate

    def get(self, key: str) -> Item:
        """The item under ``key``; raises UnknownKey, which names what there is."""
        try:
            return self._items[key]
        except KeyError:
            known = ", ".join(sorted(self._items)) or "nothing"
            raise UnknownKey(f"no {self.name} {key!r}; known: {known}") from None

    def keys(self) -> list[str]:
        return sorted(self._items)

    def items(self) -> list[tuple[str, Item]]:
        return sorted(self._items.items(), key=lambda pair: pair[0])

    def __contains__(self, key: object) -> bool:
        return key in self._items

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())
