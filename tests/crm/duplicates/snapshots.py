"""Every row a firm has, in every table of it, and what an undoing owes to each: the law of three ways.

`before` a merge, `merged` right after it, `since` right before it is undone. Whatever was not touched since the merge
is as it was before; what was touched, column by column, and what is new since, stays. Tables are found in the
database, so that one added later is held to it too.
"""

import json

import asyncpg

TABLES = """
select c.relname as name, array_agg(a.attname::text order by k.n) as key
  from pg_class c
  join pg_index i on i.indrelid = c.oid and i.indisprimary
 cross join lateral unnest(i.indkey) with ordinality as k(attnum, n)
  join pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum
 where c.relnamespace = 'crm'::regnamespace and c.relkind = 'r'
   and exists (select from pg_attribute t where t.attrelid = c.oid and t.attname = 'tenant_id')
 group by 1
"""
HINTS = {"consented", "opted_out"}
MASKS = {"phone_masked", "email_masked"}
DECISION = {"status", "merge_id", "dismissal_reason", "decided_by", "decided_at", "updated_at"}
MADE_BY_UNDOING = {
    "activity": lambda row: row["kind"] == "contact.unmerged",
    "consent": lambda row: row["source"] == "unmerge",
    "event_log": lambda row: row["event_type"] == "contact.unmerged",
    "audit_log": lambda row: row["action"] == "contact.unmerge",
}


async def take(owner: asyncpg.Connection, tenant_id):
    """Return every row of a firm: (table, key) → column → value."""
    tables = await owner.fetch(TABLES)
    parts = " union all ".join(
        f"select '{table['name']}' as name, jsonb_build_array({', '.join(table['key'])})::text as key,"
        f" to_jsonb(t)::text as row from crm.{table['name']} t where t.tenant_id = $1"
        for table in tables
    )
    return {(each["name"], each["key"]): json.loads(each["row"]) for each in await owner.fetch(parts, tenant_id)}


def faults(before, merged, since, after, *, merge_id, winner_id, loser_id):
    """Yield what an undoing did that it must not have done, or failed to do: nothing, when it is exact."""
    came = {key: row for key, row in after.items() if key not in since}
    yield from (f"made {key}" for key, row in came.items() if not MADE_BY_UNDOING.get(key[0], lambda _: False)(row))
    yield from (f"lost {key}" for key in since if key not in after)
    for key, row in since.items():
        if key in after:
            wanted, free = _owed(key, before.get(key), merged.get(key), row, merge_id)
            if key[0] not in ("contact", "lead") and "contact_id" in row and key not in before:
                wanted["contact_id"] = _whose(key, row, merged, after, winner_id, loser_id)
            yield from (
                f"{key}.{column}: {after[key][column]!r} and not {wanted[column]!r}"
                for column in row.keys() - free
                if after[key][column] != wanted[column]
            )
    yield from _masks(before, after, winner_id, loser_id)


def _owed(key, before, merged, since, merge_id):
    """Return a row as it has to be, and the columns of which this law says nothing."""
    if key[0] == "contact_point" and merged and merged["key_id"] != since["key_id"]:
        return dict(since), set()  # another address in the place of the one that moved
    wanted = {
        column: before[column] if before and merged and merged[column] == value else value
        for column, value in since.items()
    }
    free = {
        "contact": HINTS | MASKS,
        "contact_merge": {"undone_by", "undone_at"} if since.get("id") == merge_id else set(),
        "duplicate_candidate": DECISION if since.get("merge_id") == merge_id else set(),
    }.get(key[0], set())
    return wanted, free


def _whose(key, row, merged, after, winner_id, loser_id):
    """Return whose a row is that was not there before the merge."""
    if row["contact_id"] != winner_id:
        return row["contact_id"]
    if key in merged and key[0] == "consent":  # a refusal that the merge repeated goes to whoever refused
        return after["consent", json.dumps([row["tenant_id"], row["evidence"]["consent_id"]])]["contact_id"]
    parent = ("lead", row.get("lead_id")), ("activity", row.get("activity_id"))
    for table, which in parent:
        if which and after[table, json.dumps([row["tenant_id"], which])]["contact_id"] == loser_id:
            return loser_id
    return winner_id


def _masks(before, after, winner_id, loser_id):
    """Yield masks that no address gives, or that are another one's than before without need."""
    for (table, _), row in after.items():
        if table != "contact" or row["id"] not in (winner_id, loser_id):
            continue
        for kind in ("phone", "email"):
            there = {
                point["masked"]
                for (name, _), point in after.items()
                if name == "contact_point" and point["contact_id"] == row["id"] and point["kind"] == kind
            }
            mask = row[f"{kind}_masked"]
            if (mask is None) != (not there) or (mask is not None and mask not in there):
                yield f"{row['id']} shows {mask} and has {there}"


def touched(merged, since, winner_id, points):
    """Return the channels about which something is new since a merge; `points`: addresses of the two."""
    new = {key: row for key, row in since.items() if merged.get(key) != row}
    said = {
        row["channel"]
        for (table, _), row in new.items()
        if table == "consent" and row["contact_id"] == winner_id and row["source"] != "merge"
    }
    kinds = {
        row["kind"] for (table, _), row in new.items() if table == "dnc_entry" and row["blind_index"] in points
    }  # fmt: skip
    listed = {"phone": {"call", "sms", "whatsapp"}, "email": {"email"}}
    key = next(key for key, row in merged.items() if key[0] == "contact" and row["id"] == winner_id)
    derived = {channel for hint in HINTS for channel in {*merged[key][hint]} ^ {*since[key][hint]}}
    return said | derived | {channel for kind in kinds for channel in listed[kind]}
