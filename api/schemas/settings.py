"""Settings as they travel."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import AwareDatetime, Field

from api.schemas import Body, Read


class SettingRead(Read):
    """One setting as it stands: its value, what it may be, since when, set by whom."""

    key: str
    labels: dict[str, str] = Field(description="What people call it, in Turkish (`tr`) and English (`en`).")
    value: Any
    default: Any
    schema_: dict[str, Any] = Field(alias="schema", description="The kind of value, as JSON Schema.")
    since: datetime | None = Field(description="From when it holds; null: the default, since ever.")
    set_by: UUID | None
    version: int = Field(description="Grows with each change, planned ones too; send it back with the next one.")
    planned_from: datetime | None = Field(description="When the next planned change comes.")


class SettingChange(Body):
    """What to set, from when on."""

    value: Any
    valid_from: AwareDatetime | None = Field(None, description="Default: now; never earlier.")
    version: int | None = Field(
        None, ge=0, le=2**31 - 1, description="The version this change is based on: refused when it is not the last."
    )


class SettingHistoryRead(Read):
    """One change of a setting."""

    value: Any
    valid_from: datetime
    set_by: UUID | None
    set_by_name: str | None
    created_at: datetime
