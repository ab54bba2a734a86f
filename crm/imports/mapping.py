"""A mapping says how the columns of a file become leads, or calls. It is YAML; what is wrong is told in sentences."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BeforeValidator, Field, ValidationError

from crm.imports.call_mapping import CallMapping
from crm.imports.parts import Column, FileMapping, From, Instant, MappingInvalid, Part, When, as_column, folded
from crm.leads.rules import Status

SHIPPED = Path(__file__).resolve().parents[2] / "ingestion" / "mappings"
"""The mappings that come along, each under the name of its source."""
NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


def _outcome(given: Any) -> Any:
    return {"status": given} if isinstance(given, str) else given


class Fields(Part):
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


class ConsentColumn(Part):
    """A column that says whether one channel may be used: its values and what each means; other values say nothing."""

    column: str
    channel: Literal["call", "email", "sms", "whatsapp"]
    values: Annotated[dict[str, Literal["granted", "denied"]], BeforeValidator(folded)]


class Outcome(Part):
    """What a value of a status column means."""

    status: Status
    loss_reason: str | None = Field(None, pattern=r"^[a-z0-9][a-z0-9_.-]{0,59}$")


class StatusColumn(Part):
    """A column that says where a lead stands. The first table that knows its row's value decides.

    `others`: values not in the table are noted (counted and listed with the report) or ignored; blank says nothing.
    """

    column: str
    values: Annotated[dict[str, Annotated[Outcome, BeforeValidator(_outcome)]], BeforeValidator(folded)]
    others: Literal["note", "ignore"] = "note"


class Tags(Part):
    """A column of tags, divided by `split` where one cell holds several; `value` tags every row of the file."""

    column: str = ""
    split: str = ""
    value: str = ""


class Mapping(FileMapping):
    """How a kind of file becomes leads of a source."""

    kind: Literal["leads"] = "leads"
    default_country: str = Field("", pattern=r"^([A-Z]{2})?$")
    """Where numbers without a country code are from (ISO 3166, two letters); the firm's own country when not given."""
    allow_anonymous: bool = False
    """Whether a row without phone and e-mail is a lead too (of a person nobody can reach)."""
    fields: Fields = Fields()
    consents: list[ConsentColumn] = Field(default_factory=list)
    status: list[StatusColumn] = Field(default_factory=list)
    tags: list[Annotated[Tags, BeforeValidator(as_column)]] = Field(default_factory=list)
    attributes: Annotated[
        dict[str, str],
        BeforeValidator(lambda given: {each: each for each in given} if isinstance(given, list) else given),
    ] = Field(default_factory=dict)
    """What else is kept with a lead: name → column, or a list of columns kept under their own names."""

    @property
    def personal(self) -> frozenset[str]:
        """The columns of phone numbers and e-mail addresses."""
        return frozenset((*self.fields.phone.column, *self.fields.email.column))

    def _columns(self) -> Iterator[str]:
        for field in Fields.model_fields:
            yield from getattr(self.fields, field).column
        yield from (each.column for each in self.consents)
        yield from (each.column for each in self.status)
        yield from (each.column for each in self.tags if each.column)
        yield from self.attributes.values()


KINDS: dict[str, type[FileMapping]] = {"leads": Mapping, "calls": CallMapping}
"""What the rows of files can become."""


def parse(text: str) -> FileMapping:
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


def named(name: str) -> FileMapping:
    """Return a mapping that comes along.

    :raises MappingInvalid: when there is none of that name.
    """
    path = SHIPPED / f"{name}.yaml"
    if not NAME.fullmatch(name) or not path.is_file():
        known = ", ".join(sorted(each.stem for each in SHIPPED.glob("*.yaml")))
        raise MappingInvalid(f"there is no mapping of that name; there are: {known}", fields={"mapping": "unknown"})
    return parse(path.read_text(encoding="utf-8"))


def of(given: Any) -> FileMapping:
    """Return the mapping that plain data describes; see `parse`. One that does not say what for is for leads."""
    kind = given.get("kind", "leads")
    if kind not in KINDS:
        raise MappingInvalid(fields={"kind": f"one of {', '.join(KINDS)}"})
    try:
        return KINDS[kind].model_validate(given)
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


def require_kind(mapping: FileMapping, kind: str) -> FileMapping:
    """Return a mapping that is of a kind.

    :raises MappingInvalid: when it is for other things.
    """
    if mapping.kind != kind:
        raise MappingInvalid(
            f"the mapping is for {mapping.kind}, not for {kind}", fields={"mapping": "of another kind"}
        )
    return mapping
