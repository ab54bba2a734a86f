"""What mappings of every kind of file are made of: how a file is written, and where a field's value comes from."""

from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from crm import errors


class MappingInvalid(errors.Invalid):
    """The mapping cannot be used."""

    code = "import.mapping-invalid"


def fold(value: str) -> str:
    """Return a value as tables of values compare it: one space between words, letter case ignored."""
    return " ".join(value.split()).casefold()


def folded(table: Any) -> Any:
    """Return a table of values by their folded form; see `fold`."""
    return {fold(str(value)): meaning for value, meaning in table.items()} if isinstance(table, dict) else table


def as_column(given: Any) -> Any:
    """Return what a field is given as the whole form of a column: a name or a list of them is short for it."""
    return {"column": given} if isinstance(given, str | list) else given


class Part(BaseModel):
    """A part of a mapping: what it has no setting for is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Column(Part):
    """Where a field's value comes from: a column, several joined by a space, or (where they are blank) a constant."""

    column: Annotated[list[str], BeforeValidator(lambda given: [given] if isinstance(given, str) else given)] = []
    value: str = ""
    fold: Literal["", "lower"] = ""
    empty_values: list[str] = []
    """What stands for nothing here, beside what does in the whole file."""


class Instant(Column):
    """An instant: `format` is `iso` (ISO 8601), `excel` (days as spreadsheets count them, or ISO) or strptime's.

    `zone` holds where the text names none.
    """

    format: str = "iso"
    zone: str = "UTC"

    @field_validator("zone")
    @classmethod
    def _known(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError("is no time zone: write one like Europe/Istanbul") from error
        return zone


From = Annotated[Column, BeforeValidator(as_column)]
When = Annotated[Instant, BeforeValidator(as_column)]


class FileMapping(Part):
    """How a kind of file is written, whatever its rows become."""

    kind: str
    source: str = Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")
    """The name under which the file's outside ids are unique, as in `x_education`."""
    encoding: str = "utf-8"
    delimiter: str = Field(",", min_length=1, max_length=1)
    sheet: str | None = None
    """The sheet of a workbook; the first one when not given."""
    unwrap_quoted_rows: bool = False
    """Whether a row that is one whole record wrapped in quotes (a spreadsheet's accident) is mended or reported."""
    empty_values: list[str] = []
    """What stands for nothing, beside the empty cell."""

    @field_validator("encoding")
    @classmethod
    def _known(cls, encoding: str) -> str:
        try:
            "".encode(encoding)
        except LookupError as error:
            raise ValueError("is no encoding: write one like utf-8 or windows-1254") from error
        return encoding

    @cached_property
    def columns(self) -> frozenset[str]:
        """The columns a file must have."""
        return frozenset(self._columns())

    @property
    def personal(self) -> frozenset[str]:
        """The columns in which something stands by which a person can be found."""
        return frozenset()

    def _columns(self) -> Iterator[str]:
        raise NotImplementedError
