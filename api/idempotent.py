"""Creating routes that may be sent twice: `Idempotency-Key` around any operation, answered as it was the first time."""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from api.context import context_of
from crm import db
from crm.db import Tx
from crm.idempotency import Idempotency, once

Kept = TypeVar("Kept", bound=BaseModel)

REPLAYED = {"Idempotent-Replayed": "true"}


def idempotency_of(request: Request, key: str | None, body: BaseModel) -> Idempotency | None:
    """Return the request's idempotency, or None when the client sent no key.

    The body counts as read, not as written: spaces and the order of fields do not make another request.
    """
    if key is None:
        return None
    return Idempotency(
        key, f"{request.method} {request.url.path}", hashlib.sha256(body.model_dump_json().encode()).digest()
    )


async def create(
    request: Request,
    key: str | None,
    body: BaseModel,
    work: Callable[[Tx], Awaitable[Any]],
    *,
    answer: type[Kept],
    show: Callable[[Kept], BaseModel] | None = None,
    status: int = 201,
) -> Response:
    """Run `work` in one transaction and answer with its result read as `answer`; under a key seen before, answer again.

    Commits before it returns, so that the status means stored. `show` adds what must not be kept (a secret that can be
    computed again) to what is answered.

    :raises crm.idempotency.KeyReused: when the key was used before with another body or route.
    """
    context = context_of(request.scope)
    actor, now = context.actor, context.now
    assert actor is not None, "creating routes declare a permission"
    repeatable = idempotency_of(request, key, body)
    replay = False

    async def job(tx: Tx) -> Kept:
        nonlocal replay
        if repeatable is None:
            return answer.model_validate(await work(tx))
        kept = await once(tx, repeatable, lambda: _content(tx, work, answer), status=status, now=now)
        replay = kept.is_replay
        return answer.model_validate(kept.content)

    made = await db.run(actor, job)
    shown = show(made) if show else made
    return Response(shown.model_dump_json(), status, REPLAYED if replay else {}, "application/json")


async def _content(tx: Tx, work: Callable[[Tx], Awaitable[Any]], answer: type[BaseModel]) -> Any:
    return answer.model_validate(await work(tx)).model_dump(mode="json")
