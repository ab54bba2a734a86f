"""Where personal data can be: the one registry of columns and files that hold it, and how each is erased.

A test compares it with the database: a column that can hold text, bytes or JSON stands either here or in `HARMLESS`,
and the pipeline, which must see nobody, has no grant on what stands here.
"""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What is held there."""

    sealed = "sealed"
    """Ciphertext under a person's own key."""
    lookup = "lookup"
    """A keyed hash by which an address is found; it tells nothing without the tenant's key."""
    mask = "mask"
    """An address with all but a hint hidden."""
    name = "name"
    """A person's name in clear."""
    health = "health"
    """A code that can tell of a person's health."""
    text = "text"
    """What people wrote, scrubbed of numbers and addresses; a name may have stayed."""
    voice = "voice"
    """What people said, in clear."""
    staff = "staff"
    """Data of the people who work here."""
    evidence = "evidence"
    """Traces of a person's consent or device."""
    secret = "secret"
    """No person's data, but not to be read either."""


class Erasure(StrEnum):
    """How it goes when the person's erasure is due."""

    shred = "shred"
    """The key it is sealed under is destroyed, in backups too."""
    null = "null"
    """The value is emptied, the row stays for the numbers."""
    delete = "delete"
    """The row or the file is deleted."""
    expire = "expire"
    """It is deleted after its own short time, whoever it is about."""
    keep = "keep"
    """It stays by duty, and names nobody once the rest is gone."""


@dataclass(frozen=True, slots=True)
class Place:
    """One column (`schema.table.column`) or kind of file that can hold personal data."""

    where: str
    kind: Kind
    erasure: Erasure
    note: str = ""


