"""Lists of leads as they travel: the question, the page, what a screen needs to know about columns."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Field, StringConstraints, create_model

from api.pages import CursorText, Limit
from api.schemas import Body, Read, without_nul
from api.schemas.lead_short_forms import ShortForms, split
from api.schemas.leads import LeadRead
from crm import paging
from crm.filtering import MOST_FILTERS
from crm.leads.columns import COLUMNS, DEFAULT_SORT, SORTS

FilterText = Annotated[str, BeforeValidator(without_nul), StringConstraints(min_length=1, max_length=4000)]
Filters = Annotated[
    list[FilterText],
    Field(
        max_length=MOST_FILTERS,
        description="`field:operator:value,value`; all must hold. `GET /leads/columns` lists fields and operators.",
        examples=[["status:in:new,assigned", "received_at:during:last_7d", "owner:is:me"]],
    ),
]
Sort = Literal[tuple(f"{way}{name}" for name in SORTS for way in ("", "-"))]  # type: ignore[valid-type]
FieldName = Literal[tuple(COLUMNS)]  # type: ignore[valid-type]


Fields = Annotated[list[FieldName], BeforeValidator(split), Field(max_length=50)]


class LeadQuery(ShortForms):
    """Which leads, in which order, with which columns. Names, numbers and addresses do not go here: search."""

    model_config = ConfigDict(extra="forbid")

    filter: Filters = Field(default_factory=list)
    sort: Sort = DEFAULT_SORT
    fields: Fields = Field(default_factory=list)
    limit: Limit = 50
    cursor: CursorText = None
    count: bool = Field(False, description="Whether to count: exactly up to 10,000, estimated beyond.")


class LeadSearch(Body):
    """The same question in a body, where filters on `name`, `phone` and `email` may stand, too."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=False)

    filter: Filters = Field(default_factory=list)
    sort: Sort = DEFAULT_SORT
    fields: Annotated[list[FieldName], Field(max_length=50)] = Field(default_factory=list)
    limit: int = Field(50, ge=1, le=paging.LARGEST)
    cursor: Annotated[str, StringConstraints(min_length=1, max_length=1000)] | None = None
    count: bool = False


LeadItem = create_model(  # type: ignore[call-overload]
    "LeadItem",
    __base__=Read,
    __doc__="One lead with the columns that were asked for.",
    **{name: (field.annotation, None) for name, field in LeadRead.model_fields.items()},
)


class ColumnRead(Read):
    """One column of the list and what people call it."""

    name: str
    label: str


class CountRead(Read):
    """How many leads match. Beyond 10,000 the planner's estimate, and `is_exact` says so."""

    value: int
    is_exact: bool


class HintRead(Read):
    """What to say about an empty list."""

    code: Literal["leads.none_yet", "leads.none_match"]
    message: str
    drop: list[str] = Field(description="Filters without any one of which there are some.")


class LeadPage(Read):
    """A page of leads; `next_cursor` opens the one after it."""

    items: list[LeadItem]  # type: ignore[valid-type]
    next_cursor: str | None
    columns: list[ColumnRead]
    count: CountRead | None = None
    hint: HintRead | None = None


class FilterRead(Read):
    """One filter: which operators it takes, and what may follow them."""

    name: str
    label: str
    labels: dict[str, str]
    type: str
    operators: list[str]
    words: list[str] = Field(description="What may follow `is`.")
    choices: list[str] = Field(description="The only values there are; empty: any of the type.")
    in_body_only: bool = Field(description="Somebody's name, number or address: only by POST /leads/search.")


class ColumnDescription(Read):
    """One column as a screen needs it, for eyes and for assistive technology (WAI-ARIA 1.2)."""

    key: str
    label: str
    labels: dict[str, str]
    type: str
    width: Literal["xs", "s", "m", "l", "xl"]
    is_shown: bool
    sortable: bool
    aria_sort: Literal["none", "ascending", "descending"] | None = Field(
        description="The state of `aria-sort` before anybody sorts; null: the header does not sort."
    )
    role: Literal["columnheader"]
    cell_role: Literal["rowheader", "cell"]
    filter: str | None


class Skeleton(Read):
    """What to draw while a page is on its way."""

    rows: int
    role: Literal["table"]
    aria_busy: bool
    label: str


class ColumnsRead(Read):
    """Columns, filters, sorts and the skeleton of the list of leads, as far as one may see them."""

    columns: list[ColumnDescription]
    filters: list[FilterRead]
    sorts: list[str]
    default_sort: str
    skeleton: Skeleton
