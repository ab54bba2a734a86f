"""What rules would have meant: the clocks of leads that came lately, as they are and as they would be."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from crm.db import Tx
from crm.sla import clocks
from crm.sla.fold import Lead
from crm.sla.rules import Rule, RuleSet

AT_MOST = 500
"""Leads looked at, the latest ones of the period."""

LATELY = """
select id from crm.lead where tenant_id = $1::uuid and received_at >= $2::timestamptz and received_at < $3::timestamptz
   and not is_test order by received_at desc, id desc limit $4::int
"""


@dataclass(frozen=True, slots=True)
class Effect:
    """How many clocks of each kind end up in which state: `now` under the rules in force, `then` under the draft."""

    leads: int
    now: dict[str, dict[str, int]] = field(default_factory=dict)
    then: dict[str, dict[str, int]] = field(default_factory=dict)


async def effect(tx: Tx, rules: Sequence[Rule], *, since: datetime, now: datetime) -> Effect:
    """Return what rules would have meant for the leads that came since an instant, had they held all the time.

    Nothing is stored. Both sides are worked out from the same log, on the same calendars.
    """
    rows = await tx.fetch(LATELY, tx.actor.tenant_id, since, now, AT_MOST)
    leads: list[UUID] = sorted(row["id"] for row in rows)
    happened = await clocks.happened_to(tx, leads)
    sets = await clocks.rule_sets(tx)
    draft = [RuleSet(0, None, tuple(rules)), *(replace(each, rules=tuple(rules)) for each in sets[1:])]
    as_is = await clocks.work_out(tx, happened, sets, leads, now=now)
    as_drafted = await clocks.work_out(tx, happened, draft, leads, now=now)
    return Effect(len(leads), _counts(as_is), _counts(as_drafted))


def _counts(leads: Iterable[Lead]) -> dict[str, dict[str, int]]:
    counted: dict[str, Counter[str]] = {}
    for lead in leads:
        for clock in lead.clocks:
            counted.setdefault(clock.kind.value, Counter())[clock.state.value] += 1
    return {kind: dict(states) for kind, states in counted.items()}
