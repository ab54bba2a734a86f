"""What the person on duty was told about the pipeline, for a firm's own people: when, by what, why, and whether it is
over.

One pipeline serves every firm. What it tells its operator may name several of them, and stays in its log and mails;
here, codes are put into words. A gate is told of to the firms of whose news it holds something, and is over for each of
them when its own is mended.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from crm import paging
from crm.db import Tx
from crm.sql import Args

ORDER = paging.Order("told_at", "timestamptz", True, "a")

GATE = "test:keeps_to_the_rules"

# Of a gate, and of a test of a table that fails for some firms (`closed:…`), what is held of one's own or was mended
# during the streak is the reason. A gate may look at more than one feed. It is an error only for those firms.
ALERTS = f"""
select a.id, a.subject, a.owner, a.failures, a.causes, a.run_id, a.told_at, a.last_at, h.en, h.tr,
       case when h.en is null or a.causes @> array['closed:' || {{tenant}}::text] then a.severity else 'warning' end
         as severity,
       coalesce(a.recovered_at, h.over_at) as recovered_at
  from ops.alert a
  cross join lateral (
    select a.causes @> array['{GATE}'] or exists (select from unnest(a.causes) c where c like 'closed:%') as by_firm) k
  left join lateral (
    select array_agg(q.label || ': ' || array_to_string(q.reasons, ', ')
                     order by q.stands desc, q.since desc, q.id) as en,
           array_agg(q.label || ': ' || array_to_string(q.reasons_tr, ', ')
                     order by q.stands desc, q.since desc, q.id) as tr,
           case when not bool_or(q.stands) then max(coalesce(q.released_at, q.judged_at)) end as over_at
      from (select q.*, q.status in ('held', 'warned') as stands from ops.quarantine q
             where q.tenant_id = {{tenant}} and q.since <= a.last_at
               and q.feed in (a.subject, case a.subject when 'raw/ad_reports' then 'raw/ad_accounts' end)
               and q.status = any(case a.severity when 'error' then array['held', 'released', 'cleared']
                                                  else array['held', 'warned', 'released', 'cleared'] end)
               and (q.status in ('held', 'warned') or coalesce(q.released_at, q.judged_at) >= a.first_at)
             order by stands desc, q.since desc, q.id limit 5) q) h on k.by_firm
 where a.told_at is not null and (h.en is not null or not k.by_firm)
"""

WORDS: Mapping[str, tuple[str, str]] = {
    GATE: ("what came in broke rules of the gate", "gelen veriler kapının kurallarına uymadı"),
    "test:is_built": (
        "tables could not be built of the rows of some firms",
        "tablolar bazı firmaların satırlarından kurulamadı",
    ),
    "test:horizon_age": (
        "a transaction has been open for minutes: nothing that happened since is in any number",
        "bir işlem dakikalardır açık: o zamandan beri olanlar hiçbir sayıda yok",
    ),
    "test:clocks_agree": (
        "events are dated after they were told: a clock is wrong",
        "olaylar bildirildikleri andan sonraya tarihlenmiş: bir saat yanlış",
    ),
    "test:told_in_time": (
        "events came weeks after they happened and changed days that were long past",
        "olaylar gerçekleştikten haftalar sonra bildirildi ve çoktan geçmiş günleri değiştirdi",
    ),
    "test:every_way_was_asked": (
        "a way of reading numbers could not be compared with the others",
        "sayıların bir okuma yolu ötekilerle karşılaştırılamadı",
    ),
    "test:is_done_in_time": (
        "the worker has not done it three times in a row",
        "işçi süreç bunu art arda üç kez yapmadı",
    ),
    "test:is_identical": (
        "a day built anew from its events differs from what readers see",
        "olaylarından yeniden kurulan bir gün, okunan sayılardan farklı",
    ),
    "test:one_number_everywhere": (
        "the same number differs between two ways of reading it",
        "aynı sayı iki okuma yolunda farklı",
    ),
}
"""What is told of a check that did not hold, in English and in Turkish."""
KINDS: Mapping[str, tuple[str, str]] = {
    "table:": ("tables could not be built: {}", "tablolar kurulamadı: {}"),
    "test:": ("tests of tables do not hold: {}", "tabloların sınamaları tutmuyor: {}"),
    "publication:": ("domains could not be published: {}", "alanlar yayımlanamadı: {}"),
    "error:": ("the step ended with {}", "adım {} ile bitti"),
}
"""What is told of other causes, by their kind."""
TOLD = 3
"""Causes of a kind that a sentence names."""


@dataclass(frozen=True, slots=True)
class Alert:
    """A streak of failures that was told of. Instants are UTC; no `recovered_at`: it still fails."""

    id: UUID
    subject: str
    """What fails: an asset of the pipeline (`raw/leads`), or a step that makes many (`lead_marts`)."""
    owner: str
    """Who was told: `team:…`."""
    severity: str
    """error: readers keep older numbers until it is mended; warning: to be looked at."""
    failures: int
    sentence: str
    sentence_tr: str
    run_id: str | None
    """The latest run that failed, as Dagster shows it."""
    raised_at: datetime
    last_at: datetime
    recovered_at: datetime | None

    @property
    def is_open(self) -> bool:
        """Whether it still fails."""
        return self.recovered_at is None


def sentences(causes: Sequence[str]) -> tuple[str, str]:
    """Return why something fails, in English and in Turkish. `causes`: `test:name`, `table:name`, `error:Class` …;
    others are not told of."""
    known = [WORDS[cause] for cause in causes if cause in WORDS]
    names = {kind: [c.partition(":")[2] for c in causes if c.startswith(kind) and c not in WORDS] for kind in KINDS}
    for kind, words in KINDS.items():
        if found := names[kind]:
            more = f" (+{len(found) - TOLD})" if len(found) > TOLD else ""
            told = ", ".join(found[:TOLD]) + more
            known.append((words[0].format(told), words[1].format(told)))
    return "; ".join(en for en, _ in known), "; ".join(tr for _, tr in known)


async def page(
    tx: Tx, *, is_open: bool | None = None, limit: int = 50, cursor: str | None = None
) -> tuple[list[Alert], str | None]:
    """Return the alerts that were told, the latest first, and the cursor of the next page. `is_open`: only those that
    still fail, or only those that are over.

    :raises crm.cursors.BadCursor: when the cursor is not one of this list.
    """
    places = paging.Cursor.of("alerts", tx.actor, filter=is_open)
    args = Args()
    where, tenant = ["true"], args.add(tx.actor.tenant_id, "uuid")
    if is_open is not None:
        where.append(f"a.recovered_at is {'' if is_open else 'not '}null")
    if cursor:
        where.append(ORDER.after(args, places.read(cursor, ORDER.kind)))
    size = max(1, min(limit, paging.LARGEST))
    rows = await tx.fetch(
        f"select * from ({ALERTS.format(tenant=tenant)}) a where {' and '.join(where)} order by {ORDER.sql}"
        f" limit {size + 1}",
        *args,
    )
    last = rows[size - 1] if len(rows) > size else None
    return [_alert(row) for row in rows[:size]], last and places.sign(last["told_at"], last["id"])


def _alert(row: asyncpg.Record) -> Alert:
    en, tr = ("; ".join(row["en"]), "; ".join(row["tr"])) if row["en"] else sentences(row["causes"])
    same = ("id", "subject", "owner", "severity", "failures", "run_id", "last_at", "recovered_at")
    return Alert(**{name: row[name] for name in same}, raised_at=row["told_at"], sentence=en, sentence_tr=tr)
