"""The database of a command: the one `DATABASE_URL` names, or the embedded one of this home; brought up to date."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from cli import home
from cli.cluster import server
from crm import errors, migrations
from crm.settings import NotConfigured, settings

__all__ = ["DatabaseRefused", "ensure_database", "is_embedded", "server"]


class DatabaseRefused(errors.Unavailable):
    """DATABASE_URL does not name a PostgreSQL."""

    code = "database.refused"


def is_embedded() -> bool:
    """Whether the database is our own embedded one: nobody named another."""
    return not os.environ.get("DATABASE_URL")


@contextmanager
def ensure_database() -> Iterator[str]:
    """Make a migrated database and the secret available to this process and its children; leave things as found.

    Inside the block `DATABASE_URL` and `SANTRAL_SECRET` are in the environment; yields the owner's URL.

    :raises DatabaseRefused, migrations.Unusable: when the named one does not answer, refuses us or is too old.
    :raises NotConfigured: when a database was named and no secret.
    :raises ServerRefused: when the embedded server does not run.
    """
    place = home.settle()
    url = os.environ.get("DATABASE_URL", "")
    with (
        nullcontext(url) if url else server(place) as url,
        _environment(_needs(place, url)),
    ):
        _refuse_nonsense(url)
        asyncio.run(migrations.prepare())
        yield url


def _needs(place: Path, url: str) -> dict[str, str]:
    """Return what the environment lacks. The home's own secret serves a demo; a named database deserves a named one."""
    demo = is_embedded() or os.environ.get("SANTRAL_ENVIRONMENT") == "demo"
    if not demo and not os.environ.get("SANTRAL_SECRET"):
        raise NotConfigured(
            "DATABASE_URL is set and SANTRAL_SECRET is not: make one with `openssl rand -base64 32` and keep it safe, "
            "or set SANTRAL_ENVIRONMENT=demo to try things out"
        )
    needs = {"DATABASE_URL": url}
    if demo:
        needs["SANTRAL_ENVIRONMENT"] = os.environ.get("SANTRAL_ENVIRONMENT", "demo")
        needs["SANTRAL_SECRET"] = os.environ.get("SANTRAL_SECRET") or home.secret(place)
    return needs


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Set environment variables for a while; settings are read anew."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    settings.cache_clear()
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
        settings.cache_clear()


def _refuse_nonsense(url: str) -> None:
    """Refuse what is no address of a PostgreSQL; whether the server is fit for us `prepare` finds out."""
    try:
        driver = make_url(url).drivername
    except ArgumentError as error:
        message = "DATABASE_URL is not an address: write postgresql://user:password@host:5432/name"
        raise DatabaseRefused(message) from error
    if not driver.startswith("postgres"):
        raise DatabaseRefused(f"DATABASE_URL names {driver}: Santral runs on PostgreSQL 15 or newer")