COLUMNS = (
    Place("crm.contact.name", Kind.name, Erasure.null),
    Place("crm.contact.name_search", Kind.name, Erasure.null),
    Place("crm.contact.phone_masked", Kind.mask, Erasure.null),
    Place("crm.contact.email_masked", Kind.mask, Erasure.null),
    Place("crm.contact_point.sealed", Kind.sealed, Erasure.shred),
    Place("crm.contact_point.blind_index", Kind.lookup, Erasure.delete),
    Place("crm.contact_point.masked", Kind.mask, Erasure.delete),
    Place("crm.consent.evidence", Kind.evidence, Erasure.null),
    Place("crm.dnc_entry.blind_index", Kind.lookup, Erasure.keep, "who asked not to be contacted stays left alone"),
    Place("crm.dnc_entry.masked", Kind.mask, Erasure.null),
    Place("crm.attachment.name", Kind.text, Erasure.null, "scrubbed; people name files after people"),
    Place("crm.lead.attributes", Kind.text, Erasure.null),
    Place("crm.lead.click_ids", Kind.evidence, Erasure.null),
    Place("crm.lead.content_hash", Kind.lookup, Erasure.null, "of what was sent, addresses included"),
    Place("crm.activity.note", Kind.text, Erasure.null),
    Place("crm.activity.note_sealed", Kind.sealed, Erasure.shred),
    Place("crm.activity.detail", Kind.text, Erasure.keep, "ids and codes by construction"),
    Place("crm.audit_log.metadata_json", Kind.text, Erasure.keep, "ids, codes and scrubbed reasons; the audit duty"),
    Place("crm.quote.procedure_type", Kind.health, Erasure.null, "a code of the firm's catalogue"),
    Place("crm.sale.procedure_type", Kind.health, Erasure.null, "a code of the firm's catalogue"),
    Place("crm.procedure.type", Kind.health, Erasure.null, "a code of the firm's catalogue"),
    Place("crm.process_run.answers", Kind.text, Erasure.null, "what customers answered to questions, scrubbed"),
    Place("crm.process_run.texts_sealed", Kind.sealed, Erasure.shred, "the same as written, where scrubbing hid some"),
    Place("crm.idempotency_key.key", Kind.text, Erasure.expire, "chosen by the client"),
    Place("crm.idempotency_key.body_hash", Kind.lookup, Erasure.expire),
    Place("crm.idempotency_key.response", Kind.mask, Erasure.expire, "answers hold masks and names"),
    Place("crm.inbox_message.sealed", Kind.sealed, Erasure.shred, "what a source sent, as it came"),
    Place("crm.inbox_message.body_hash", Kind.lookup, Erasure.expire),
    Place("crm.inbox_message.last_error", Kind.text, Erasure.expire),
    Place("crm.inbox_version.sealed", Kind.sealed, Erasure.shred, "the same before it was completed or mended"),
    Place("crm.click_lookup.gclid", Kind.evidence, Erasure.expire, "gone once the click was looked up, or given up"),
    Place("crm.connection_token.sealed", Kind.secret, Erasure.delete),
    Place("crm.import_run.file_name", Kind.text, Erasure.null, "people name files after people"),
    Place("crm.import_run.content_hash", Kind.lookup, Erasure.keep, "of a whole file"),
    Place("crm.import_run.mapping", Kind.text, Erasure.keep, "names of columns"),
    Place("crm.import_run.notes", Kind.text, Erasure.null),
    Place("crm.import_run.last_error", Kind.text, Erasure.null),
    Place("crm.import_rejection.sealed", Kind.sealed, Erasure.shred, "the row as it was sent"),
    Place("crm.import_rejection.errors", Kind.text, Erasure.delete),
    Place("crm.contact_merge.replaced", Kind.name, Erasure.null, "values a merge replaced; without them no undoing"),
    Place("crm.contact_block.key", Kind.lookup, Erasure.delete, "keyed hashes of parts of names"),
    Place("crm.import_upload.sealed", Kind.sealed, Erasure.shred, "the file as it was sent, until it is imported"),
    Place("crm.user_account.email", Kind.staff, Erasure.null),
    Place("crm.user_account.name", Kind.staff, Erasure.keep, "who did what stays readable"),
    Place("crm.user_account.password_hash", Kind.secret, Erasure.null),
    Place("crm.user_session.refresh_hash", Kind.secret, Erasure.expire),
    Place("crm.invitation.email", Kind.staff, Erasure.expire),
    Place("crm.agent.endpoint", Kind.staff, Erasure.delete, "telephones may be named after people"),
    Place("crm.agent_session.endpoint", Kind.staff, Erasure.keep, "which telephone an agent worked at"),
    Place("crm.agent_mirror.endpoint", Kind.staff, Erasure.delete),
    Place("crm.queue_member.endpoint", Kind.staff, Erasure.delete),
    Place("crm.invitation.token_hash", Kind.secret, Erasure.expire),
    Place("crm.saved_view.name", Kind.text, Erasure.keep, "what staff call their lists of leads"),
    Place("crm.tenant_setting.value", Kind.text, Erasure.keep, "what administrators set: the firm's own words"),
    Place("crm.calendar_day.name", Kind.text, Erasure.keep, "why a day is special: the firm's own words"),
    Place("crm.experiment.hypothesis", Kind.text, Erasure.keep, "what is to be learnt, scrubbed: the firm's own words"),
    Place("crm.connection.secrets_sealed", Kind.secret, Erasure.delete),
    Place("crm.outside_agent.name", Kind.staff, Erasure.keep, "who took a call, by the name another system used"),
    Place("crm.historical_call.content_hash", Kind.lookup, Erasure.null, "of a row as another system told it"),
    Place("crm.historical_call.caller_index", Kind.lookup, Erasure.null, "another system's id of the caller, hashed"),
)

FILES = (
    Place("objects/", Kind.sealed, Erasure.shred, "each file under a key of its own: crm.attachment.key_id"),
    Place("objects/recordings/", Kind.sealed, Erasure.shred, "calls, each under its own key: crm.recording.key_id"),
    Place("recordings spool", Kind.voice, Erasure.delete, "as the exchange wrote them, until the dialer stores them"),
    Place("import reports", Kind.sealed, Erasure.delete, "made on demand from sealed rows; kept by whoever asked"),
    Place("logs/", Kind.text, Erasure.expire, "routes, codes and ids; the leak crawler reads them"),
)

