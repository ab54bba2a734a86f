"""Questions about metrics and their answers, as they travel."""

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from api.schemas import Body, Read

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
"""A metric or a dimension."""
Value = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00]*$")]


class KpiFilter(Body):
    """One condition on a dimension."""

    dim: Name
    op: Literal["in", "not_in", "is_null", "not_null"] = "in"
    values: list[Value] = Field(default=[], max_length=100)


class KpiQuery(Body):
    """Which metrics, by what, of which business days (`from` is the first, `to` the first no longer meant)."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True, populate_by_name=True)

    metrics: list[Name] = Field(min_length=1, max_length=20)
    by: list[Name] = Field(default=[], max_length=8)
    grain: Literal["day", "week", "month", "quarter"] | None = None
    since: date | None = Field(default=None, alias="from")
    until: date | None = Field(default=None, alias="to")
    filters: list[KpiFilter] = Field(default=[], max_length=20)


class KpiRead(Read):
    """One metric of the catalogue."""

    name: str
    label: str
    description: str
    unit: str
    formula: str
    owner: str
    maturity_days: int
    dimensions: list[str]


class KpiAnswer(Read):
    """Rows under the metrics' keys; nothing has been published yet while `as_of` is null."""

    rows: list[dict[str, str | bool | int | float | None]]
    metrics: list[str]
    definition: str | None
    """Hash of the definitions: a number may mean something else when it changes."""
    as_of: datetime | None
    freshness_s: float | None
