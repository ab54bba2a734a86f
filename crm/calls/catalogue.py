"""What agents may say came of a call: a firm's dispositions, and those of processes that have their own.

A disposition means something for the lead: the status it comes to, where the machine has a way there. It may ask for a
note, or for when to call back. Pure but for `of`, which reads the setting.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from crm import errors, tenant_settings
from crm.db import Tx
from crm.leads.lifecycle import BY_ASSIGNMENT, Names
from crm.leads.rules import RANK, STAGE, Status

Code = Annotated[str, StringConstraints(pattern="^[a-z0-9][a-z0-9_.-]{0,59}$")]

FORCED = "none"
"""What a call is given at the end of its wrap-up when nobody said anything. It says nothing of the lead."""


class Needed(StrEnum):
    """What a disposition may ask for."""

    note = "note"
    callback_at = "callback_at"


class Disposition(BaseModel):
    """One of them.

    `status`: what the lead becomes; `at_least`: only if it is not as far yet. `party`: who, or what, answered, where it
    says so: the person meant, somebody else, a machine. `opts_out`: the person wants no more such calls.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    labels: Names
    status: Status | None = None
    at_least: bool = False
    loss_reason: Code | None = None
    party: Literal["right", "wrong", "machine"] | None = None
    opts_out: bool = False
    needs: tuple[Needed, ...] = ()

    @model_validator(mode="after")
    def _holds_together(self) -> "Disposition":
        if self.status in (Status.new, BY_ASSIGNMENT):
            raise ValueError(f"{self.status} is no outcome of a call")
        if (self.status is Status.lost) is not (self.loss_reason is not None):
            raise ValueError("a loss has a reason, and nothing else has one")
        return self

    def moves(self, current: Status) -> bool:
        """Tell whether a lead that stands there is to be moved at all."""
        if self.status is None or self.status is current:
            return False
        here, there = STAGE[current], STAGE[self.status]
        return not self.at_least or here is None or there is None or RANK[here] < RANK[there]


def _d(tr: str, en: str, status: Status | None = None, **more: object) -> Disposition:
    return Disposition.model_validate({"labels": {"tr": tr, "en": en}, "status": status, **more})


DEFAULT: Mapping[str, Disposition] = {
    "interested": _d("İlgili", "Interested", Status.interested, party="right", at_least=True),
    "not_interested": _d("İlgisiz", "Not interested", Status.not_interested, party="right"),
    "no_answer": _d("Cevapsız", "No answer", Status.no_answer),
    "busy": _d("Meşgul", "Busy", Status.no_answer),
    "voicemail": _d("Telesekreter", "Voicemail", Status.no_answer, party="machine"),
    "wrong_number": _d("Yanlış Numara", "Wrong number", Status.wrong_number, party="wrong"),
    "blocked": _d("Block", "Blocked", Status.blocked),
    "information": _d("Bilgi verildi", "Information given", Status.contacted, at_least=True, party="right"),
    "callback": _d(
        "Tekrar aranacak", "Call back", Status.contacted, at_least=True, party="right", needs=(Needed.callback_at,)
    ),
    "appointment": _d("Randevu", "Appointment", Status.qualified, at_least=True, party="right"),
    "opted_out": _d(
        "Aranmak istemiyor", "Wants no calls", Status.lost, loss_reason="opted_out", party="right", opts_out=True
    ),
    "other": _d("Diğer", "Other", needs=(Needed.note,)),
}
"""What a firm begins with."""


class Catalogue(BaseModel):
    """What a firm sets: its dispositions (none: the product's), and those of processes by their key, in their place."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    default: Annotated[dict[Code, Disposition], Field(max_length=100)] = Field(default_factory=dict)
    by_process: Annotated[dict[Code, dict[Code, Disposition]], Field(max_length=200)] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _leaves_ours_alone(self) -> "Catalogue":
        if any(FORCED in each for each in (self.default, *self.by_process.values())):
            raise ValueError(f"{FORCED} is what calls get that nobody disposed of")
        return self

    def choices(self, process: str | None) -> Mapping[str, Disposition]:
        """Return what may be said of a call of a process (its key)."""
        own = self.by_process.get(process) if process else None
        return own or self.default or DEFAULT


DISPOSITIONS = tenant_settings.declare(
    "call.dispositions",
    Catalogue,
    Catalogue(),
    tr="Görüşme sonuçları: adlar, başvuru durumları, süreçlere göre",
    en="Dispositions of calls: labels, lead statuses, by process",
)


class UnknownDisposition(errors.Invalid):
    """This disposition is not in the firm's catalogue."""

    code = "call.disposition_unknown"


class DispositionIncomplete(errors.Invalid):
    """This disposition needs more than was given."""

    code = "call.disposition_incomplete"


PROCESS = """
select p.key from crm.process_version v join crm.process p on p.tenant_id = v.tenant_id and p.id = v.process_id
 where v.tenant_id = $1::uuid and v.id = $2::uuid
"""


async def of(tx: Tx, process_version_id: UUID | None, *, at: datetime) -> Mapping[str, Disposition]:
    """Return what may be said of a call of a process's version at an instant (UTC)."""
    catalogue = await tenant_settings.value(tx, DISPOSITIONS, at=at)
    if process_version_id is None:
        return catalogue.choices(None)
    return catalogue.choices(await tx.fetchval(PROCESS, tx.actor.tenant_id, process_version_id))


def find(
    choices: Mapping[str, Disposition], code: str, *, note: str | None, callback_at: datetime | None, now: datetime
) -> Disposition:
    """Return a disposition that was given all it asks for.

    :raises UnknownDisposition: when it is none of them; it says which there are.
    :raises DispositionIncomplete: when something is missing, or calling back lies in the past.
    """
    if code not in choices:
        raise UnknownDisposition(fields={"code": f"one of {', '.join(choices)}"})
    given = {Needed.note: bool(note and note.strip()), Needed.callback_at: callback_at is not None}
    missing = {need.value: f"required for {code}" for need in choices[code].needs if not given[need]}
    if callback_at is not None and callback_at <= now:
        missing["callback_at"] = "lies in the past"
    if missing:
        raise DispositionIncomplete(fields=missing)
    return choices[code]
