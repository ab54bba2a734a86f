"""Call processes as they travel."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from api.schemas import Body, Line, Note, Read
from api.schemas.profiles import Code
from crm.processes.definition import Definition, Key, Value

Answers = Annotated[dict[Key, Value | None], Field(max_length=500)]


class LabelsBody(Body):
    """A name in both languages."""

    tr: Line
    en: Line


class ProcessCreate(Body):
    """A new process, with its first draft or without."""

    key: Key
    labels: LabelsBody
    definition: Definition | None = None


class DraftBody(Body):
    """The draft of the next version. It may be unsound until it is published."""

    definition: Definition


class RetireBody(Body):
    """What is retired."""

    version_no: int | None = Field(None, ge=1, le=1_000_000, description="One version; none: the whole process.")


class UseBody(Body):
    """Calls of one campaign, queue or purpose, and the process they follow."""

    campaign_id: UUID | None = None
    queue: Code | None = None
    purpose: Code | None = Field(None, description="click, campaign, callback or inbound.")
    process_id: UUID | None = Field(None, description="None: none of their own from now on.")
    experiment: Code | None = Field(None, description="An A/B test of scripts that chooses among versions.")


class PreviewBody(Body):
    """Answers to try a version with."""

    answers: Answers = Field({})


class AnswersBody(Body):
    """All answers of a call so far."""

    answers: Answers
    revision: int | None = Field(None, ge=0, le=1_000_000, description="The one that these are based on.")


class RevealBody(Body):
    """Why somebody looks."""

    reason: Note


class ProcessRead(Read):
    """A process."""

    id: UUID
    key: str
    labels: dict[str, str]
    version_no: int | None = Field(description="The version that calls get now; null: none is published.")
    draft_no: int | None = Field(description="The version that is being drafted.")
    created_by: UUID | None
    created_at: datetime
    updated_at: datetime
    retired_at: datetime | None


class VersionShort(Read):
    """One version of a process, without what it holds."""

    id: UUID
    process_id: UUID
    version_no: int
    status: str = Field(description="draft, published or retired.")
    created_by: UUID | None
    created_at: datetime
    updated_at: datetime
    published_by: UUID | None
    published_at: datetime | None
    retired_at: datetime | None


class VersionRead(VersionShort):
    """One version of a process."""

    definition: Definition
    problems: dict[str, str] = Field(description="What keeps it from being published, by field; empty: nothing.")


class UseRead(Read):
    """Which calls follow a process."""

    id: UUID
    campaign_id: UUID | None
    queue: str | None
    purpose: str | None
    process_id: UUID
    process: str
    experiment: str | None
    valid_from: datetime
    set_by: UUID | None


class ChoiceShown(Read):
    """One of the answers to choose from."""

    key: str
    label: dict[str, str]


class QuestionShown(Read):
    """A question, worded for this call, with its answer."""

    key: str
    kind: str
    label: dict[str, str]
    is_required: bool
    choices: list[ChoiceShown]
    least: float | None
    most: float | None
    answer: bool | int | float | str | None


class StepShown(Read):
    """A step on the way, worded for this call."""

    key: str
    text: dict[str, str]
    questions: list[QuestionShown]


class WalkRead(Read):
    """How far answers lead."""

    path: list[StepShown] = Field(description="The steps in their order; the last one waits, or is the end.")
    at_step: str | None = Field(description="The step that waits for answers; null: the process has ended.")
    disposition: str | None = Field(description="What the end suggests for the call.")
    dropped: list[str] = Field(description="Answers to questions off the path, which are not kept.")


class RunRead(WalkRead):
    """How far a call has come in the process it started with."""

    call_id: UUID
    process: str
    process_version_id: UUID
    version_no: int
    revision: int = Field(description="0: nothing is saved yet.")
    saved_at: datetime | None


class WrittenRead(Read):
    """Answers in the customer's own words, as they were written."""

    answers: dict[str, bool | int | float | str]
