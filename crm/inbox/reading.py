"""What a door's parser makes of a message, and how it says that it could make nothing of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from crm import errors
from crm.leads.intake import NewLead


class Unusable(errors.Invalid):
    """A message that no second look will make readable; `reason` is a code without personal data.

    `by_provider`: the source refused us, so that it tells about the connection and not about the message alone.
    """

    def __init__(self, reason: str, *, by_provider: bool = False) -> None:
        super().__init__(f"the message cannot be used: {reason}")
        self.reason = reason
        self.by_provider = by_provider


class NotNow(errors.Unavailable):
    """A source that does not answer now; `reason` is a code without personal data.

    `wait`: how long nobody should ask it again, when it said so.
    """

    def __init__(self, reason: str, *, wait: timedelta | None = None) -> None:
        super().__init__(f"the source does not answer: {reason}")
        self.reason = reason
        self.wait = wait


@dataclass(frozen=True, slots=True)
class Reading:
    """A message as its source's parser understood it.

    `body` is the message completed by what the source told when it was asked: it takes the place of what came, which
    is kept. `parts`: a message that names several leads is worked off as several messages, each with its own fate.
    `campaigns`: names of campaigns by their outside id. `clicks`: by a lead's outside id, the click (gclid) whose
    keyword is to be looked up later. `pause`: how long the source should not be asked again.
    """

    leads: Sequence[NewLead] = ()
    body: bytes | None = None
    parts: Sequence[bytes] = ()
    campaigns: Mapping[str, str] = field(default_factory=dict)
    clicks: Mapping[str | None, str] = field(default_factory=dict)
    pause: timedelta | None = None
