"""Answers that are kept until the numbers change: the key names the publication, so nothing need be thrown away."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """The latest so many values by key. Of several who ask for the same at once, one works and the others wait."""

    def __init__(self, at_most: int) -> None:
        self._at_most = at_most
        self._values: OrderedDict[Hashable, T] = OrderedDict()
        self._coming: dict[Hashable, asyncio.Future[None]] = {}

    def __contains__(self, key: Hashable) -> bool:
        return key in self._values

    def __len__(self) -> int:
        return len(self._values)

    def clear(self) -> None:
        """Forget everything."""
        self._values.clear()

    def forget(self, key: Hashable) -> None:
        """Drop the value of a key, where there is one."""
        self._values.pop(key, None)

    async def get(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        """Return the value kept under a key; where there is none, make it. What `make` raises is not kept."""
        while key not in self._values:
            place = (asyncio.get_running_loop(), key)
            coming = self._coming.get(place)
            if coming is None:
                return await self._make(place, key, make)
            await asyncio.shield(coming)
        self._values.move_to_end(key)
        return self._values[key]

    async def _make(self, place: Hashable, key: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        done = self._coming[place] = asyncio.get_running_loop().create_future()
        try:
            value = await make()
            self._values[key] = value
            while len(self._values) > self._at_most:
                self._values.popitem(last=False)
            return value
        finally:
            del self._coming[place]
            done.set_result(None)
