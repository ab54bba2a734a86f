"""What a queue is set to: its promise, its people, its order, its ways out. No database, no clock.

Seconds are seconds of the clock on the wall; settings are dated, and a caller is judged by those of the instant at
which they began to wait.
"""

from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,59}$")]
Label = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True, pattern=r"^[^\x00]+$")]
DAY_S = 86_400
Seconds = Annotated[int, Field(ge=0, le=DAY_S)]

SL_S = 20
"""Seconds within which an answer counts as in time, where nobody said otherwise."""
SHORT_S = 5
"""Seconds up to which giving up counts as a mistake of the caller's, where nobody said otherwise."""
STEP_S = 90
"""Seconds of waiting that one step of priority is worth, where nobody said otherwise: a priority caller is queued as if
they had come so much earlier, as the bank of Brown et al. did ("Statistical Analysis of a Telephone Call Center",
JASA 100, 2005)."""
MOST_PRIORITY = 20


def _zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError("not an IANA time zone, as Europe/Istanbul")
    return name


class Outcome(StrEnum):
    """How a caller's stay in a queue went."""

    waiting = "waiting"
    answered = "answered"
    abandoned = "abandoned"
    callback = "callback"
    overflow = "overflow"
    timeout = "timeout"
    system = "system"
    """Nobody's decision: refused by the exchange, sent away outside opening hours, lost."""


class Way(BaseModel):
    """Where a caller goes who is not to wait here any longer."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    to: Literal["queue", "callback", "message"]
    queue: Code | None = None
    """The other queue's code."""
    prompt: Code | None = None
    """The message they hear before the exchange hangs up."""

    @model_validator(mode="after")
    def _whole(self) -> "Way":
        if (self.queue is None) is (self.to == "queue"):
            raise ValueError("a queue is named where, and only where, the way leads to one")
        if (self.prompt is None) is (self.to == "message"):
            raise ValueError("a prompt is named where, and only where, the way is a message")
        return self


class Overflow(BaseModel):
    """When a caller is sent another way: when all that is said here holds at once."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    after_s: Annotated[int, Field(ge=1, le=DAY_S)] | None = None
    """The caller has waited so long."""
    beyond: Annotated[int, Field(ge=0, le=10_000)] | None = None
    """More callers than these wait before them."""
    service_level_below: Annotated[float, Field(gt=0, le=1)] | None = None
    """The live service level is lower, and known of `calls` calls at least."""
    calls: Annotated[int, Field(ge=1, le=1000)] = 1
    way: Way

    @model_validator(mode="after")
    def _says_when(self) -> "Overflow":
        if self.after_s is None and self.beyond is None and self.service_level_below is None:
            raise ValueError("says when: after_s, beyond or service_level_below")
        return self


class Need(BaseModel):
    """A skill that whoever answers must have, at least so well: 1 (learning) to 5 (expert)."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    skill: Code
    level: Annotated[int, Field(ge=1, le=5)] = 1


class Ring(BaseModel):
    """Who may answer once the longest-waiting caller has waited so long, besides those of the rings before.

    All needs must be met; no teams: those of every team.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    after_s: Seconds = 0
    needs: Annotated[tuple[Need, ...], Field(max_length=20)] = ()
    teams: Annotated[tuple[UUID, ...], Field(max_length=100)] = ()


class Announcements(BaseModel):
    """What callers hear while they wait; prompts are codes of sounds on the exchange."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    welcome: Code | None = None
    periodic: Code | None = None
    every_s: Annotated[int, Field(ge=10, le=3600)] = 60
    says_position: bool = False
    says_wait: bool = False
    music: Code = "default"


class Settings(BaseModel):
    """What a queue is set to from an instant on."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    labels: dict[Literal["tr", "en"], Label]
    team_id: UUID | None = None
    """Whose calendar says when it is open, and in which zone its days are counted; none: the firm's."""
    hours: Literal["calendar", "always"] = "calendar"
    """Open by the calendar, or around the clock."""
    timezone: Annotated[str, AfterValidator(_zone)] | None = None
    """The zone in which its days are counted, when it is not the calendar's."""
    rings: Annotated[tuple[Ring, ...], Field(min_length=1, max_length=10)] = (Ring(),)
    """Who may answer; everybody who is signed on, where nothing is said."""
    choice: Literal["best_skilled", "longest_idle"] = "longest_idle"
    """Who of several free agents of a ring gets the call."""
    priority: Annotated[int, Field(ge=0, le=MOST_PRIORITY)] = 0
    """Steps of priority that its callers have over those of a call without any."""
    step_s: Annotated[int, Field(ge=1, le=3600)] = STEP_S
    """Seconds of waiting that a step of priority is worth."""
    sl_s: Annotated[int, Field(ge=1, le=3600)] | None = None
    """Seconds within which an answer is in time; none: the firm's setting."""
    short_s: Annotated[int, Field(ge=0, le=3600)] | None = None
    """Seconds up to which giving up does not count (0: it always does); none: the firm's setting."""
    sl_target: Annotated[float, Field(gt=0, le=1)] | None = None
    """The share that is to be answered in time; none: the firm's setting."""
    max_wait_s: Annotated[int, Field(ge=1, le=DAY_S)] | None = None
    """After so many seconds a caller takes the last resort."""
    max_length: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Who comes when so many wait takes the last resort."""
    overflow: Annotated[tuple[Overflow, ...], Field(max_length=20)] = ()
    """Rules in their order; the first that holds, and whose way can be gone, sends a caller on."""
    last_resort: Way = Way(to="message", prompt="all-busy")
    """The way of those who have waited `max_wait_s`, or come when `max_length` callers wait."""
    when_closed: Way | None = Way(to="message", prompt="closed")
    """The way of those who come outside opening hours; none: they wait."""
    announcements: Announcements = Announcements()

    @model_validator(mode="after")
    def _is_sound(self) -> "Settings":
        if set(self.labels) != {"tr", "en"}:
            raise ValueError("labels in Turkish (tr) and English (en)")
        if self.rings[0].after_s != 0:
            raise ValueError("the first ring answers at once: its after_s is 0")
        opens = [ring.after_s for ring in self.rings]
        if opens != sorted(set(opens)):
            raise ValueError("each ring opens later than the one before")
        # Each may be left to the firm's own setting; what is said of both must fit.
        if self.short_s is not None and self.short_s > (SL_S if self.sl_s is None else self.sl_s):
            raise ValueError("short_s must not be over sl_s")
        return self
