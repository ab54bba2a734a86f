"""The columns of a list of leads: what each shows, what people call it, and how a screen may present it (INT-4)."""

from dataclasses import dataclass
from functools import lru_cache

from crm import errors, paging
from crm.actor import Actor
from crm.contacts import rules as contacts
from crm.leads import lifecycle
from crm.leads.rules import LABELS


class ColumnNotAllowed(errors.NotAllowed):
    """You may not see this column."""

    code = "list.column_not_allowed"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the list: its SQL, what people call it, its type and width, and whether it is shown unasked.

    `width` is a class for the layout (xs to xl). `filter`: the filter that looks at it. `permission`: needed to see it.
    """

    sql: str
    tr: str
    en: str
    type: str
    width: str = "m"
    is_shown: bool = True
    filter: str | None = None
    permission: str | None = None

    def label(self, language: str) -> str:
        """Return what people call it in a language (`tr` or `en`)."""
        return self.en if language == "en" else self.tr


def _named(alias: str) -> str:
    return f"case when {alias}.id is not null then json_build_object('id', {alias}.id, 'name', {alias}.name) end"


COLUMNS: dict[str, Column] = {
    "id": Column("l.id", "Kimlik", "Id", "id", "l"),
    "contact": Column(
        "json_build_object('id', c.id, 'name', c.name, 'phone_masked', c.phone_masked, 'email_masked', c.email_masked,"
        f" {contacts.CAPABILITIES})",
        "Kişi", "Contact", "contact", "xl", filter="name", permission="contact.view",
    ),
    "status": Column(
        "json_build_object('code', l.status, 'label', {status_label})", "Durum", "Status", "status", filter="status"
    ),
    "cycle_no": Column("l.cycle_no", "Döngü", "Cycle", "number", "xs", filter="cycle_no"),
    "loss_reason": Column("l.loss_reason", "Kayıp nedeni", "Loss reason", "code", filter="loss_reason"),
    "owner": Column(_named("o"), "Sorumlu", "Owner", "named", filter="owner"),
    "team": Column(_named("t"), "Ekip", "Team", "named", filter="team"),
    "source": Column("l.source", "Kaynak", "Source", "code", filter="source"),
    "external_id": Column("l.external_id", "Dış kimlik", "External id", "text", is_shown=False),
    "platform": Column("l.platform", "Platform", "Platform", "code", "s", filter="platform"),
    "campaign": Column("l.campaign", "Kampanya", "Campaign", "text", "l", filter="campaign"),
    "adset": Column("l.adset", "Reklam grubu", "Ad set", "text", "l", is_shown=False, filter="adset"),
    "ad": Column("l.ad", "Reklam", "Ad", "text", "l", is_shown=False, filter="ad"),
    "form": Column("l.form", "Form", "Form", "text", filter="form"),
    "keyword": Column("l.keyword", "Anahtar kelime", "Keyword", "text", is_shown=False, filter="keyword"),
    "geography": Column("l.geography", "Bölge", "Geography", "text", "s", is_shown=False, filter="geography"),
    "tags": Column("l.tags", "Etiketler", "Tags", "list", "l", filter="tags"),
    "attributes": Column("l.attributes", "Yanıtlar", "Answers", "answers", "xl", is_shown=False),
    "acquired_at": Column("l.acquired_at", "Kaynakta oluşma", "Acquired", "instant", filter="acquired_at"),
    "acquired_at_known": Column(
        "l.acquired_at_known", "Oluşma biliniyor", "Acquired is known", "flag", "xs", is_shown=False
    ),
    "received_at": Column("l.received_at", "Geliş", "Received", "instant", filter="received_at"),
    "assigned_at": Column("l.assigned_at", "Atanma", "Assigned", "instant", filter="assigned_at"),
    "first_attempt_at": Column(
        "l.first_attempt_at", "İlk deneme", "First attempt", "instant", filter="first_attempt_at"
    ),
    "status_changed_at": Column(
        "l.status_changed_at", "Durum değişikliği", "Status changed", "instant", filter="status_changed_at"
    ),
    "is_test": Column("l.is_test", "Deneme", "Test", "flag", "xs", filter="is_test"),
    "is_duplicate": Column("l.is_duplicate", "Mükerrer", "Duplicate", "flag", "xs", filter="is_duplicate"),
    "import_id": Column(
        "l.import_id", "Aktarım", "Import", "id", "l", is_shown=False, filter="import", permission="import.view"
    ),
    "updated_at": Column("l.updated_at", "Güncelleme", "Updated", "instant", filter="updated_at"),
}  # fmt: skip
SORTS = {"received_at": "timestamptz", "updated_at": "timestamptz"}
"""What a list may be sorted by; each has its index."""
DEFAULT_SORT = "-received_at"

JOINS = """
  join crm.contact c on c.tenant_id = l.tenant_id and c.id = l.contact_id
  left join crm.user_account o on o.tenant_id = l.tenant_id and o.id = l.owner_id
  left join crm.team t on t.tenant_id = l.tenant_id and t.id = l.team_id
"""


def visible_to(actor: Actor) -> tuple[str, ...]:
    """Return the columns an actor may see, in the list's order."""
    return tuple(
        name for name, column in COLUMNS.items() if column.permission is None or actor.may(column.permission)
    )  # fmt: skip


def chosen(wanted: tuple[str, ...], actor: Actor) -> tuple[str, ...]:
    """Return the wanted columns in the list's order; without any, those shown unasked that the actor may see.

    :raises paging.UnknownName: when the list has no such column.
    :raises ColumnNotAllowed: when the actor may not see one.
    """
    seen = visible_to(actor)
    if not wanted:
        return tuple(name for name in seen if COLUMNS[name].is_shown)
    asked = paging.columns(wanted, COLUMNS)
    if hidden := set(asked).difference(seen):
        needed = ", ".join(sorted(f"{name} needs {COLUMNS[name].permission}" for name in hidden))
        raise ColumnNotAllowed(fields={"fields": needed})
    return asked


@lru_cache(maxsize=512)
def item(fields: tuple[str, ...], language: str) -> str:
    """Return the SQL that makes one item's JSON text; no value of a client is among its words.

    A status is called what the tenant calls it now, looked up once in the statement.
    """
    cases = " ".join(f"when '{status}' then '{label[language]}'" for status, label in LABELS.items())
    ours = f"case l.status {cases} end"
    theirs = lifecycle.SETTING.format(tenant="(select current_setting('app.tenant_id')::uuid)", at="now()")
    label = f"coalesce((select {theirs}::jsonb -> 'labels') #>> array[l.status, '{language}'], {ours})"
    pairs = ", ".join(f"'{name}', {COLUMNS[name].sql}".replace("{status_label}", label) for name in fields)
    return f"json_build_object({pairs})::text"
