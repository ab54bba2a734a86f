"""A small mapping, files made on the spot, and imports of them."""

import csv
import io
from collections.abc import Awaitable, Callable, Sequence

import pytest

from crm import db
from crm.imports import mapping as mappings
from crm.imports.mapping import Mapping
from crm.imports.runs import Run
from ingestion.files import running
from tests.conftest import NOW

PLAN = """
source: fair
fields: {external_id: Id, name: Name, phone: Phone, email: Mail}
consents: [{column: No mail, channel: email, values: {yes: denied}}]
status: [{column: State, values: {sold: won, gone: {status: lost, loss_reason: competitor}}}]
attributes: [City]
"""
HEADER = ["Id", "Name", "Phone", "Mail", "No mail", "State", "City"]


@pytest.fixture
def plan() -> Mapping:
    """Where the columns of `HEADER` go."""
    return mappings.parse(PLAN)


def as_csv(rows: Sequence[Sequence[str]], header: Sequence[str] = HEADER) -> io.BytesIO:
    """Return a CSV file of some rows."""
    text = io.StringIO()
    csv.writer(text).writerows([header, *rows])
    return io.BytesIO(text.getvalue().encode())


def row(number: int, **cells: str) -> list[str]:
    """Return the row of one person; `cells` are given by the column's name with _ for blanks."""
    usual = {
        "Id": str(number),
        "Name": f"Ayşe {number}",
        "Phone": f"+90532{number:07d}",
        "Mail": f"a{number}@example.com",
    }
    usual |= {name.replace("_", " "): cell for name, cell in cells.items()}
    return [usual.get(name, "") for name in HEADER]


@pytest.fixture
def load(tenant, plan) -> Callable[..., Awaitable[Run]]:
    """Import rows, or a file, into the tenant; return the finished run."""

    async def load(rows: Sequence[Sequence[str]] | io.BytesIO, mapping: Mapping = plan, **how) -> Run:
        file = rows if isinstance(rows, io.BytesIO) else as_csv(rows)
        return await running.import_file(tenant.system, file, "fair.csv", mapping, now=lambda: NOW, **how)

    return load


@pytest.fixture
def ask(tenant) -> Callable[..., Awaitable[object]]:
    """Ask the tenant's database for one value."""

    async def ask(question: str) -> object:
        async with db.transaction(tenant.system) as tx:
            return await tx.fetchval(question)

    return ask
