"""The short forms of usual filters of leads, as parameters of their own beside `filter`."""

from collections.abc import Iterator
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, Field, StringConstraints

from api.schemas import Line, without_nul
from api.schemas.leads import Code, Instant
from crm.filtering import Clause, Operator
from crm.leads import filters
from crm.leads.rules import Status

MEANS = {
    "status": ("status", Operator.in_), "owner": ("owner", Operator.in_), "team": ("team", Operator.in_),
    "contact": ("contact", Operator.in_), "platform": ("platform", Operator.in_), "source": ("source", Operator.in_),
    "campaign": ("campaign", Operator.in_), "form": ("form", Operator.in_), "tag": ("tags", Operator.any_),
    "received_from": ("received_at", Operator.gte), "received_to": ("received_at", Operator.lt),
}  # fmt: skip
"""The field and the operator that a short form stands for."""


def split(value: Any) -> Any:
    """Take `a,b` for `a` and `b`, beside the repeated parameter."""
    each_of = [value] if isinstance(value, str) else value
    if not isinstance(each_of, list | tuple):
        return value
    return [part for each in each_of for part in (each.split(",") if isinstance(each, str) else [each])]


def _some(item: Any, means: str) -> Any:
    return Annotated[list[item], BeforeValidator(split), Field(max_length=50, description=f"Short for `{means}:…`.")]


def _lines(means: str) -> Any:
    return Annotated[
        list[Line], Field(max_length=50, description=f"Short for `{means}:…`; repeated, as values may hold commas.")
    ]


class ShortForms(BaseModel):
    """Filters by their short forms. Lists take `a,b` or the parameter again; all of them must hold."""

    status: _some(Status, "filter=status:in") = []  # type: ignore[valid-type]
    owner: _some(UUID, "filter=owner:in") = []  # type: ignore[valid-type]
    team: _some(UUID, "filter=team:in") = []  # type: ignore[valid-type]
    contact: _some(UUID, "filter=contact:in") = []  # type: ignore[valid-type]
    platform: _some(Code, "filter=platform:in") = []  # type: ignore[valid-type]
    source: _some(Code, "filter=source:in") = []  # type: ignore[valid-type]
    campaign: _lines("filter=campaign:in") = []  # type: ignore[valid-type]
    form: _lines("filter=form:in") = []  # type: ignore[valid-type]
    tag: _lines("filter=tags:any") = []  # type: ignore[valid-type]
    received_from: Instant | None = Field(None, description="Short for `filter=received_at:gte:…`.")
    received_to: Instant | None = Field(None, description="Short for `filter=received_at:lt:…`.")
    is_test: bool | None = Field(None, description="Short for `filter=is_test:is:…`.")
    q: Annotated[str, BeforeValidator(without_nul), StringConstraints(max_length=100)] | None = Field(
        None,
        json_schema_extra={"deprecated": True},
        description="The begin of a name, or a whole phone number or e-mail address. What stands in an address is kept"
        " in many places: send it in the body of `POST /leads/search` instead.",
    )

    def clauses(self) -> Iterator[Clause]:
        """Yield the filters they stand for.

        :raises crm.filtering.BadFilter: when nobody can be meant by `q`.
        """
        for name, (field, operator) in MEANS.items():
            value = getattr(self, name)
            if wanted := tuple(dict.fromkeys(value)) if isinstance(value, list) else (value,) * (value is not None):
                yield Clause(field, operator, wanted)
        if self.is_test is not None:
            yield Clause("is_test", Operator.is_, ("true" if self.is_test else "false",))
        if self.q is not None:
            yield filters.person(self.q, at="q")
