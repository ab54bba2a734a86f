"""Saved views as they travel."""

from datetime import datetime
from uuid import UUID

from pydantic import Field, model_validator

from api.schemas import Body, Line, Read
from api.schemas.lead_lists import FieldName, Filters, Sort
from crm.leads.columns import DEFAULT_SORT


class ViewCreate(Body):
    """A view to save: the same filters, sort and columns that `GET /leads` takes."""

    name: Line
    filters: Filters = Field(default_factory=list)
    sort: Sort = DEFAULT_SORT
    fields: list[FieldName] = Field(default_factory=list, max_length=50)
    is_shared: bool = Field(False, description="Whether everyone sees it; needs the permission to share.")
    is_default: bool = Field(False, description="Whether it opens first; a shared one for whoever has no own.")


class ViewUpdate(Body):
    """What to change; what is not named stays."""

    name: Line | None = None
    filters: Filters | None = None
    sort: Sort | None = None
    fields: list[FieldName] | None = Field(None, max_length=50)
    is_shared: bool | None = None
    is_default: bool | None = None

    @model_validator(mode="after")
    def _nothing_is_nulled(self) -> "ViewUpdate":
        if nulls := [name for name in self.model_fields_set if getattr(self, name) is None]:
            raise ValueError(f"{', '.join(sorted(nulls))}: leave out what stays")
        return self


class ViewRead(Read):
    """One saved view."""

    id: UUID
    name: str
    filters: list[str]
    sort: str
    fields: list[str]
    is_shared: bool
    is_default: bool
    is_mine: bool
    owner_id: UUID
    created_at: datetime
    updated_at: datetime


class DefaultView(Read):
    """The view that opens first, or null when nobody has chosen one."""

    view: ViewRead | None
