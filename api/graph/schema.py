"""The GraphQL schema: types that translate, and resolvers that ask `api.questions` as REST does."""

from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import Any
from uuid import UUID

import strawberry
from pydantic import ValidationError
from strawberry.permission import BasePermission
from strawberry.scalars import JSON

from api import problems, questions
from api.graph import limits
from api.schemas.kpis import KpiAnswer, KpiQuery
from crm import errors
from crm.actor import Actor
from kpis.answers import MARKS


@dataclass(frozen=True, slots=True)
class Context:
    """Who asks, and when."""

    actor: Actor
    now: datetime


MOST_ROWS = 1_000
"""So many rows take a tenth of a second and more, in which nobody else is answered."""

Info = strawberry.Info[Context, None]


class SeesNumbers(BasePermission):
    """Whoever may ask for numbers, of the firm or of the own team."""

    permissions = ("kpi.view", "kpi.view.team")

    def has_permission(self, source: Any, info: Info, **arguments: Any) -> bool:
        """:raises Forbidden: when the actor holds none of the permissions."""
        info.context.actor.require_any(self.permissions)
        return True


class SeesAllNumbers(SeesNumbers):
    """Whoever may ask for the numbers of the whole firm."""

    permissions = ("kpi.view",)


@strawberry.type(description="One metric of the catalogue.")
class Metric:
    """One metric of the catalogue."""

    name: str
    label: str
    label_tr: str
    description: str
    description_tr: str
    unit: str
    formula: str
    edge_cases: list[str]
    owner: str
    section: int
    section_label: str
    section_label_tr: str
    maturity_days: int
    dimensions: list[str]
    always_by: list[str]
    source_status: str
    definition: str
    domains: list[str]
    as_of: datetime | None
    freshness_s: float | None

    @strawberry.field(permission_classes=[SeesAllNumbers], description="The SQL it compiles to, by day.")
    async def sql(self, info: Info) -> str | None:
        """Return the SQL of the metric."""
        return await questions.sql_of(info.context.actor, self.name)


@strawberry.input(description="A condition on a dimension: in, not_in, is_null, not_null, gt, gte, lt, lte.")
class FilterInput:
    """A condition on a dimension."""

    dim: str
    op: str = "in"
    values: list[str] = strawberry.field(default_factory=list)


@strawberry.input(description="A column of the answer to order rows by.")
class OrderInput:
    """A column of the answer to order rows by."""

    name: str
    descending: bool = False


@strawberry.input(description="A metric to answer by an earlier definition, by its hash.")
class DefinitionInput:
    """A metric to answer by an earlier definition."""

    metric: str
    hash: str


@strawberry.input(description="Which metrics, by what, of which business days.")
class Question:
    """A question, as `POST /kpis/query` takes it; `since` is its `from`, `until` its `to`."""

    metrics: list[str]
    by: list[str] = strawberry.field(default_factory=list)
    grain: str | None = None
    since: date | None = None
    until: date | None = None
    filters: list[FilterInput] = strawberry.field(default_factory=list)
    order: list[OrderInput] = strawberry.field(default_factory=list)
    limit: int = MOST_ROWS
    as_of: datetime | None = None
    definitions: list[DefinitionInput] = strawberry.field(default_factory=list)


@strawberry.type(description="A value of the answer, under the name of its column.")
class Cell:
    """A value of the answer."""

    name: str
    value: JSON | None


@strawberry.type(description="A row: metrics and dimensions by name.")
class Row:
    """A row of the answer."""

    is_mature: bool | None
    is_suppressed: bool
    cells: list[Cell]

    @strawberry.field(description="The value of one column.")
    def value(self, name: str) -> JSON | None:
        """Return the value of a column, null where there is none."""
        return next((cell.value for cell in self.cells if cell.name == name), None)


@strawberry.type(description="Rows, and how far they can be trusted.")
class Answer:
    """An answer, as `POST /kpis/query` gives it."""

    rows: list[Row]
    metrics: list[str]
    definition: str | None
    definitions: list["UsedDefinition"]
    as_of: datetime | None
    freshness_s: float | None
    suppressed: int
    is_cut: bool
    without_source: list[str]
    unpublished: list[str]
    team: UUID | None


@strawberry.type(description="By which definition a metric was answered.")
class UsedDefinition:
    """By which definition a metric was answered."""

    metric: str
    hash: str


@strawberry.type
class Query:
    """What can be asked."""

    @strawberry.field(permission_classes=[SeesNumbers], description="The metrics that the caller may ask for.")
    async def metrics(self, info: Info, section: int | None = None) -> list[Metric]:
        """Return the catalogue, or one section of it."""
        found = await questions.catalogue_of(info.context.actor, now=info.context.now)
        return [_metric(one) for one in found if section is None or one["section"] == section]

    @strawberry.field(permission_classes=[SeesNumbers], description="One metric.")
    async def metric(self, info: Info, key: str) -> Metric:
        """Return one metric."""
        return _metric(await questions.metric_of(info.context.actor, key, now=info.context.now))

    @strawberry.field(permission_classes=[SeesNumbers], description="Answer a question about metrics.")
    async def kpi(self, info: Info, question: Question) -> Answer:
        """Return the answer to a question."""
        found = await questions.answer(info.context.actor, _question(question), now=info.context.now)
        return _answer(found)


def _metric(found: dict[str, Any]) -> Metric:
    return Metric(**{name: value for name, value in found.items() if name not in ("sql", "dimension_kinds")})


def _question(asked: Question) -> KpiQuery:
    if asked.limit > MOST_ROWS:
        raise errors.Invalid(
            f"{MOST_ROWS} rows at most: every cell is a field of its own here; POST /kpis/query gives more",
            fields={"limit": f"1 to {MOST_ROWS}"},
        )
    sent = strawberry.asdict(asked)
    sent["definitions"] = {one["metric"]: one["hash"] for one in sent["definitions"]}
    try:
        return KpiQuery.model_validate(sent)
    except ValidationError as error:
        # As a request's own body, whose fields carry no prefix.
        fields = problems.field_errors([{**one, "loc": ("body", *one["loc"])} for one in error.errors()])
        raise errors.Invalid("The question does not fit: see field_errors.", fields=fields) from error


def _answer(found: KpiAnswer) -> Answer:
    told = found.model_dump(exclude={"rows", "definitions"})
    used = [UsedDefinition(metric=name, hash=each) for name, each in found.definitions.items()]
    return Answer(rows=[_row(row) for row in found.rows], definitions=used, **told)


def _row(row: dict[str, Any]) -> Row:
    cells = [Cell(name=name, value=value) for name, value in row.items() if name not in MARKS]
    return Row(is_mature=row.get("is_mature"), is_suppressed=row.get("is_suppressed", False), cells=cells)


@cache
def schema() -> strawberry.Schema:
    """Return the schema with its limits."""
    return strawberry.Schema(Query, extensions=limits.extensions())
