"""What a dialling campaign is to do, as people design it: checked, stored, and read back."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import available_timezones

from pydantic import Field, StringConstraints

from crm import codes, phone, tenant_settings
from crm.calendars.rules import Calendar, Hours
from crm.consent.rules import Purpose
from crm.db import to_json
from crm.dialling import schedule
from crm.dialling.rules import BY_AGENTS, DEFAULT_RETRY, SHORTEST_RING_S, Again, Ending, Mode, Retry

LEGAL_CAP = 0.03
"""The highest share of live answers that may be abandoned (16 CFR 310.4(b)(4)(i))."""
LONGEST_RING_S = 120
SHORTEST_LOCK_OUT = timedelta(hours=1)
LONGEST_COOL_DOWN = timedelta(days=90)
ON_MACHINE = ("hang_up", "leave_message")
LONGEST_NAME = 200
CALLER_IDS: tenant_settings.Setting[list[str]] = tenant_settings.declare(
    "dialling.caller_ids",
    Annotated[list[Annotated[str, StringConstraints(pattern=r"^\+[1-9][0-9]{6,14}$")]], Field(max_length=1000)],
    [],
    tr="Kampanyaların gösterebileceği, firmaya ait numaralar (boşsa santralin izin verdikleri)",
    en="The firm's own numbers, which campaigns may show (none named: whatever the exchange allows)",
)
"""Who shows a number of somebody else's misleads whom they call, and breaks the law."""


@dataclass(frozen=True, slots=True)
class Design:
    """How a campaign dials.

    `queue`: the code of the queue that answered calls go to; campaigns that dial by themselves need one. `caller_id`:
    the number shown, E.164; None: the exchange's own. `cap`: the highest share of live answers that may be abandoned.
    `calls_per_s`, `most_lines`: None: as many as the exchange bears. `windows`: when it dials by its own clock
    (`timezone`); none: whenever the people may be called. `safe_harbour`, `machine_message`: codes of announcements.
    `lock_out_h`: hours without a call after an abandonment. `preview_s`: seconds an agent has to look at a lead.
    `team_id`: whose agents work it by hand; None: anybody's.
    """

    name: str
    mode: Mode
    timezone: str
    purpose: Purpose = Purpose.enquiry
    queue: str | None = None
    caller_id: str | None = None
    cap: float = LEGAL_CAP
    ring_s: int = 25
    detects_machines: bool = False
    on_machine: str = "hang_up"
    machine_message: str | None = None
    safe_harbour: str = "safe-harbour"
    power_ratio: float = 1.5
    calls_per_s: float | None = None
    most_lines: int | None = None
    windows: tuple[Hours, ...] = ()
    retry: Retry = DEFAULT_RETRY
    lock_out_h: int = 72
    preview_s: int = 60
    team_id: UUID | None = None

    @property
    def opening(self) -> Calendar:
        """When it dials."""
        return schedule.calendar(self.windows, self.timezone)

    @property
    def lock_out(self) -> timedelta:
        """How long somebody is left alone after an abandonment."""
        return timedelta(hours=self.lock_out_h)


FIELDS = tuple(Design.__dataclass_fields__)
TYPES: Mapping[str, str] = MappingProxyType(
    {
        "cap": "float8", "ring_s": "int", "detects_machines": "boolean", "power_ratio": "float8",
        "calls_per_s": "float8", "most_lines": "int", "windows": "jsonb", "retry": "jsonb", "lock_out_h": "int",
        "preview_s": "int", "team_id": "uuid",
    }
)  # fmt: skip
"""SQL types of the columns that are not text."""


def wrong_with(design: Design) -> dict[str, str]:
    """Return what is wrong with a design, by field; nothing when it can be run."""
    return dict((*_wrong_words(design), *_wrong_numbers(design), *_wrong_machines(design), *_wrong_retry(design.retry)))


def _wrong_words(design: Design) -> Iterator[tuple[str, str]]:
    if not 1 <= len(design.name.strip()) <= LONGEST_NAME:
        yield "name", f"1 to {LONGEST_NAME} characters"
    if design.timezone not in available_timezones():
        yield "timezone", "as Europe/Istanbul"
    if design.queue is None and design.mode not in BY_AGENTS:
        yield "queue", "where answered calls go: needed when calls begin by themselves"
    if design.caller_id is not None and not _is_number(design.caller_id):
        yield "caller_id", "a phone number as +902121234567"
    if not codes.CODE.fullmatch(design.safe_harbour):
        yield "safe_harbour", "the code of an announcement"
    if len(design.windows) > schedule.MOST_WINDOWS:
        yield "windows", f"at most {schedule.MOST_WINDOWS}"


