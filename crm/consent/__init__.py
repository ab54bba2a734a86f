"""Consent (PRIV-1, PRIV-3): what people said about being contacted, who is never contacted, and may I contact now?"""

from crm.consent.operations import Statement, check, record
from crm.consent.queries import may_contact, may_contact_many
from crm.consent.rules import Answer, Channel, Evidence, LegalBasis, Purpose, Reason, Status

__all__ = [
    "Answer",
    "Channel",
    "Evidence",
    "LegalBasis",
    "Purpose",
    "Reason",
    "Statement",
    "Status",
    "check",
    "may_contact",
    "may_contact_many",
    "record",
]
