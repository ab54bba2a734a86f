"""Metrics in SQL by hand: written by people from the formulas of the catalogue, knowing nothing of the semantic layer.

Where a table keeps the instants, thresholds and seconds that a figure follows from, the figure is worked out from them
anew, and days from instants and zones; a column that says it already (`in_sl`, `enqueued_on`) is trusted nowhere but in
the views of BI tools, which show no more.
"""

from collections.abc import Mapping

from orchestration.hands.dialling import DIALLING
from orchestration.hands.leads import FUNNEL, RESPONSE
from orchestration.hands.money import MONEY
from orchestration.hands.places import Hand, Place
from orchestration.hands.platform import PLATFORM
from orchestration.hands.quality import COMPLIANCE, RESOLUTION
from orchestration.hands.telephony import AGENTS, CALLBACKS, HANDLING, INBOUND

__all__ = ["DOMAINS", "HANDS", "Hand", "Place"]

DOMAINS: Mapping[str, Mapping[str, Hand]] = {
    "inbound": INBOUND, "callbacks": CALLBACKS, "handling": HANDLING, "agents": AGENTS, "dialling": DIALLING,
    "response": RESPONSE, "funnel": FUNNEL, "money": MONEY, "resolution": RESOLUTION, "compliance": COMPLIANCE,
    "platform": PLATFORM,
}  # fmt: skip
HANDS: Mapping[str, Hand] = {name: hand for hands in DOMAINS.values() for name, hand in hands.items()}
