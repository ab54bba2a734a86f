"""Answers that are kept until the numbers change: the key names the publication, so nothing need be thrown away."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from crm import errors

T = TypeVar("T")


class Failed(Exception):
    """Whoever worked came to no value, for a reason of their own: whoever waited works."""


class Kept(Generic[T]):
    """The latest values by key, up to a weight in all. Of several who ask for the same at once, one works and the
    others wait. A value heavier than half of all is handed out and not kept."""

    def __init__(self, at_most: int, *, weigh: Callable[[T], int] = lambda _: 1) -> None:
        self._at_most = at_most
        self._weigh = weigh
        self._values: OrderedDict[Hashable, T] = OrderedDict()
        self._weight = 0
        self._coming: dict[Hashable, asyncio.Future[T]] = {}

    def __contains__(self, key: Hashable) -> bool:
        return key in self._values

    def __len__(self) -> int:
        return len(self._values)

    def clear(self) -> None:
        """Forget everything."""
        self._values.clear()
        self._weight = 0

    def forget(self, key: Hashable) -> None:
        """Drop the value of a key, where there is one."""
        if key in self._values:
            self._weight -= self._weigh(self._values.pop(key))

    async def get(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        """Return the value kept under a key; where there is none, make it. What `make` raises is not kept, but refuses
        those who wait, too, when it is a refusal: they asked for the same."""
        while key not in self._values:
            place = (asyncio.get_running_loop(), key)
            coming = self._coming.get(place)
            if coming is None:
                return await self._make(place, key, make)
            try:
                return await asyncio.shield(coming)
            except Failed:
                continue
        self._values.move_to_end(key)
        return self._values[key]

    async def _make(self, place: Hashable, key: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        done = self._coming[place] = asyncio.get_running_loop().create_future()
        try:
            value = await make()
        except BaseException as error:
            done.set_exception(error if isinstance(error, errors.CrmError) else Failed())
            done.exception()  # nobody need wait for it
            raise
        else:
            done.set_result(value)
            self._keep(key, value)
            return value
        finally:
            del self._coming[place]

    def _keep(self, key: Hashable, value: T) -> None:
        self.forget(key)
        if 2 * self._weigh(value) > self._at_most:
            return
        self._values[key] = value
        self._weight += self._weigh(value)
        while self._weight > self._at_most:
            self._weight -= self._weigh(self._values.popitem(last=False)[1])
