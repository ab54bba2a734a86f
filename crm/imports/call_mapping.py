"""How the columns of a file become calls that another system has handled."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BeforeValidator

from crm.imports.parts import Column, FileMapping, From, Instant, Part, When, folded


class Ending(StrEnum):
    """What a call of another system came to."""

    served = "served"
    """Somebody took it."""
    hung_up = "hung_up"
    """The caller hung up: in a queue when there is an instant of entering one, else in self-service before."""
    ignored = "ignored"
    """Not to be counted as a call at all."""


class CallFields(Part):
    """The fields of a call that a file may fill. Seconds are whole or broken numbers; times are instants."""

    external_id: From
    caller: From = Column()
    """The other system's own id of the person; kept as a keyed hash, by which repeated callers are known."""
    priority: From = Column()
    queue: From
    agent: From = Column()
    """Whom the other system names as having taken it; they need not work here."""
    began_at: When
    self_service_s: From = Column()
    enqueued_at: When = Instant()
    left_queue_at: When = Instant()
    wait_s: From = Column()
    answered_at: When = Instant()
    talk_s: From = Column()
    ended_at: When = Instant()


class EndingColumn(Part):
    """The column that says what a call came to; a row with another value is handed back."""

    column: str
    values: Annotated[dict[str, Ending], BeforeValidator(folded)]


class CallMapping(FileMapping):
    """How a kind of file becomes calls of a source."""

    kind: Literal["calls"]
    fields: CallFields
    ending: EndingColumn
    over_midnight: bool = False
    """Whether the file dates all times of a call by the day on which it began: what lies more than half a day before
    the begin is then of the day after."""

    @property
    def personal(self) -> frozenset[str]:
        """The columns of the other system's ids of people."""
        return frozenset(self.fields.caller.column)

    def _columns(self) -> Iterator[str]:
        for field in CallFields.model_fields:
            yield from getattr(self.fields, field).column
        yield self.ending.column
