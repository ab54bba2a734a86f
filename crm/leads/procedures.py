"""What a firm sells: the catalogue of procedures (operations in the medical sense), by code, in the tenant's words.

The code can tell of a person's health. It stands in quotes, sales and procedures, hidden from the pipeline; one event
carries it, the sale's, so that sales can be counted by it; labels and free text are in no event.
"""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from crm import errors, tenant_settings
from crm.db import Tx
from crm.leads.lifecycle import Code, Names

TYPES = tenant_settings.declare(
    "procedure.types",
    Annotated[dict[Code, Names], Field(min_length=1, max_length=200)],
    {
        "hair": Names(tr="Saç ekimi", en="Hair transplant"),
        "dental": Names(tr="Diş tedavisi", en="Dental treatment"),
        "aesthetic": Names(tr="Estetik cerrahi", en="Aesthetic surgery"),
        "eye": Names(tr="Göz tedavisi", en="Eye treatment"),
        "obesity": Names(tr="Obezite cerrahisi", en="Weight-loss surgery"),
        "other": Names(tr="Diğer", en="Other"),
    },
    tr="İşlem (operasyon) türleri",
    en="Procedure (operation) types",
)


class UnknownProcedure(errors.Invalid):
    """This procedure is not in the firm's catalogue."""

    code = "procedure.unknown"


async def require_known(tx: Tx, code: str | None, *, at: datetime) -> None:
    """:raises UnknownProcedure: when a procedure is named and not in the tenant's catalogue at that instant (UTC)."""
    if code is None:
        return
    known = await tenant_settings.value(tx, TYPES, at=at)
    if code not in known:
        raise UnknownProcedure(fields={"procedure_type": f"one of {', '.join(known)}"})
