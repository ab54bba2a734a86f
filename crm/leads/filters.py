"""What leads can be filtered by, each with its type and the operators it takes (LEAD-6)."""

from crm import filtering, names, phone, search, vault
from crm.filtering import FLAG, ID, INSTANT, NUMBER, TEXT, BadFilter, Clause, Field, Kind, Operator, Scene
from crm.leads.rules import Status
from crm.sql import Args

CLOCK_STATES = ("running", "paused", "met", "breached", "cancelled")

IN = (Operator.in_, Operator.not_in)
NULLABLE = (*IN, Operator.is_)
DATES = (Operator.gte, Operator.lt, Operator.during)
NULL = ("null", "set")


def _phone(value: str) -> str:
    try:
        return phone.parse(value)
    except phone.NotAPhone:
        raise ValueError("a whole phone number, with its country code or of Türkiye") from None


def _email(value: str) -> str:
    if not 3 <= len(value) <= 320 or "@" not in value or "\x00" in value:
        raise ValueError("a whole e-mail address")
    return value.strip().lower()


def _name(value: str) -> str:
    folded = names.fold(value) if "\x00" not in value else ""
    if not 2 <= len(folded) <= 100:
        raise ValueError("at least two letters of a name, at most a hundred")
    return folded


PHONE, EMAIL = Kind("phone", "bytea", _phone), Kind("email", "bytea", _email)
NAME = Kind("name", "text", _name)


def _reached_by(clause: Clause, args: Args, scene: Scene) -> str:
    """Find whose number or address it is by the blind index: nothing is decrypted, only an exact one is found."""
    index = args.add(vault.blind_index(scene.actor.tenant_id, clause.field, clause.values[0]), "bytea")
    return (
        "l.contact_id = (select p.contact_id from crm.contact_point p"
        f" where p.kind = '{clause.field}' and p.blind_index = {index})"
    )


def _called(clause: Clause, args: Args, scene: Scene) -> str:
    """Find people by the begin of the name, or of any word in it, folded: `çağ` finds Çağla, `inci` Çağla İnci."""
    folded = clause.values[0]
    if clause.operator is Operator.starts:
        found = search.begins_with("n.name_search", folded, args)
    else:
        found = f"strpos(' ' || n.name_search, {args.add(f' {folded}', 'text')}) > 0"
    return f"l.contact_id in (select n.id from crm.contact n where {found})"


def _on_the_clock(clause: Clause, args: Args, scene: Scene) -> str:
    """Find leads by their clocks (crm.sla_clock): by how any of them stands at this instant, or by when one is due.

    Meant are the open ones and those of the lead's cycle; of an earlier cycle, what was kept or broken is past.
    """
    if clause.field == "sla":
        meant = f"(k.ended_at is null or k.cycle_no = l.cycle_no) and {_stands(frozenset(clause.values), args, scene)}"
    else:
        due = Field("k.due_at", INSTANT, DATES, "", "")
        (is_due,) = filtering.conditions([clause], {clause.field: due}, args, scene)
        meant = f"k.ended_at is null and k.state in ('running', 'breached') and {is_due}"
    found = f"exists (select from crm.sla_clock k where k.tenant_id = l.tenant_id and k.lead_id = l.id and {meant})"
    return f"not {found}" if clause.operator is Operator.not_in else found


def _stands(wanted: frozenset[str], args: Args, scene: Scene) -> str:
    """Return the condition that a clock `k` stands so now: one that is due is breached, noted yet or not."""
    kept = f"k.state = any({args.add(sorted(wanted), 'text[]')})"
    if ("running" in wanted) is ("breached" in wanted):
        return kept
    is_due = f"k.due_at <= {args.add(scene.now, 'timestamptz')}"
    if "running" in wanted:
        return f"({kept} and not (k.state = 'running' and {is_due}))"
    return f"({kept} or k.state = 'running' and {is_due})"


def _text(column: str, tr: str, en: str) -> Field:
    return Field(f"l.{column}", TEXT, NULLABLE, tr, en, words=NULL)


