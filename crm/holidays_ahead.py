"""Public holidays of the years to come, taken over in time, for firms that have those of a country already.

Dates that are only estimated are said in the log: religious holidays ahead of the years that were published. Every
month they are looked at again, and what moved meanwhile is put right.
"""

from datetime import datetime

import structlog

from crm import db, jobs, tenancy
from crm.actor import Actor
from crm.calendars import operations as calendars
from crm.calendars import queries
from crm.db import Tx

log = structlog.get_logger("crm.holidays_ahead")

YEARS = 3
"""This year and the two after it."""


@jobs.periodic("calendars.look_ahead", "41 1 1 * *")
async def look_ahead(now: datetime) -> None:
    """Take over, every month, what is not known yet, one tenant at a time."""

    async def work(tx: Tx) -> None:
        for country in await queries.countries(tx):
            seeded = await calendars.seed_holidays(tx, country, range(now.year, now.year + YEARS), now=now)
            if seeded.estimated:
                days = [day.isoformat() for day in seeded.estimated]
                log.warning("holidays_estimated", tenant_id=str(tx.actor.tenant_id), country=country, days=days)

    for tenant_id in await tenancy.tenants():
        await db.run(Actor.system(tenant_id), work)
