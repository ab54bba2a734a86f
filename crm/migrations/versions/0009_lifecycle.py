"""Quotes, sales, procedures and the check-ins after them.

Revision ID: 0009
"""

from crm.migrations.tables import drop_tables, run_script, tenant_tables

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TABLES: dict[str, str] = {
    "quote": """
        tenant_id uuid not null,
        id uuid not null,
        lead_id uuid not null,
        cycle_no int not null,
        version int not null,
        status text not null default 'open'
          check (status in ('open', 'accepted', 'declined', 'superseded', 'withdrawn')),
        amount_minor bigint not null check (amount_minor > 0),
        currency text not null,
        exponent int not null,
        procedure_type text,
        valid_until timestamptz,
        reason text,
        created_by uuid,
        created_at timestamptz not null,
        decided_by uuid,
        decided_at timestamptz,
        primary key (tenant_id, id),
        unique (tenant_id, lead_id, version)
    """,
    "sale": """
        tenant_id uuid not null,
        id uuid not null,
        lead_id uuid not null,
        cycle_no int not null,
        quote_id uuid,
        procedure_type text,
        amount_minor bigint not null check (amount_minor > 0),
        currency text not null,
        exponent int not null,
        sold_by uuid,
        sold_at timestamptz not null,
        cancelled_at timestamptz,
        cancel_reason text,
        primary key (tenant_id, id)
    """,
    "procedure": """
        tenant_id uuid not null,
        id uuid not null,
        lead_id uuid not null,
        cycle_no int not null,
        type text,
        takes_place_on date,
        check_ins_at timestamptz,
        created_at timestamptz not null,
        updated_at timestamptz not null,
        primary key (tenant_id, id),
        unique (tenant_id, lead_id, cycle_no)
    """,
    "check_in": """
        tenant_id uuid not null,
        id uuid not null,
        lead_id uuid not null,
        procedure_id uuid not null,
        cycle_no int not null,
        day int not null,
        status text not null default 'pending'
          check (status in ('pending', 'done', 'skipped', 'rescheduled', 'cancelled')),
        due_at timestamptz not null,
        replaces uuid,
        reason text,
        closed_by uuid,
        closed_at timestamptz,
        created_at timestamptz not null,
        primary key (tenant_id, id),
        foreign key (tenant_id, procedure_id) references crm.procedure
    """,
}
INDEXES = """
create unique index quote_open on crm.quote (tenant_id, lead_id) where status = 'open';
create unique index sale_standing on crm.sale (tenant_id, lead_id, cycle_no) where cancelled_at is null;
create index sale_lead on crm.sale (tenant_id, lead_id, sold_at);
create index procedure_unscheduled on crm.procedure (tenant_id, lead_id)
 where check_ins_at is null and takes_place_on is not null;
create unique index check_in_day on crm.check_in (tenant_id, procedure_id, day) where status = 'pending';
create index check_in_lead on crm.check_in (tenant_id, lead_id, due_at);
create index check_in_pending on crm.check_in (tenant_id, due_at, id) where status = 'pending';
"""
APPEND_ONLY: tuple[str, ...] = ()
PII_COLUMNS: dict[str, tuple[str, ...] | None] = {
    "quote": ("procedure_type",),
    "sale": ("procedure_type",),
    "procedure": ("type",),
}
"""What the pipeline never sees: columns it has no grant on; None: the whole table."""


def upgrade() -> None:
    tenant_tables(TABLES, hidden=PII_COLUMNS, append_only=APPEND_ONLY)
    run_script(INDEXES)


def downgrade() -> None:
    drop_tables(TABLES)