FIELDS: dict[str, Field] = {
    "status": Field("l.status", TEXT, IN, "Durum", "Status", choices=tuple(Status)),
    "owner": Field("l.owner_id", ID, NULLABLE, "Sorumlu", "Owner", words=("me", *NULL)),
    "team": Field("l.team_id", ID, NULLABLE, "Ekip", "Team", words=("mine", *NULL)),
    "contact": Field("l.contact_id", ID, IN, "Kişi", "Contact", permission="contact.view"),
    "source": Field("l.source", TEXT, IN, "Kaynak", "Source"),
    "platform": Field("l.platform", TEXT, IN, "Platform", "Platform"),
    "campaign": _text("campaign", "Kampanya", "Campaign"),
    "adset": _text("adset", "Reklam grubu", "Ad set"),
    "ad": _text("ad", "Reklam", "Ad"),
    "form": _text("form", "Form", "Form"),
    "keyword": _text("keyword", "Anahtar kelime", "Keyword"),
    "geography": _text("geography", "Bölge", "Geography"),
    "loss_reason": _text("loss_reason", "Kayıp nedeni", "Loss reason"),
    "tags": Field("l.tags", TEXT, (Operator.any_, Operator.all_, Operator.none), "Etiketler", "Tags"),
    "cycle_no": Field("l.cycle_no", NUMBER, (Operator.eq, Operator.gte, Operator.lt), "Döngü", "Cycle"),
    "received_at": Field("l.received_at", INSTANT, DATES, "Geliş", "Received"),
    "acquired_at": Field("l.acquired_at", INSTANT, DATES, "Kaynakta oluşma", "Acquired"),
    "assigned_at": Field("l.assigned_at", INSTANT, (*DATES, Operator.is_), "Atanma", "Assigned", words=NULL),
    "first_attempt_at": Field(
        "l.first_attempt_at", INSTANT, (*DATES, Operator.is_), "İlk deneme", "First attempt", words=NULL
    ),
    "status_changed_at": Field("l.status_changed_at", INSTANT, DATES, "Durum değişikliği", "Status changed"),
    "updated_at": Field("l.updated_at", INSTANT, DATES, "Güncelleme", "Updated"),
    "is_test": Field("l.is_test", FLAG, (Operator.is_,), "Deneme", "Test", words=("true", "false")),
    "is_duplicate": Field("l.is_duplicate", FLAG, (Operator.is_,), "Mükerrer", "Duplicate", words=("true", "false")),
    "import": Field("l.import_id", ID, NULLABLE, "Aktarım", "Import", words=NULL, permission="import.view"),
    "sla": Field(
        "k.state", TEXT, IN, "Süre durumu", "SLA state", choices=CLOCK_STATES, permission="sla.view",
        has_events=False, own=_on_the_clock,
    ),
    "sla_due": Field(
        "k.due_at", INSTANT, DATES, "Süre sonu", "SLA due", permission="sla.view", has_events=False, own=_on_the_clock
    ),
    "name": Field(
        "n.name_search", NAME, (Operator.starts, Operator.has), "Ad", "Name",
        permission="contact.view", is_personal=True, own=_called,
    ),
    "phone": Field(
        "", PHONE, (Operator.eq,), "Telefon", "Phone", permission="contact.view", is_personal=True, own=_reached_by
    ),
    "email": Field(
        "", EMAIL, (Operator.eq,), "E-posta", "E-mail", permission="contact.view", is_personal=True, own=_reached_by
    ),
}  # fmt: skip
"""Every filter of the list of leads by name; all of them are documented by `GET /leads/columns`."""


def person(text: str, *, at: str) -> Clause:
    """Return the filter that a search for a person means: a whole phone number or e-mail address, else a name's begin.

    :raises BadFilter: when it is too short for a name; `at` names the place in the request.
    """
    if found := search.address(text):
        return Clause(found[0], Operator.eq, (found[1],))
    try:
        return Clause("name", Operator.starts, (_name(text),))
    except ValueError as error:
        raise BadFilter(fields={at: f"expected {error}"}) from None
