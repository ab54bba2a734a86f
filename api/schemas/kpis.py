"""Questions about metrics and their answers, as they travel."""

from datetime import UTC, date, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, ConfigDict, Field, StringConstraints

from api.schemas import Body, Read

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
"""A metric or a dimension."""
Value = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00]*$")]
Hash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
"""Of a definition."""
Day = Annotated[date, Field(ge=date(1970, 1, 1), le=date(9998, 12, 31))]
Instant = Annotated[AwareDatetime, Field(ge=datetime(1970, 1, 1, tzinfo=UTC))]


class KpiFilter(Body):
    """One condition on a dimension: `in` and `not_in` take values, comparisons one, the others none."""

    dim: Name
    op: Literal["in", "not_in", "is_null", "not_null", "gt", "gte", "lt", "lte"] = "in"
    values: list[Value] = Field(default=[], max_length=100)


class KpiOrder(Body):
    """A column of the answer to order rows by: a metric, a dimension or `metric_time`."""

    name: Name
    descending: bool = False


class KpiQuery(Body):
    """Which metrics, by what, of which business days (`from` is the first, `to` the first no longer meant)."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True, populate_by_name=True)

    metrics: list[Name] = Field(min_length=1, max_length=20)
    by: list[Name] = Field(default=[], max_length=8)
    grain: Literal["day", "week", "month", "quarter"] | None = None
    since: Day | None = Field(default=None, alias="from")
    until: Day | None = Field(default=None, alias="to")
    filters: list[KpiFilter] = Field(default=[], max_length=20)
    order: list[KpiOrder] = Field(default=[], max_length=8)
    limit: int = Field(default=10_000, ge=1, le=10_000)
    as_of: Instant | None = Field(default=None, description="What was known at that instant; default: now.")
    definitions: dict[Name, Hash] = Field(
        default={}, max_length=20, description="Metrics to answer by an earlier definition, by its hash."
    )


class KpiRead(Read):
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
    dimension_kinds: dict[str, Literal["text", "boolean", "number", "date"]]
    always_by: list[str]
    source_status: Literal["available", "no source yet"]
    definition: str
    """Hash of the definition: the number may mean something else when it changes."""
    domains: list[str]
    as_of: datetime | None
    """Up to when what is published holds everything; null: not published yet."""
    freshness_s: float | None


class KpiDetail(KpiRead):
    """One metric with the SQL it compiles to, by day; null for who may see one team only."""

    sql: str | None


class KpiAnswer(Read):
    """Rows under the metrics' keys; nothing has been published yet while `as_of` is null."""

    rows: list[dict[str, str | bool | int | float | None]]
    metrics: list[str]
    definition: str | None
    """Hash of the definitions: a number may mean something else when it changes."""
    definitions: dict[str, str]
    as_of: datetime | None
    freshness_s: float | None
    suppressed: int
    """Rows of which something is not told (`is_suppressed`), because fewer than five made it."""
    is_cut: bool
    """There were more rows than the limit."""
    without_source: list[str]
    unpublished: list[str]
    team: UUID | None
    """The one team of which the answer tells, where the caller may see no other."""
