"""The status machine of a tenant (LEAD-4): what may follow what, what each status asks for, how things are called.

Codes and stages are ours (`rules`); which of the ways are open, what is required and every label are the tenant's, set
as one dated setting and checked as one whole. Pure but for `of`, which reads the setting.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from crm import errors, tenant_settings
from crm.db import Tx
from crm.leads import rules
from crm.leads.rules import TERMINAL, Status


class Needed(StrEnum):
    """What a status may ask for before a lead takes it."""

    reason = "reason"
    note = "note"
    quote = "quote"
    procedure_type = "procedure_type"


Code = Annotated[str, StringConstraints(pattern="^[a-z0-9][a-z0-9_.-]{0,59}$")]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80)]


class Names(BaseModel):
    """What people call something."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tr: Name
    en: Name

    def by(self, language: str) -> str:
        """Return the name in a language (`tr` or `en`)."""
        return self.en if language == "en" else self.tr


class Lifecycle(BaseModel):
    """What a tenant sets. A status that is not named keeps what the product comes with."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    follows: dict[Status, list[Status]] = Field(default_factory=dict)
    required: dict[Status, list[Needed]] = Field(default_factory=dict)
    labels: dict[Status, Names] = Field(default_factory=dict)
    loss_reasons: dict[Code, Names] = Field(default_factory=dict, max_length=100)

    @model_validator(mode="after")
    def _holds_together(self) -> "Lifecycle":
        if faults := list(_faults(self)):
            raise ValueError("; ".join(faults))
        return self


LOSS_REASONS = {
    "price": Names(tr="Fiyat", en="Price"),
    "competitor": Names(tr="Başka firma", en="Competitor"),
    "timing": Names(tr="Zamanlama", en="Timing"),
    "travel": Names(tr="Seyahat engeli", en="Travel"),
    "health": Names(tr="Uygun değil", en="Not suitable"),
    "no_answer": Names(tr="Cevap vermiyor", en="Does not answer"),
    "unreachable": Names(tr="Ulaşılamadı", en="Unreachable"),
    "not_interested": Names(tr="İlgilenmiyor", en="Not interested"),
    "wrong_number": Names(tr="Yanlış numara", en="Wrong number"),
    "opted_out": Names(tr="Aranmak istemiyor", en="Opted out"),
    "duplicate": Names(tr="Mükerrer", en="Duplicate"),
    "cancelled": Names(tr="Satış iptali", en="Sale cancelled"),
    "imported": Names(tr="Aktarımdan", en="From an import"),
    "other": Names(tr="Diğer", en="Other"),
}
"""The catalogue a tenant begins with."""

BY_ASSIGNMENT = Status.assigned
"""Reached by giving the lead to somebody, by nothing else."""


def _faults(wanted: Lifecycle) -> Iterable[str]:
    """Yield what is wrong with a machine, as sentences."""
    for status, followers in wanted.follows.items():
        for follower in followers:
            if follower in (Status.new, BY_ASSIGNMENT):
                yield f"{follower} cannot be said to follow: leads arrive as new and are assigned by being given"
            elif follower is status:
                yield f"{status} cannot follow itself"
            elif status in TERMINAL and follower not in rules.FOLLOWS[status]:
                yield f"{status} ends a cycle: only {_list(rules.FOLLOWS[status])} may follow"
    if Status.won in wanted.follows and Status.lost not in wanted.follows[Status.won]:
        yield "lost must stay possible after won: a sale can be cancelled"
    machine = Machine.of(wanted)
    for status in Status:
        if status not in TERMINAL and not TERMINAL & machine.reachable(status):
            yield f"{status} is a dead end: no way leads on to {_list(TERMINAL)}"
    for end in TERMINAL - machine.reachable(BY_ASSIGNMENT):
        yield f"{end} cannot be reached"
    for status in {Status.new, BY_ASSIGNMENT} & wanted.required.keys():
        yield f"{status} can require nothing: nobody is asked when it begins"
    if Needed.reason in wanted.required.get(Status.won, ()):
        yield "won cannot require a reason: a sale has none"
    for status in (Status.lost, Status.recycled):
        if Needed.quote in wanted.required.get(status, ()):
            yield f"{status} cannot require a quote"


def _list(statuses: Iterable[Status]) -> str:
    return ", ".join(sorted(statuses)) or "nothing"


@dataclass(frozen=True, slots=True)
class Machine:
    """A tenant's machine as the operations ask it."""

    follows: Mapping[Status, frozenset[Status]]
    required: Mapping[Status, frozenset[Needed]]
    labels: Mapping[Status, Names]
    loss_reasons: Mapping[str, Names]

    @classmethod
    def of(cls, wanted: Lifecycle) -> "Machine":
        """Return the machine of a setting: what it names over what the product comes with."""
        follows = dict(rules.FOLLOWS) | {status: frozenset(each) for status, each in wanted.follows.items()}
        follows[Status.new] |= {BY_ASSIGNMENT}
        required = {status: frozenset(wanted.required.get(status, ())) for status in Status}
        required[Status.lost] |= {Needed.reason}
        return cls(
            follows=follows,
            required=required,
            labels={status: Names(**label) for status, label in rules.LABELS.items()} | wanted.labels,
            loss_reasons=wanted.loss_reasons or LOSS_REASONS,
        )

    def may_become(self, current: Status, wanted: Status) -> bool:
        """Tell whether a lead may go from one status to another."""
        return wanted in self.follows[current]

    def choices(self, current: Status) -> list[Status]:
        """Return the statuses a person may move a lead to from here, in the order of the catalogue."""
        return [each for each in Status if each in self.follows[current] and each is not BY_ASSIGNMENT]

    def missing(self, wanted: Status, given: Iterable[Needed]) -> list[Needed]:
        """Return what a status asks for and was not given, in the order of the catalogue."""
        return [each for each in Needed if each in self.required[wanted] - set(given)]

    def reachable(self, start: Status) -> frozenset[Status]:
        """Return every status that some way leads to, the start left out unless a way comes back to it."""
        seen: set[Status] = set()
        ahead = set(self.follows[start])
        while ahead:
            seen |= ahead
            ahead = set().union(*(self.follows[status] for status in ahead)) - seen
        return frozenset(seen)


