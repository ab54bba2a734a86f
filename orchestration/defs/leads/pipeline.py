"""Lead marts: judged at the border, then from events to cycles, intervals and dimensions, every five minutes."""

from orchestration import marts, policy
from orchestration.defs.imports.gate import imports
from orchestration.defs.leads.gate import leads

lead_marts = marts.of("leads", "lead_marts", says="What is derived from leads and their organisation.")
refresh_leads = marts.refreshed(
    lead_marts, "refresh_leads", after=[imports, leads], every=policy.EVERY_FIVE_MINUTES,
    says="Lead marts follow operations every five minutes.",
)  # fmt: skip
