"""A GraphQL request and its answer, as they travel."""

from typing import Any

from pydantic import ConfigDict, Field

from api.problems import Problem
from api.schemas import Body, Read
from api.schemas.kpis import Value


class GraphRequest(Body):
    """A document, the values of its variables, and which of its operations to run."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    query: str = Field(min_length=1, max_length=10_000, pattern=r"^[^\x00]*$")
    variables: dict[str, Any] | None = None
    operation_name: Value | None = Field(default=None, alias="operationName")


class GraphLocation(Read):
    """A place in the document."""

    line: int
    column: int


class GraphError(Read):
    """Why a field has no value; `extensions` says it as every other route does."""

    message: str
    path: list[str | int] | None = None
    locations: list[GraphLocation] | None = None
    extensions: Problem


class GraphAnswer(Read):
    """What was asked for; where something failed, `errors` says what."""

    data: dict[str, Any] | None
    errors: list[GraphError] = Field(default=[])