LIFECYCLE = tenant_settings.declare(
    "lead.lifecycle",
    Lifecycle,
    Lifecycle(),
    tr="Başvuru durumları: geçişler, zorunlu alanlar, kayıp nedenleri, adlar",
    en="Lead statuses: transitions, required fields, loss reasons, labels",
)

DEFAULT = Machine.of(LIFECYCLE.default)

SETTING = (
    "(select s.value::text from crm.tenant_setting s where s.tenant_id = {tenant} and s.key = 'lead.lifecycle'"
    " and s.valid_from <= {at} order by s.valid_from desc, s.id desc limit 1)"
)
"""The setting as JSON text, to be read inside a statement that is sent anyway."""


@lru_cache(maxsize=256)
def _read(text: str) -> Machine:
    return Machine.of(LIFECYCLE.kind.validate_json(text))


def read(text: str | None) -> Machine:
    """Return the machine of a setting's JSON text (`SETTING`), the product's own when there is none."""
    return DEFAULT if text is None else _read(text)


async def of(tx: Tx, *, at: datetime) -> Machine:
    """Return the tenant's machine as it was set at an instant (UTC)."""
    sql = SETTING.format(tenant="$1::uuid", at="$2::timestamptz")
    return read(await tx.fetchval(f"select {sql}", tx.actor.tenant_id, at))


class BadTransition(errors.Conflict):
    """A lead in this status cannot become that."""

    code = "lead.transition"


class FieldsMissing(errors.Invalid):
    """This status needs more than was given."""

    code = "lead.fields_missing"


class UnknownReason(errors.Invalid):
    """This reason of a loss is not in the firm's catalogue."""

    code = "lead.reason_unknown"


def require_transition(machine: Machine, current: Status, wanted: Status) -> None:
    """:raises BadTransition: when the machine has no such way; it says which ways there are."""
    if not machine.may_become(current, wanted):
        possible = _list(machine.choices(current))
        raise BadTransition(
            f"a lead that is {current} cannot become {wanted}; possible: {possible}",
            fields={"status": f"possible from {current}: {possible}"},
        )


def require_fields(machine: Machine, wanted: Status, given: Mapping[Needed, Any]) -> None:
    """:raises FieldsMissing: when something the status asks for was not given; it says all that is missing."""
    if missing := machine.missing(wanted, [name for name, value in given.items() if value]):
        raise FieldsMissing(
            f"{wanted} needs {', '.join(missing)}", fields={name.value: f"required for {wanted}" for name in missing}
        )


def require_known_reason(machine: Machine, wanted: Status, reason: str | None) -> None:
    """:raises UnknownReason: when a lead would be lost for a reason that is not in the catalogue."""
    if wanted is Status.lost and reason is not None and reason not in machine.loss_reasons:
        raise UnknownReason(
            f"{reason} is no reason of a loss here", fields={"reason": f"one of {', '.join(machine.loss_reasons)}"}
        )
