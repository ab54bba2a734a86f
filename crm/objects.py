"""Files as objects: any store that speaks S3, or a folder under `SANTRAL_HOME`, through one interface (obstore).

What is put here is sealed before (`crm.vault`): the store sees bytes and names made of ids.
"""

from collections.abc import AsyncIterable, AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, S3Store

from crm import errors
from crm.settings import settings

PIECE = 64 * 1024
"""Bytes a reader gets at once at least."""
PATIENCE = timedelta(seconds=20)
"""How long one request to a store may take, its repetitions included."""


class ObjectMissing(errors.NotFound):
    """The file is not in the store."""

    code = "object.missing"


class StoreUnavailable(errors.Unavailable):
    """The store of files does not answer; try again later."""

    code = "object.store_unavailable"


@dataclass(frozen=True, slots=True)
class Found:
    """An object in a list; `modified_at` by the store's clock (UTC)."""

    name: str
    size: int
    modified_at: datetime


@cache
def store() -> ObjectStore:
    """Return this process's store: the bucket of the settings, or the folder `objects` under the home."""
    config = settings()
    if not config.s3_bucket:
        folder = config.home.resolve() / "objects"
        return LocalStore(folder, mkdir=True)
    return S3Store(
        config.s3_bucket,
        endpoint=config.s3_endpoint or None,
        region=config.s3_region,
        access_key_id=config.s3_access_key,
        secret_access_key=config.s3_secret_key.get_secret_value(),
        virtual_hosted_style_request=False,
        client_options={"allow_http": config.s3_endpoint.startswith("http://"), "timeout": PATIENCE},
        retry_config={"max_retries": 3, "retry_timeout": PATIENCE},
    )


def forget() -> None:
    """Forget the store, so that the next use reads the settings anew."""
    store.cache_clear()


async def put(name: str, parts: AsyncIterable[bytes]) -> None:
    """Store an object as a whole or not at all; one of that name is replaced.

    :raises StoreUnavailable: when the store does not take it.
    """
    try:
        await obstore.put_async(store(), name, parts)
    except (BaseError, OSError) as error:
        raise StoreUnavailable from error


async def get(name: str) -> AsyncIterator[bytes]:
    """Return an object's bytes piece by piece; that it is there is known when this returns.

    :raises ObjectMissing: when there is none of that name.
    :raises StoreUnavailable: when the store does not answer.
    """
    try:
        found = await obstore.get_async(store(), name)
    except FileNotFoundError as error:
        raise ObjectMissing from error
    except (BaseError, OSError) as error:
        raise StoreUnavailable from error

    async def pieces() -> AsyncIterator[bytes]:
        async for piece in found.stream(min_chunk_size=PIECE):
            yield bytes(piece)

    return pieces()


async def delete(names: Sequence[str]) -> None:
    """Delete objects; those that are not there are no trouble.

    :raises StoreUnavailable: when the store does not answer.
    """
    for name in names:
        try:
            await obstore.delete_async(store(), name)
        except FileNotFoundError:
            continue  # a job that is run again finds its work done
        except (BaseError, OSError) as error:
            raise StoreUnavailable from error


async def listing(prefix: str) -> AsyncIterator[list[Found]]:
    """Yield the objects whose names begin with a path, in batches.

    :raises StoreUnavailable: when the store does not answer.
    """
    try:
        async for batch in obstore.list(store(), prefix, chunk_size=500):
            yield [Found(each["path"], each["size"], each["last_modified"]) for each in batch]
    except (BaseError, OSError) as error:
        raise StoreUnavailable from error
