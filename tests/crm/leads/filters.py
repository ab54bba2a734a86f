"""Any filter of leads, and what it means: a second implementation, over rows in Python, to hold the SQL to."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from crm import names
from crm.filtering import ID, INSTANT, NUMBER, Clause, Operator
from crm.leads.filters import FIELDS

ZONE = ZoneInfo("Europe/Istanbul")
TEXTS = ("meta", "google", "c,1", 'say "hi"', " edge ", "ç\\ü")
TAGS = ("vip", "cold", "a,b", "İ")
DAYS = st.dates(date(2026, 2, 25), date(2026, 3, 8))
INSTANTS = st.datetimes(datetime(2026, 2, 25), datetime(2026, 3, 8)).map(lambda at: at.replace(tzinfo=UTC))
WINDOWS = ("today", "yesterday", "this_week", "last_month", "last_3d", "last_36h", "next_1d", "2026-03", "2026-03-02")
NAMES = ("Çağla İnci", "Cagri Inan", "ŞULE Çağ", "Ada Lovelace")
SEARCHED = ("çağ", "inci", "INAN", "ada lo", "lace", "sule c")
PHONES = ("+905321234567", "+905321234568")
EMAILS = ("ada@mail.example", "can@mail.example")


def clauses(persons=(), teams=()):
    """Any clause; ids are drawn from the given ones, or anything."""
    return st.sampled_from(sorted(FIELDS)).flatmap(
        lambda name: st.sampled_from(FIELDS[name].operators).flatmap(
            lambda operator: _values(name, operator, persons, teams).map(
                lambda values: Clause(name, operator, tuple(dict.fromkeys(values)))
            )
        )
    )


def _values(name, operator, persons, teams):
    field = FIELDS[name]
    if operator is Operator.is_:
        return st.sampled_from(field.words).map(lambda word: [word])
    if operator is Operator.during:
        return st.sampled_from(WINDOWS).map(lambda window: [window])
    one = {
        "tags": st.sampled_from(TAGS),
        "name": st.sampled_from(SEARCHED).map(names.fold),
        "phone": st.sampled_from(PHONES),
        "email": st.sampled_from(EMAILS),
        "team": st.sampled_from(teams) if teams else st.uuids(),
        "owner": st.sampled_from(persons) if persons else st.uuids(),
    }.get(name)
    if one is None:
        one = (
            st.sampled_from(field.choices) if field.choices
            else st.uuids() if field.kind is ID
            else INSTANTS | DAYS if field.kind is INSTANT
            else st.integers(1, 3) if field.kind is NUMBER
            else st.sampled_from(TEXTS)
        )  # fmt: skip
    single = operator in (Operator.eq, Operator.gte, Operator.lt, Operator.starts, Operator.has)
    return st.lists(one, min_size=1, max_size=1 if single else 3)


def holds(clause, row, *, actor, now):
    """Tell whether a lead is meant.

    `row` has the lead's columns, `name`, `phone` and `email` of its contact, and its `clocks`, each a dict.
    """
    if clause.field == "sla":
        meant = [each for each in row["clocks"] if not each["ended_at"] or each["cycle_no"] == row["cycle_no"]]
        return any(_state(each, now) in clause.values for each in meant) is (clause.operator is Operator.in_)
    if clause.field == "sla_due":
        due = [each["due_at"] for each in row["clocks"] if not each["ended_at"] and each["state"] != "paused"]
        return any(_compares(clause, at, actor=actor, now=now) for at in due)
    column = {"owner": "owner_id", "team": "team_id", "contact": "contact_id", "import": "import_id"}
    return _compares(clause, row[column.get(clause.field, clause.field)], actor=actor, now=now)


def _state(clock, now):
    """Return how a clock stands: one that is due was not kept, whether anybody wrote that down or not."""
    return "breached" if clock["state"] == "running" and clock["due_at"] <= now else clock["state"]


def _compares(clause, value, *, actor, now):
    wanted = clause.values
    match clause.operator:
        case Operator.is_:
            means = {"me": actor.user_id, "mine": actor.team_id, "true": True, "false": False}
            if wanted[0] in means:
                return value == means[wanted[0]]
            return (value is None) == (wanted[0] == "null")
        case Operator.in_ | Operator.eq:
            return value in wanted
        case Operator.not_in:
            return value not in wanted
        case Operator.any_:
            return bool(set(value) & set(wanted))
        case Operator.all_:
            return set(wanted) <= set(value)
        case Operator.none:
            return not set(value) & set(wanted)
        case Operator.starts:
            return names.fold(value).startswith(wanted[0])
        case Operator.has:
            words = names.fold(value).split(" ")
            return any(" ".join(words[n:]).startswith(wanted[0]) for n in range(len(words)))
        case Operator.gte | Operator.lt:
            mark = wanted[0]
            if type(mark) is date:
                mark = datetime(mark.year, mark.month, mark.day, tzinfo=ZONE)
            return value is not None and (value >= mark if clause.operator is Operator.gte else value < mark)
        case Operator.during:
            return value is not None and _is_during(value, wanted[0], now)


def _is_during(value, window, now):
    local, today = value.astimezone(ZONE).date(), now.astimezone(ZONE).date()
    monday = today - timedelta(days=today.weekday())
    return {
        "today": local == today,
        "yesterday": local == today - timedelta(days=1),
        "this_week": monday <= local < monday + timedelta(days=7),
        "last_month": (local.year, local.month) == ((today.year, today.month - 1) if today.month > 1
                                                    else (today.year - 1, 12)),
        "last_3d": today - timedelta(days=3) < local <= today,
        "last_36h": now - timedelta(hours=36) <= value < now,
        "next_1d": local == today,
        "2026-03": (local.year, local.month) == (2026, 3),
        "2026-03-02": local == date(2026, 3, 2),
    }[window]  # fmt: skip
