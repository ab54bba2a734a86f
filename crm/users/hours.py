"""A person's own working hours, set by whoever manages that person; what hours are, and from when, calendars say."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from uuid import UUID

from crm.calendars import operations as calendars
from crm.calendars.rules import Hours
from crm.db import Tx
from crm.operation import operation
from crm.users import profiles


@operation("profile.manage")
async def set_hours(
    tx: Tx, user_id: UUID, hours: Sequence[Hours], *, timezone: str | None = None, valid_from: date, now: datetime
) -> None:
    """Set a person's weekly hours from a coming date on, in a zone of their own if named.

    :raises crm.users.queries.UnknownUser: when there is no such person.
    :raises crm.users.profiles.OtherTeam: when a manager asks for somebody of another team.
    :raises crm.calendars.operations.BadHours: when there are none, two of one day overlap, or the zone is unknown.
    :raises crm.calendars.operations.PastDate: when the date has begun.
    """
    await profiles.person_of(tx, user_id)
    actor, told = tx.actor, tx.events
    # A manager may not change the firm's calendars; of this person's own hours they may.
    tx.actor = replace(actor, permissions=actor.permissions | {"calendar.manage"})
    try:
        await calendars.set_hours(tx, hours, user_id=user_id, timezone=timezone, valid_from=valid_from, now=now)
    finally:
        tx.actor = actor
    if tx.events == told:
        tx.unchanged()
