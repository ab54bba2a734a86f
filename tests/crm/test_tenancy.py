"""Making firms."""

from datetime import datetime

import pytest

from crm import db, ids, tenancy
from crm.actor import Actor
from crm.users import operations


async def make(slug: str, email: str, now: datetime) -> tenancy.NewTenant:
    """Make a firm."""
    return await db.run(
        Actor.system(ids.new()),
        lambda tx: tenancy.create(
            tx, slug=slug, name=slug, admin_email=email, admin_name="A", admin_password_hash=None, now=now
        ),
    )


class TestCreate:
    async def test_makes_a_firm_that_is_found_by_its_slug(self, database: str, now: datetime) -> None:
        made = await make("yeni", "a@yeni.example", now)

        assert await tenancy.by_slug("yeni") == made.id
        assert made.id in await tenancy.tenants()

    async def test_refuses_a_slug_or_an_address_in_use_in_any_firm(self, database: str, now: datetime) -> None:
        await make("yeni", "a@yeni.example", now)

        with pytest.raises(tenancy.SlugTaken):
            await make("yeni", "b@yeni.example", now)
        with pytest.raises(operations.EmailTaken):
            await make("eski", "A@yeni.example", now)
        assert await tenancy.by_slug("eski") is None