HARMLESS: dict[str, str] = {
    "crm.activity": "kind channel direction outcome provider_reference",
    "crm.agent_mirror": "queue",
    "crm.agent_session": "pending pending_reason end_reason",
    "crm.agent_state": "state reason",
    "crm.attachment": "class content_type object_key deletion_reason",
    "crm.audit_log": "action target_type",
    "crm.calling_hours": "country windows",
    "crm.calendar_day": "kind hours labels source",
    "crm.calendar_week": "timezone hours",
    "crm.bi_login": "name login grade",
    "crm.bulk_chunk": "verdicts",
    "crm.bulk_run": "action wanted status",
    "crm.call": "direction purpose status outcome failure verdict queue caller_id machine_message disposition"
    " disposition_party source external_id steps",
    "crm.call_fact": "digest kind body",
    "crm.call_leg": "leg_id party interface stage",
    "crm.callback": "kind status reason queue last_outcome",
    "crm.callback_attempt": "outcome",
    "crm.call_supervision": "mode reason notice",
    "crm.campaign": "platform external_id name status",
    "crm.check_in": "status reason",
    "crm.connection": "source name",
    "crm.connection_health": "last_error",
    "crm.connection_token": "status last_error",
    "crm.consent": "channel purpose status source legal_basis",
    "crm.consent_check": "channel purpose reason evidence_kind",
    "crm.contact": "country language consented opted_out",
    "crm.contact_merge": "moved",
    "crm.contact_point": "kind",
    "crm.dial_attempt": "mode result reason",
    "crm.dial_campaign": "code name mode status purpose queue caller_id on_machine machine_message safe_harbour"
    " windows timezone retry override_reason status_reason",
    "crm.dial_entry": "state reason counts last_result zone",
    "crm.dnc_entry": "kind reason source removal_reason",
    "crm.duplicate_candidate": "source reasons status dismissal_reason",
    "crm.event_log": "aggregate_type event_type payload_json",
    "crm.event_reader": "name",
    "crm.exchange_ask": "kind args status failure answer",
    "crm.experiment": "key split unit metric event_type event_match status",
    "crm.experiment_variant": "key script",
    "crm.historical_call": "source external_id",
    "crm.idempotency_key": "route",
    "crm.import_rejection": "codes",
    "crm.import_run": "source status",
    "crm.inbox_message": "source status",
    "crm.inbox_version": "replaced_because",
    "crm.pull": "kind form page cursor status last_error",
    "crm.invitation": "roles",
    "crm.lead": "status loss_reason source external_id platform campaign adset ad form keyword geography tags",
    "crm.lead_assignment": "reason",
    "crm.outside_agent": "source",
    "crm.queue": "code",
    "crm.queue_action": "kind to_queue way reason end_reason",
    "crm.queue_member": "queue",
    "crm.queue_version": "settings",
    "crm.queue_visit": "queue outcome timezone sent_why sent_to told",
    "crm.process": "key labels",
    "crm.process_run": "at_step disposition",
    "crm.process_use": "queue purpose experiment",
    "crm.process_version": "definition",
    "crm.quote": "status currency reason",
    "crm.recording": "part object_key retention hold_reason deletion_reason",
    "crm.recording_link": "reason",
    "crm.request_log": "route method",
    "crm.review_resolution": "kind outcome reason fields",
    "crm.routing_decision": "strategy reasons rule standing",
    "crm.routing_hold": "queue said exposed",
    "crm.routing_move": "status",
    "crm.routing_pool": "key",
    "crm.routing_roster": "digest body",
    "crm.routing_rule_set": "name definition",
    "crm.routing_run": "roster facts",
    "crm.saved_view": "filters sort fields",
    "crm.sale": "currency cancel_reason",
    "crm.sla_clock": "kind rule_code state status time_basis end_reason pauses",
    "crm.sla_rule_set": "rules",
    "crm.team": "name timezone region",
    "crm.team_version": "timezone region",
    "crm.tenant": "slug name timezone country currency",
    "crm.tenant_setting": "key",
    "crm.twin_run": "policy learned_from",
    "crm.user_absence": "kind",
    "crm.user_account": "locale roles",
    "crm.user_profile": "field value",
    "ops.alert": "subject owner severity causes said run_id",
    "ops.as_of": "schema_name project",
    "ops.border_day": "feed part figures questions",
    "ops.domain_build": "domain state failed",
    "ops.held_back": "domain",
    "ops.horizon": "pinned_for",
    "ops.kpi_definition": "metric hash part cuts",
    "ops.publication": "domain",
    "ops.publication_log": "domain",
    "ops.published_relation": "name domain",
    "ops.quarantine": "feed set_key label rules reasons reasons_tr status because",
    "public.santral_version": "version_num",
    "raw.api_payload": "source endpoint natural_key payload_sha256 payload api_version run_id",
    "raw.payload_verdict": "reasons suite",
}
"""Columns of codes, ids and the firm's own words: no person is in them. Events hold ids and codes only (OBS-1)."""


def registered() -> frozenset[str]:
    """Return every column of the registry as `schema.table.column`."""
    return frozenset(place.where for place in COLUMNS)


def harmless() -> frozenset[str]:
    """Return every column said to hold nobody, as `schema.table.column`."""
    return frozenset(f"{table}.{column}" for table, columns in HARMLESS.items() for column in columns.split())