def _is_number(text: str) -> bool:
    try:
        return phone.parse(text) == text
    except phone.NotAPhone:
        return False


def _wrong_numbers(design: Design) -> Iterator[tuple[str, str]]:
    if not 0.001 <= design.cap <= LEGAL_CAP:
        yield "cap", f"0.001 to {LEGAL_CAP}: the law allows no more"
    if not SHORTEST_RING_S <= design.ring_s <= LONGEST_RING_S:
        yield "ring_s", f"{SHORTEST_RING_S} to {LONGEST_RING_S}: whom it rings shall have time to answer"
    if not 1 <= design.power_ratio <= 10:
        yield "power_ratio", "1 to 10"
    if design.calls_per_s is not None and not 0.01 <= design.calls_per_s <= 1000:
        yield "calls_per_s", "0.01 to 1000"
    if design.most_lines is not None and not 1 <= design.most_lines <= 10_000:
        yield "most_lines", "1 to 10000"
    if not SHORTEST_LOCK_OUT <= design.lock_out <= LONGEST_COOL_DOWN:
        yield "lock_out_h", "1 to 2160"
    if not 5 <= design.preview_s <= 3600:
        yield "preview_s", "5 to 3600"


def _wrong_machines(design: Design) -> Iterator[tuple[str, str]]:
    if design.on_machine not in ON_MACHINE:
        yield "on_machine", f"one of {', '.join(ON_MACHINE)}"
    if design.detects_machines and design.mode in BY_AGENTS:
        yield "detects_machines", "an agent who is on the line hears a machine"
    if design.on_machine == "leave_message" and design.machine_message is None:
        yield "machine_message", "which announcement is left"
    if design.machine_message is not None and not codes.CODE.fullmatch(design.machine_message):
        yield "machine_message", "the code of an announcement"


def _wrong_retry(retry: Retry) -> Iterator[tuple[str, str]]:
    if not 1 <= retry.most <= 100:
        yield "retry.most", "1 to 100"
    if Ending.reached in retry.after:
        yield "retry.after.reached", "who was spoken with is called again by a callback, not by the campaign"
    for ending, again in retry.after.items():
        if not timedelta(seconds=30) <= again.cool_down <= LONGEST_COOL_DOWN:
            yield f"retry.after.{ending}.cool_down_s", "30 to 7776000"
        if not 1 <= again.most <= 100:
            yield f"retry.after.{ending}.most", "1 to 100"


def values_of(design: Design) -> list[Any]:
    """Return a design as the columns `FIELDS` of its row."""
    stored = {name: getattr(design, name) for name in FIELDS}
    stored["mode"], stored["purpose"] = design.mode.value, design.purpose.value
    stored["windows"] = to_json(schedule.stored(design.windows))
    stored["retry"] = to_json(stored_retry(design.retry))
    return list(stored.values())


def of_row(row: Mapping[str, Any]) -> Design:
    """Return the design of a campaign's row."""
    held = {name: row[name] for name in FIELDS}
    held["mode"], held["purpose"] = Mode(row["mode"]), Purpose(row["purpose"])
    held["windows"] = schedule.windows_of(row["windows"])
    held["retry"] = retry_of(row["retry"])
    return Design(**held)


def stored_retry(retry: Retry) -> dict[str, Any]:
    """Return a strategy as it is stored and sent."""
    after = {
        ending.value: {"cool_down_s": int(again.cool_down.total_seconds()), "most": again.most}
        for ending, again in retry.after.items()
    }
    return {"most": retry.most, "after": after}


def retry_of(stored: Mapping[str, Any]) -> Retry:
    """Return the strategy that is stored so."""
    after = {
        Ending(ending): Again(timedelta(seconds=again["cool_down_s"]), again["most"])
        for ending, again in stored["after"].items()
    }
    return Retry(stored["most"], MappingProxyType(after))
