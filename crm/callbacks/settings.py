"""What a firm sets of its callbacks."""

from typing import Annotated

from pydantic import Field

from crm import tenant_settings
from crm.callbacks.rules import Retries

WINDOW_MINUTES = tenant_settings.declare(
    "callback.window_minutes",
    Annotated[int, Field(ge=5, le=1440)],
    60,
    tr="Geri arama sözü: kaç dakika içinde",
    en="Callbacks are promised within so many minutes, where nothing else is agreed",
)
PATIENCE_MINUTES = tenant_settings.declare(
    "callback.patience_minutes",
    Annotated[int, Field(ge=0, le=10_080)],
    240,
    tr="Söz geçtikten sonra geri arama kaç dakika daha denenir",
    en="Minutes after the promised time for which a callback is still tried",
)
AGENT_WAIT_MINUTES = tenant_settings.declare(
    "callback.agent_wait_minutes",
    Annotated[int, Field(ge=0, le=1440)],
    10,
    tr="Sözü veren temsilci kaç dakika beklenir, sonra kuyruk arar",
    en="Minutes a callback waits for its own agent before its queue makes it",
)
RETRIES = tenant_settings.declare(
    "callback.retries",
    Retries,
    Retries(),
    tr="Geri arama denemeleri: en çok kaç kez, sonuca göre kaç dakika sonra",
    en="Attempts of a callback: how many, and how many minutes after which outcome",
)
