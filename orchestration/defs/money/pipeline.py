"""Money: sales, rates of exchange, what ads came to. Apart from leads, so that a missing rate blocks nothing else."""

from orchestration import marts, policy
from orchestration.defs.imports.gate import imports
from orchestration.defs.leads.gate import leads

money_marts = marts.of("money", "money_marts", says="What is derived from sales and spend, in the firm's own currency.")
refresh_money = marts.refreshed(
    money_marts, "refresh_money", after=[imports, leads], every=policy.EVERY_FIVE_MINUTES,
    says="Figures of money follow sales and spend every five minutes.",
)  # fmt: skip
