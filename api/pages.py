"""Answers whose JSON the database has made already: put together as text, never parsed on the way."""

import json
from typing import Annotated

from fastapi import Query
from starlette.responses import Response

from crm import paging
from crm.paging import Page

Limit = Annotated[int, Query(ge=1, le=paging.LARGEST, description="Items a page holds at most.")]
CursorText = Annotated[
    str | None, Query(min_length=1, max_length=1000, description="`next_cursor` of the page before this one.")
]


def of_json(text: str, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return JSON text as it is."""
    return Response(text, status, headers, "application/json")


def of_page(page: Page, *, more: str | None = None, headers: dict[str, str] | None = None) -> Response:
    """Return a page: its items, the cursor of the next (null on the last), and the fields of one more JSON object."""
    body = f'{{"items":[{",".join(page.items)}],"next_cursor":{json.dumps(page.next_cursor)}'
    return of_json(f"{body},{more[1:]}" if more else f"{body}}}", headers=headers)
