"""Words and decisions about leads: statuses, their funnel stages, what may follow what. No database, no clock."""

from enum import StrEnum


class Status(StrEnum):
    """Where a lead stands (LEAD-4). Codes are ours, labels are the tenant's."""

    new = "new"
    assigned = "assigned"
    contacted = "contacted"
    interested = "interested"
    not_interested = "not_interested"
    no_answer = "no_answer"
    wrong_number = "wrong_number"
    blocked = "blocked"
    qualified = "qualified"
    proposal = "proposal"
    won = "won"
    lost = "lost"
    recycled = "recycled"


class Channel(StrEnum):
    """How we and a customer meet; a note is for ourselves."""

    call = "call"
    sms = "sms"
    whatsapp = "whatsapp"
    email = "email"
    meeting = "meeting"
    note = "note"


class Direction(StrEnum):
    """Who began it: the customer (inbound) or we (outbound)."""

    inbound = "inbound"
    outbound = "outbound"


KIND: dict[Channel, str] = {
    Channel.call: "call",
    Channel.sms: "message",
    Channel.whatsapp: "message",
    Channel.email: "message",
    Channel.meeting: "meeting",
    Channel.note: "note",
}
"""The kind of activity a channel makes."""

DIRECTED = frozenset({"call", "message"})
"""Kinds that somebody began; outbound ones by a person of ours are attempts."""


class Stage(StrEnum):
    """The funnel, in order."""

    lead = "lead"
    contacted = "contacted"
    qualified = "qualified"
    proposal = "proposal"
    sale = "sale"


RANK = {stage: rank for rank, stage in enumerate(Stage, start=1)}

STAGE: dict[Status, Stage | None] = {
    Status.new: Stage.lead,
    Status.assigned: Stage.lead,
    Status.no_answer: Stage.lead,
    Status.wrong_number: Stage.lead,
    Status.blocked: Stage.lead,
    Status.recycled: Stage.lead,
    Status.contacted: Stage.contacted,
    Status.interested: Stage.contacted,
    Status.not_interested: Stage.contacted,
    Status.qualified: Stage.qualified,
    Status.proposal: Stage.proposal,
    Status.won: Stage.sale,
    Status.lost: None,
}
"""The stage a status stands in; None keeps the stage that was reached before."""

TERMINAL = frozenset({Status.won, Status.lost})
"""Statuses that end a cycle: what comes after opens the next one."""

LABELS: dict[Status, dict[str, str]] = {
    Status.new: {"tr": "Yeni", "en": "New"},
    Status.assigned: {"tr": "Atandı", "en": "Assigned"},
    Status.contacted: {"tr": "Görüşüldü", "en": "Contacted"},
    Status.interested: {"tr": "İlgili", "en": "Interested"},
    Status.not_interested: {"tr": "İlgisiz", "en": "Not interested"},
    Status.no_answer: {"tr": "Cevapsız", "en": "No answer"},
    Status.wrong_number: {"tr": "Yanlış Numara", "en": "Wrong number"},
    Status.blocked: {"tr": "Block", "en": "Blocked"},
    Status.qualified: {"tr": "Nitelikli", "en": "Qualified"},
    Status.proposal: {"tr": "Teklif", "en": "Proposal"},
    Status.won: {"tr": "Satış", "en": "Won"},
    Status.lost: {"tr": "Kayıp", "en": "Lost"},
    Status.recycled: {"tr": "Yeniden havuzda", "en": "Recycled"},
}

_WORKING = frozenset(Status) - {Status.new, Status.assigned}
FOLLOWS: dict[Status, frozenset[Status]] = {
    Status.new: frozenset(Status) - {Status.new},
    Status.assigned: frozenset(Status) - {Status.new, Status.assigned},
    **{status: _WORKING - {status} for status in _WORKING - TERMINAL},
    Status.won: frozenset({Status.lost, Status.recycled}),
    Status.lost: frozenset({Status.recycled}),
}
"""What may follow what. A finished cycle is reopened through `recycled`; a cancelled sale may be lost."""


def may_become(current: Status, wanted: Status) -> bool:
    """Tell whether a lead may go from one status to another."""
    return wanted in FOLLOWS[current]


def next_cycle(current: Status, wanted: Status, cycle_no: int) -> int:
    """Return the cycle a change of status belongs to: reopening after a terminal status opens the next one."""
    return cycle_no + 1 if current in TERMINAL and wanted not in TERMINAL else cycle_no
