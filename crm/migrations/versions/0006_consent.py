"""Consent with validity, do-not-contact list, calling hours, checks before contacts.

Revision ID: 0006
"""

from crm.migrations.tables import drop_tables, run_script, tenant_tables
from crm.settings import PIPELINE_ROLE

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# Facts stay append-only: a withdrawal is a fact of its own that names the one it takes back. What intake stores names
# none of the new columns, so each has a default that says the same as before.
FACTS = f"""
alter table crm.consent
  add column legal_basis text not null default 'consent'
      check (legal_basis in ('consent', 'request', 'contract', 'legitimate_interest', 'legal_duty')),
  add column valid_from timestamptz,
  add column valid_until timestamptz,
  add column withdraws uuid,
  add column lead_id uuid,
  add column recorded_by uuid,
  drop constraint consent_status_check,
  add constraint consent_status_check check (status in ('granted', 'denied', 'withdrawn')),
  add constraint consent_validity_check check (valid_until > coalesce(valid_from, recorded_at)),
  add constraint consent_lapse_check check (valid_until is null or status = 'granted');
comment on column crm.consent.valid_from is 'When the person said it, where that is known; else when it was recorded.';
grant select (legal_basis, valid_from, valid_until, withdraws, lead_id, recorded_by) on crm.consent
   to {PIPELINE_ROLE};
alter table crm.contact add column erased_at timestamptz;
grant select (erased_at) on crm.contact to {PIPELINE_ROLE};
"""

FACTS_BACK = """
alter table crm.contact drop column erased_at;
update crm.consent set status = 'denied' where status = 'withdrawn';
alter table crm.consent
  drop constraint consent_lapse_check,
  drop constraint consent_validity_check,
  drop constraint consent_status_check,
  add constraint consent_status_check check (status in ('granted', 'denied')),
  drop column legal_basis, drop column valid_from, drop column valid_until, drop column withdraws,
  drop column lead_id, drop column recorded_by;
"""

TABLES: dict[str, str] = {
    "dnc_entry": """
        tenant_id uuid not null,
        id uuid not null,
        kind text not null check (kind in ('phone', 'email')),
        blind_index bytea not null,
        masked text not null,
        reason text not null,
        source text not null,
        added_by uuid,
        added_at timestamptz not null,
        removed_by uuid,
        removed_at timestamptz,
        removal_reason text,
        primary key (tenant_id, id)
    """,
    "calling_hours": """
        tenant_id uuid not null,
        id uuid not null,
        country text not null,
        valid_from date not null,
        windows jsonb not null,
        holidays boolean not null,
        set_by uuid,
        created_at timestamptz not null,
        primary key (tenant_id, id)
    """,
    "consent_check": """
        tenant_id uuid not null,
        id uuid not null,
        contact_id uuid not null,
        lead_id uuid,
        channel text not null,
        purpose text not null,
        is_allowed boolean not null,
        reason text check ((reason is null) = is_allowed),
        evidence_kind text check ((evidence_kind is null) = (evidence_id is null)),
        evidence_id uuid,
        actor_user_id uuid,
        checked_at timestamptz not null,
        primary key (tenant_id, id)
    """,
}
INDEXES = """
create unique index dnc_entry_listed on crm.dnc_entry (tenant_id, kind, blind_index) where removed_at is null;
create index calling_hours_country on crm.calling_hours (tenant_id, country, valid_from desc, created_at desc);
create index consent_check_contact on crm.consent_check (tenant_id, contact_id, id desc);
create index consent_check_denied on crm.consent_check (tenant_id, id desc) where not is_allowed;
"""
APPEND_ONLY: tuple[str, ...] = ("calling_hours", "consent_check")
PII_COLUMNS: dict[str, tuple[str, ...] | None] = {"dnc_entry": ("blind_index", "masked")}
"""What the pipeline never sees: columns it has no grant on; None: the whole table."""


def upgrade() -> None:
    run_script(FACTS)
    tenant_tables(TABLES, hidden=PII_COLUMNS, append_only=APPEND_ONLY)
    run_script(INDEXES)


def downgrade() -> None:
    drop_tables(TABLES)
    run_script(FACTS_BACK)
