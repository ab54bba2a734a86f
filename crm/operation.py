"""What every mutating operation promises: a permission is checked, an event and (for a person) an audit row written.

The promise is kept at run time, not by memory: a change that recorded nothing is refused and rolled back.
"""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from crm.db import Tx

P = ParamSpec("P")
R = TypeVar("R")

REGISTRY: dict[str, str] = {}
"""Every operation of the product: dotted name → permission. Filled as the slices are imported."""


class UnrecordedChange(RuntimeError):
    """A mutating operation wrote no event, or no audit row although a person did it: a defect of the operation."""


def operation(
    permission: str,
) -> Callable[[Callable[Concatenate[Tx, P], Awaitable[R]]], Callable[Concatenate[Tx, P], Awaitable[R]]]:
    """Mark a function `async def verb(tx, ...)` as a mutating operation that needs a permission.

    The wrapped function raises `crm.actor.Forbidden` before anything happens when the actor may not, and
    `UnrecordedChange` after a change that left no trace. An operation that finds nothing to do says
    `tx.unchanged()`.
    """

    def decorate(
        function: Callable[Concatenate[Tx, P], Awaitable[R]],
    ) -> Callable[Concatenate[Tx, P], Awaitable[R]]:
        name = f"{function.__module__}.{function.__qualname__}"
        REGISTRY[name] = permission

        @wraps(function)
        async def checked(tx: Tx, /, *args: P.args, **kwargs: P.kwargs) -> R:
            tx.actor.require(permission)
            events, audits, was_idle = tx.events, tx.audits, tx.idle
            tx.idle = False
            result = await function(tx, *args, **kwargs)
            if not tx.idle:
                if tx.events == events:
                    raise UnrecordedChange(f"{name} changed something and wrote no event")
                if tx.actor.user_id is not None and tx.audits == audits:
                    raise UnrecordedChange(f"{name} changed something for a person and wrote no audit row")
            tx.idle = was_idle
            return result

        return checked

    return decorate
