"""A mapping says how the columns of a file become leads. It is YAML; what is wrong with one is told in sentences."""

import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from crm import errors
from crm.leads.rules import Status

SHIPPED = Path(__file__).resolve().parents[2] / "ingestion" / "mappings"
"""The mappings that come along, each under the name of its source."""
NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


class MappingInvalid(errors.Invalid):
    """The mapping cannot be used."""

    code = "import.mapping-invalid"


def fold(value: str) -> str:
    """Return a value as tables of values compare it: one space between words, letter case ignored."""
    return " ".join(value.split()).casefold()


def _folded(table: Any) -> Any:
    return {fold(str(value)): meaning for value, meaning in table.items()} if isinstance(table, dict) else table


def _column(given: Any) -> Any:
    return {"column": given} if isinstance(given, str | list) else given


def _outcome(given: Any) -> Any:
    return {"status": given} if isinstance(given, str) else given


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Column(_Part):
    """Where a field's value comes from: a column, several joined by a space, or (where they are blank) a constant."""

    column: Annotated[list[str], BeforeValidator(lambda given: [given] if isinstance(given, str) else given)] = []
    value: str = ""
    fold: Literal["", "lower"] = ""


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


From = Annotated[Column, BeforeValidator(_column)]
When = Annotated[Instant, BeforeValidator(_column)]


class Fields(_Part):
    """The fields of a lead that a file may fill."""

    name: From = Column()
    phone: From = Column()
    email: From = Column()
    country: From = Column()
    language: From = Column()
    external_id: From = Column()
    platform: From = Column()
    campaign: From = Column()
    adset: From = Column()
    ad: From = Column()
    form: From = Column()
    keyword: From = Column()
    geography: From = Column()
    loss_reason: From = Column()
    acquired_at: When = Instant()


class ConsentColumn(_Part):
    """A column that says whether one channel may be used: its values and what each means; other values say nothing."""

    column: str
    channel: Literal["call", "email", "sms", "whatsapp"]
    values: Annotated[dict[str, Literal["granted", "denied"]], BeforeValidator(_folded)]


class Outcome(_Part):
    """What a value of a status column means."""

    status: Status
    loss_reason: str | None = Field(None, pattern=r"^[a-z0-9][a-z0-9_.-]{0,59}$")


class StatusColumn(_Part):
    """A column that says where a lead stands. The first table that knows its row's value decides.

    `others`: values not in the table are noted (counted and listed with the report) or ignored; blank says nothing.
    """

    column: str
    values: Annotated[dict[str, Annotated[Outcome, BeforeValidator(_outcome)]], BeforeValidator(_folded)]
    others: Literal["note", "ignore"] = "note"


class Tags(_Part):
    """A column of tags, divided by `split` where one cell holds several; `value` tags every row of the file."""

    column: str = ""
    split: str = ""
    value: str = ""


class Mapping(_Part):
    """How a kind of file becomes leads of a source."""

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
    default_country: str = Field("", pattern=r"^([A-Z]{2})?$")
    """Where numbers without a country code are from (ISO 3166, two letters); the firm's own country when not given."""
    allow_anonymous: bool = False
    """Whether a row without phone and e-mail is a lead too (of a person nobody can reach)."""
    fields: Fields = Fields()
    consents: list[ConsentColumn] = []
    status: list[StatusColumn] = []
    tags: list[Annotated[Tags, BeforeValidator(_column)]] = []
    attributes: Annotated[
        dict[str, str],
        BeforeValidator(lambda given: {each: each for each in given} if isinstance(given, list) else given),
    ] = {}
    """What else is kept with a lead: name → column, or a list of columns kept under their own names."""

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

    def _columns(self) -> Iterator[str]:
        for field in Fields.model_fields:
            yield from getattr(self.fields, field).column
        yield from (each.column for each in self.consents)
        yield from (each.column for each in self.status)
        yield from (each.column for each in self.tags if each.column)
        yield from self.attributes.values()


def parse(text: str) -> Mapping:
    """Return the mapping that a YAML text describes.

    :raises MappingInvalid: when it is no YAML or no mapping; the message and `fields` say what is wrong where.
    """
    try:
        # Every scalar is text: in plain YAML an unquoted Yes would be a boolean, and 007 a number.
        given = yaml.load(text, Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        raise MappingInvalid(f"the mapping is not YAML: {_first_line(error)}") from error
    if not isinstance(given, dict):
        raise MappingInvalid("the mapping is empty: it needs at least `source` and `fields`")
    return of(given)


def named(name: str) -> Mapping:
    """Return a mapping that comes along.

    :raises MappingInvalid: when there is none of that name.
    """
    path = SHIPPED / f"{name}.yaml"
    if not NAME.fullmatch(name) or not path.is_file():
        known = ", ".join(sorted(each.stem for each in SHIPPED.glob("*.yaml")))
        raise MappingInvalid(f"there is no mapping of that name; there are: {known}", fields={"mapping": "unknown"})
    return parse(path.read_text(encoding="utf-8"))


def of(given: Any) -> Mapping:
    """Return the mapping that plain data describes; see `parse`."""
    try:
        return Mapping.model_validate(given)
    except ValidationError as error:
        fields = {_place(each["loc"]): _sentence(each) for each in error.errors()}
        told = "; ".join(f"{place}: {sentence}" for place, sentence in fields.items())
        raise MappingInvalid(f"the mapping cannot be used: {told}", fields=fields) from error


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _place(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location) or "mapping"


def _sentence(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        return "there is no such setting"
    if error["type"] == "missing":
        return "is missing"
    message: str = error["msg"]
    return message.removeprefix("Value error, ")
