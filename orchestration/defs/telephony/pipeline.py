"""Telephony marts: from events to calls, legs and stays in queues, every five minutes."""

from orchestration import marts, policy
from orchestration.defs.imports.gate import imports
from orchestration.defs.telephony.gate import raw_calls

telephony_marts = marts.of(
    "telephony", "telephony_marts", freshness=policy.FRESH_TELEPHONY,
    says="What is derived from calls and the people who handle them.",
)  # fmt: skip
refresh_telephony = marts.refreshed(
    telephony_marts, "refresh_telephony", after=[imports, raw_calls], every=policy.EVERY_FIVE_MINUTES,
    says="Telephony marts follow operations every five minutes.",
)  # fmt: skip
