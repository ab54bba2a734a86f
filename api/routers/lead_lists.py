"""Leads in lists: pages, searches, and what a screen needs to know about their columns."""

import json
from typing import Annotated, Any

from fastapi import Query
from starlette.responses import Response

from api import pages
from api.deps import CurrentActor, Now, Router, permission
from api.language import Language
from api.schemas.lead_lists import (
    ColumnDescription,
    ColumnsRead,
    FilterRead,
    LeadPage,
    LeadQuery,
    LeadSearch,
    Skeleton,
)  # fmt: skip
from crm import db, filtering
from crm.actor import Actor
from crm.leads import columns, lists
from crm.leads.filters import FIELDS
from crm.visibility import ANY as VIEW

router = Router("/leads", tags=["leads"])


def asked(wanted: LeadQuery | LeadSearch) -> lists.Wanted:
    """Return a question as the business takes it; names and addresses are taken from bodies only."""
    clauses = filtering.parse_all(wanted.filter, FIELDS, personal=isinstance(wanted, LeadSearch))
    if isinstance(wanted, LeadQuery):
        clauses += tuple(wanted.clauses())
    return lists.Wanted(clauses, wanted.sort, tuple(wanted.fields), wanted.limit, wanted.cursor, wanted.count)


async def _answer(wanted: LeadQuery | LeadSearch, actor: Actor, now: Any, language: str) -> Response:
    question = asked(wanted)
    page = await db.run(actor, lambda tx: lists.page(tx, question, language=language, now=now))
    shown = [{"name": name, "label": columns.COLUMNS[name].label(language)} for name in page.columns]
    more: dict[str, Any] = {"columns": shown}
    if page.count:
        more["count"] = {"value": page.count.value, "is_exact": page.count.is_exact}
    if page.hint:
        more["hint"] = {"code": page.hint.code, "message": page.hint.message, "drop": page.hint.drop}
    return pages.of_page(page, more=json.dumps(more, ensure_ascii=False), headers={"Content-Language": language})


@router.get("", response_model=LeadPage)
@permission(*VIEW)
async def list_leads(
    wanted: Annotated[LeadQuery, Query()], actor: CurrentActor, now: Now, language: Language
) -> Response:
    """List the leads one sees, page by page; what arrives meanwhile neither repeats nor hides one."""
    return await _answer(wanted, actor, now, language)


@router.post("/search", response_model=LeadPage)
@permission(*VIEW)
async def search_leads(wanted: LeadSearch, actor: CurrentActor, now: Now, language: Language) -> Response:
    """List leads by a question that may hold a name, a whole number or an address: it stays out of the address line."""
    return await _answer(wanted, actor, now, language)


@router.get("/columns")
@permission(*VIEW)
async def read_columns(actor: CurrentActor, language: Language) -> ColumnsRead:
    """Describe the list: columns with labels, types and roles for assistive technology, filters, sorts, skeleton."""
    return ColumnsRead(
        columns=[_column(name, language) for name in columns.visible_to(actor)],
        filters=[
            _filter(name, field, language)
            for name, field in FIELDS.items()
            if field.permission is None or actor.may(field.permission)
        ],
        sorts=[f"{way}{name}" for name in columns.SORTS for way in ("", "-")],
        default_sort=columns.DEFAULT_SORT,
        skeleton=Skeleton(
            rows=10,
            role="table",
            aria_busy=True,
            label="Başvurular yükleniyor" if language == "tr" else "Loading leads",
        ),
    )


def _column(name: str, language: str) -> ColumnDescription:
    column = columns.COLUMNS[name]
    is_sorted = columns.DEFAULT_SORT.removeprefix("-") == name
    sortable = name in columns.SORTS
    return ColumnDescription(
        key=name,
        label=column.label(language),
        labels={"tr": column.tr, "en": column.en},
        type=column.type,
        width=column.width,
        is_shown=column.is_shown,
        sortable=sortable,
        aria_sort=("descending" if is_sorted else "none") if sortable else None,
        role="columnheader",
        cell_role="rowheader" if name == "contact" else "cell",
        filter=column.filter,
    )


def _filter(name: str, field: filtering.Field, language: str) -> FilterRead:
    return FilterRead(
        name=name,
        label=field.en if language == "en" else field.tr,
        labels={"tr": field.tr, "en": field.en},
        type=field.kind.name,
        operators=[str(each) for each in field.operators],
        words=list(field.words),
        choices=list(field.choices),
        in_body_only=field.is_personal,
    )
