"""Marts of resolution, quality and compliance: what leads, calls and consents come to, every quarter of an hour."""

from orchestration import marts
from orchestration.defs.imports.gate import imports
from orchestration.defs.leads.gate import leads
from orchestration.defs.telephony.gate import raw_calls

quality_marts = marts.of(
    "quality", "quality_marts", says="What is derived from contacts, surveys, reviews and consents."
)
refresh_quality = marts.refreshed(
    quality_marts, "refresh_quality", after=[imports, leads, raw_calls], every="*/15 * * * *",
    says="Resolution, quality and compliance follow every quarter of an hour.",
)  # fmt: skip
