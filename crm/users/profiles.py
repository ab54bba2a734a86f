"""What people can and may take: skills, languages, regions, daily caps, absences. Dated: the past stays as it was.

Each field of a profile is set from an instant on, by itself: a cap planned for Monday leaves a skill learnt today alone.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from uuid import UUID

from crm.db import Tx

NOTHING: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True)
class Profile:
    """What held for one person at an instant.

    `skills`: code → proficiency, 1 (learning) to 5 (expert). `languages`: ISO 639-1 codes. `regions`: codes of the
    territories they serve; none: any. `daily_cap`: the most leads in a day of the team's zone; None: no cap.
    `absent_until`: when the absence they are in, with those that follow it at once, ends (UTC); None: they are there.
    """

    skills: Mapping[str, int] = field(default_factory=lambda: NOTHING)
    languages: frozenset[str] = frozenset()
    regions: frozenset[str] = frozenset()
    daily_cap: int | None = None
    absent_until: datetime | None = None


def _latest(name: str) -> str:
    return (
        "(select p.value from crm.user_profile p where p.tenant_id = $1::uuid and p.user_id = u.id"
        f" and p.field = '{name}' and p.valid_from <= $3::timestamptz"
        f" order by p.valid_from desc, p.id desc limit 1) as {name}"
    )


PROFILES = f"""
select u.id, {_latest("skills")}, {_latest("languages")}, {_latest("regions")}, {_latest("daily_cap")},
       (select upper(away) from (
          select unnest(range_agg(tstzrange(a.starts_at, a.ends_at))) as away from crm.user_absence a
           where a.tenant_id = $1::uuid and a.user_id = u.id and a.ends_at > $3::timestamptz
             and a.created_at <= $3::timestamptz
             and (a.cancelled_at is null or a.cancelled_at > $3::timestamptz)) s
         where away @> $3::timestamptz) as absent_until
  from unnest($2::uuid[]) as u(id)
"""


async def profiles(tx: Tx, user_ids: Collection[UUID], at: datetime) -> dict[UUID, Profile]:
    """Return what held for people at an instant (UTC), in one statement; who has set nothing has an empty profile.

    An absence counts as it was known then: one cancelled later still held.
    """
    rows = await tx.fetch(PROFILES, tx.actor.tenant_id, list(user_ids), at)
    return {
        row["id"]: Profile(
            row["skills"] or NOTHING,
            frozenset(row["languages"] or ()),
            frozenset(row["regions"] or ()),
            row["daily_cap"],
            row["absent_until"],
        )
        for row in rows
    }
