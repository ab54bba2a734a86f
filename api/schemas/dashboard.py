"""What the operational dashboard gets."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from api.schemas import Read
from api.schemas.agents import TelephoneRead


class StatsRead(Read):
    """Leads by status (test leads left out), those nobody owns, those of today, and the agents who take leads."""

    leads_by_status: dict[str, int]
    leads: int
    unassigned: int = Field(description="New and owned by nobody.")
    received_today: int = Field(description="Since midnight in the firm's zone.")
    agents: int
    agents_accepting: int
    as_of: datetime
    timezone: str


class AgentRead(Read):
    """One person who takes leads; `open_leads` are those they own that are neither won nor lost."""

    id: UUID
    name: str
    team_id: UUID
    team_name: str
    accepting: bool
    capacity: int
    weight: int
    open_leads: int
    last_assigned_at: datetime | None
    telephone: TelephoneRead | None = Field(
        description="How they stand at the telephone; null: they have none, or are not yours to watch."
    )


class AgentsRead(Read):
    """Who takes leads, and the telephone floor as far as one may watch it."""

    items: list[AgentRead]
    agents_by_state: dict[str, int] = Field(description="Agents at the telephone whom one may watch, by state.")
    occupancy: float | None = Field(description="Theirs today: the sum of busy by that of busy and available seconds.")
    service_level: float | None = Field(
        description="Of all queues in the last half hour, by the boards' definition; null: nothing to judge."
    )
    judged: int = Field(description="How many stays the service level is about.")
    as_of: datetime
    timezone: str = Field(description="Today began at midnight there.")


class RouteHealth(Read):
    """How one route did: medians and 95th percentiles in milliseconds; `error_rate` counts server errors only."""

    route: str
    method: str
    requests: int
    errors: int
    error_rate: float
    p50_ms: float
    p95_ms: float


class ApiHealth(Read):
    """How the API did for this firm between two instants."""

    since: datetime
    until: datetime
    routes: list[RouteHealth]
