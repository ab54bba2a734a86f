"""Public holidays of the years to come, taken over in time, for firms that have those of a country already."""

from datetime import datetime

from crm import db, jobs, tenancy
from crm.actor import Actor
from crm.calendars import operations as calendars
from crm.calendars import queries
from crm.db import Tx

YEARS = 3
"""This year and the two after it."""


@jobs.periodic("calendars.look_ahead", "41 1 1 * *")
async def look_ahead(now: datetime) -> None:
    """Take over, every month, what is not known yet, one tenant at a time."""

    async def work(tx: Tx) -> None:
        for country in await queries.countries(tx):
            await calendars.seed_holidays(tx, country, range(now.year, now.year + YEARS), now=now)

    for tenant_id in await tenancy.tenants():
        await db.run(Actor.system(tenant_id), work)
