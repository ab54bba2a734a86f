"""Users, teams, sessions and invitations as they travel."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, SecretStr, StringConstraints

from api.schemas import Body, Line, Read
from crm.users.rules import Role

Email = Annotated[
    str,
    StringConstraints(max_length=254, pattern=r"^[^@\s\x00-\x1f]+@[^@\s\x00-\x1f]+\.[^@\s\x00-\x1f]+$"),
]
Password = Annotated[
    SecretStr, Field(min_length=1, max_length=200, description="Never shown, logged or kept in clear.")
]
Token = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern="^[A-Za-z0-9_-]+$")]
Locale = Literal["tr", "en"]


def _each_once(roles: list[Role]) -> list[Role]:
    return list(dict.fromkeys(roles))


Roles = Annotated[list[Role], Field(min_length=1, max_length=len(Role)), AfterValidator(_each_once)]


class Login(Body):
    """Who signs in."""

    email: Email
    password: Password


class Register(Body):
    """What an invited person gives."""

    token: Token = Field(description="From the invitation.")
    name: Line
    password: Password
    locale: Locale = "tr"


class PasswordChange(Body):
    """One's old password, and the one to come."""

    old_password: Password
    new_password: Password


class RefreshToken(Body):
    """The refresh token of a session."""

    refresh_token: Token


class SessionRead(Read):
    """What to carry: the access token as `Authorization: Bearer …`, the refresh token for its successor, once."""

    user_id: UUID
    access_token: str
    refresh_token: str
    expires_in: int = Field(description="Seconds that the access token is good for.")
    token_type: Literal["bearer"] = "bearer"


class UserRead(Read):
    """One person who works here."""

    id: UUID
    email: str
    name: str
    locale: str
    roles: list[str]
    team_id: UUID | None
    team_name: str | None
    is_active: bool
    last_login_at: datetime | None
    created_at: datetime
    updated_at: datetime


class Me(UserRead):
    """Oneself, with all that one may do."""

    tenant_id: UUID
    currency: str
    """The firm's own currency (ISO 4217), in which figures about money are."""
    permissions: list[str]


class UserPage(Read):
    """A page of users; `next_cursor` opens the one after it."""

    items: list[UserRead]
    next_cursor: str | None


class UserCreate(Body):
    """A new account, usable at once."""

    email: Email
    name: Line
    roles: Roles
    team_id: UUID | None = None
    locale: Locale = "tr"
    password: Password


class UserUpdate(Body):
    """What to change; what is not named stays. `team_id: null` takes the person out of their team."""

    name: Line | None = None
    locale: Locale | None = None
    roles: Roles | None = None
    team_id: UUID | None = None
    is_active: bool | None = None


class Invite(Body):
    """Whom to invite, as what."""

    email: Email
    roles: Roles
    team_id: UUID | None = None


class InvitationRead(Read):
    """An invitation."""

    id: UUID
    email: str
    roles: list[str]
    team_id: UUID | None
    expires_at: datetime


class InvitationMade(InvitationRead):
    """An invitation with the secret that opens it: hand it to that person and nobody else."""

    token: str


class TeamRead(Read):
    """One team; `members` counts active users."""

    id: UUID
    name: str
    timezone: str
    region: str | None
    lead_user_id: UUID | None
    lead_name: str | None
    is_default: bool
    members: int
    created_at: datetime
    updated_at: datetime


class TeamCreate(Body):
    """A new team."""

    name: Line
    timezone: Line = Field("Europe/Istanbul", description="IANA name.")
    region: Line | None = None
    lead_user_id: UUID | None = Field(None, description="Who leads it: promises that are not kept go to them.")


class TeamUpdate(Body):
    """What to change; what is not named stays. Null empties region and lead."""

    name: Line | None = None
    timezone: Line | None = None
    region: Line | None = None
    lead_user_id: UUID | None = None


class Availability(Body):
    """Whether the acting person takes new leads."""

    accepting: bool


class RoleRead(Read):
    """A role and what it may do."""

    role: str
    permissions: list[str]
