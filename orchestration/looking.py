"""What the dashboards would show: their own code, in a process of its own, asking the API over HTTP as pages do."""

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from crm import ids
from crm.settings import settings
from crm.users import rules, tokens
from kpis.query import Query

COMMAND = (sys.executable, "-m", "dashboards.asked")
"""Dashboards speak HTTP and are imported by nobody."""
SILENT = 3
"""Its exit code when the API does not answer."""
PATIENCE = 300.0
"""Seconds after which it is not waited for any more."""
Rows = list[dict[str, Any]]


class Broken(Exception):
    """The dashboards cannot show the figures."""


async def at_dashboards(
    tenant: UUID, questions: Sequence[Query], *, now: datetime
) -> tuple[list[Rows] | None, str | None]:
    """Return the rows that dashboards would show for each question, or why none could be asked for.

    Nobody's account is used: the token is good for minutes, names no user, and may what a sales manager may.

    :raises Broken: when the dashboards fail although the API answers.
    """
    if not questions:
        return [], None
    token = tokens.issue(tenant=tenant, user=ids.new(), team=None, roles=[rules.Role.sales_manager], now=now)
    said = {"token": token, "questions": [_question(each) for each in questions]}
    child = await asyncio.create_subprocess_exec(
        *COMMAND, cwd=Path(__file__).resolve().parents[1], env={**os.environ, "SANTRAL_API_URL": settings().api_url},
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        out, errors = await asyncio.wait_for(child.communicate(json.dumps(said).encode()), PATIENCE)
    except TimeoutError:
        child.kill()
        raise
    if child.returncode == SILENT:
        return None, f"no API answers at {settings().api_url}"
    if child.returncode:
        raise Broken(errors.decode(errors="replace").strip()[-2000:])
    rows: list[Rows] = json.loads(out)
    return rows, None


def _question(query: Query) -> dict[str, Any]:
    assert query.since
    assert query.until
    return {
        "metric": query.metrics[0],
        "by": list(query.by),
        "grain": query.grain,
        "first": query.since.isoformat(),
        "last": (query.until - timedelta(days=1)).isoformat(),
    }
