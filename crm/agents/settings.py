"""What a tenant may set about its agents at the telephone."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from crm import tenant_settings
from crm.agents.rules import OWN_REASONS

Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,59}$")]
Label = Annotated[str, StringConstraints(min_length=1, max_length=60, strip_whitespace=True)]


class PauseReason(BaseModel):
    """Why an agent takes no calls. Shrinkage is split by its class: inside or outside work, planned or not."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: Code
    kind: Literal["internal", "external"]
    """Internal: at work for the firm (training, meeting); external: not working (break, meal)."""
    is_planned: bool
    tr: Label
    en: Label


class PauseReasons(BaseModel):
    """The catalogue: each code once, none that the system gives by itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reasons: Annotated[list[PauseReason], Field(min_length=1, max_length=50)]

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        codes = [each.code for each in self.reasons]
        if len(codes) != len(set(codes)):
            raise ValueError("each code once")
        if taken := OWN_REASONS & set(codes):
            raise ValueError(f"{', '.join(sorted(taken))}: given by the system itself")
        return self

    def find(self, code: str) -> PauseReason | None:
        """Return the reason of that code."""
        return next((each for each in self.reasons if each.code == code), None)


def _reason(code: str, kind: Literal["internal", "external"], tr: str, en: str, *, is_planned: bool) -> PauseReason:
    return PauseReason(code=code, kind=kind, is_planned=is_planned, tr=tr, en=en)


SYSTEM_REASONS = (
    _reason("missed_calls", "external", "Cevapsız çağrı", "Missed calls", is_planned=False),
    _reason("exchange", "external", "Telefondan mola", "Paused at the telephone", is_planned=False),
)
"""Reasons that are given by the system, never by a person."""

PAUSES: tenant_settings.Setting[PauseReasons] = tenant_settings.declare(
    "agent.pause_reasons",
    PauseReasons,
    PauseReasons(
        reasons=[
            _reason("break", "external", "Mola", "Break", is_planned=True),
            _reason("lunch", "external", "Yemek", "Meal", is_planned=True),
            _reason("personal", "external", "Kişisel", "Personal", is_planned=False),
            _reason("training", "internal", "Eğitim", "Training", is_planned=True),
            _reason("meeting", "internal", "Toplantı", "Meeting", is_planned=True),
            _reason("other_work", "internal", "Diğer iş", "Other work", is_planned=False),
            _reason("technical", "internal", "Teknik sorun", "Technical trouble", is_planned=False),
        ]
    ),
    tr="Temsilcilerin mola nedenleri",
    en="Why agents take no calls",
    told=lambda catalogue: [each.model_dump(include={"code", "kind", "is_planned"}) for each in catalogue.reasons],
)
MISSED_AT_MOST: tenant_settings.Setting[int] = tenant_settings.declare(
    "agent.missed_at_most",
    Annotated[int, Field(ge=0, le=50)],
    3,
    tr="Bu kadar cevapsız çağrıdan sonra temsilci molaya alınır (0: hiç alınmaz)",
    en="Calls missed in a row after which an agent is paused (0: never)",
)
SILENT_AFTER: tenant_settings.Setting[int] = tenant_settings.declare(
    "agent.silent_after_s",
    Annotated[int, Field(ge=10, le=55)],
    30,
    tr="Temsilcinin ekranından bu kadar saniye ses çıkmazsa yanıt vermiyor sayılır",
    en="Seconds without a sign of an agent's screen after which they count as not responding",
)
