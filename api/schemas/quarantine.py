"""What travels about the gates at the border."""

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from api.schemas import Body, Read


class HoldRead(Read):
    """A set that broke rules; `held` ones are not in the numbers."""

    id: UUID
    feed: str
    label: str
    day: date | None
    rules: list[str]
    reasons: list[str]
    reasons_tr: list[str]
    status: Literal["held", "warned"]
    since: datetime
    judged_at: datetime
    may_be_released: bool


class Release(Body):
    """Why a held set is let in: a code that stays with it."""

    because: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,59}$", examples=["campaign_paused"])]
