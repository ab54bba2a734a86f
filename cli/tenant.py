"""Which firm a command works for."""

from crm import clock, db, errors, ids, tenancy
from crm.actor import Actor
from crm.settings import settings

FIRST = "main"
"""The firm that is made where there is none yet."""


class WhichTenant(errors.Invalid):
    """There are several tenants: name one with --tenant."""

    code = "tenant.ambiguous"


class NoTenant(errors.NotFound):
    """There is no tenant of that name."""

    code = "tenant.not_found"


async def choose(slug: str | None) -> Actor:
    """Return the system acting for a tenant: the named one, else the only one, else the demo's; the first is made.

    :raises NoTenant: when there is none of that name.
    :raises WhichTenant: when there are several and none was named.
    """
    if slug:
        found = await tenancy.by_slug(slug)
        if found is None:
            raise NoTenant(f"there is no tenant {slug}")
        return Actor.system(found)
    tenants = await tenancy.tenants()
    if len(tenants) > 1:
        return await _demo()
    return Actor.system(tenants[0]) if tenants else await _first()


async def _demo() -> Actor:
    from cli.demo.staff import SLUG  # the demo is big and rarely asked for

    if settings().environment == "demo" and (demo := await tenancy.by_slug(SLUG)):
        return Actor.system(demo)
    raise WhichTenant


async def _first() -> Actor:
    """Make the first firm; nobody can sign in to it before a password is set."""
    actor = Actor.system(ids.new())
    await db.run(
        actor,
        lambda tx: tenancy.create(
            tx,
            slug=FIRST,
            name="Santral",
            admin_email="admin@santral.example",
            admin_name="Admin",
            admin_password_hash=None,
            now=clock.utc_now(),
        ),
    )
    return actor
