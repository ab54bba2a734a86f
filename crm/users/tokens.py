"""Access tokens: short-lived signed statements of who somebody is (JWT, RFC 7519), checked without the database."""

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

import jwt

from crm import errors, ids
from crm.actor import Actor
from crm.settings import settings
from crm.users import rules

ALGORITHM = "HS256"
ISSUER = "santral"
KNOWN_AT_MOST = 20_000
"""Tokens whose signature is remembered as good, per process."""


class InvalidToken(errors.NotAuthenticated):
    """This access token is not one of ours, or was altered."""

    code = "token.invalid"


class EndedSession(errors.NotAuthenticated):
    """This session was ended; sign in again."""

    code = "token.session_ended"


class ExpiredToken(errors.NotAuthenticated):
    """This access token has expired; refresh it."""

    code = "token.expired"


def issue(
    *, tenant: UUID, user: UUID, team: UUID | None, roles: list[str], session: UUID | None = None, now: datetime
) -> str:
    """Return an access token for a user, good for `rules.ACCESS_MINUTES`, or until its session is ended."""
    claims = {
        "iss": ISSUER,
        "sub": str(user),
        "tenant": str(tenant),
        "team": str(team) if team else None,
        "sid": str(session) if session else None,
        "roles": roles,
        "iat": int(now.timestamp()),
        "exp": int((now + timedelta(minutes=rules.ACCESS_MINUTES)).timestamp()),
        "jti": ids.new().hex,
    }
    return jwt.encode(claims, settings().derived("jwt"), ALGORITHM)


def read(token: str, *, now: datetime, trace_id: UUID) -> Actor:
    """Return who holds a token, acting under this trace id.

    A token seen before costs a look into a dictionary: its signature cannot have changed, only its time can run out.

    :raises ExpiredToken: when its time is over.
    :raises InvalidToken: when the signature or a claim is wrong.
    """
    known = _known()
    found = known.get(token)
    if found is None:
        found = _verified(token)
        if len(known) >= KNOWN_AT_MOST:
            known.clear()
        known[token] = found
    actor, expires_at = found
    if now.timestamp() >= expires_at:
        known.pop(token, None)
        raise ExpiredToken
    return Actor(
        actor.tenant_id, actor.user_id, actor.team_id, actor.roles, actor.permissions, trace_id,
        session_id=actor.session_id,
    )  # fmt: skip


def expires_at(token: str) -> datetime:
    """Return when a token that `read` took runs out.

    :raises InvalidToken: when it is not one of ours.
    """
    found = _known().get(token) or _verified(token)
    return datetime.fromtimestamp(found[1], UTC)


def forget_all() -> None:
    """Forget every remembered token, so that each is verified anew."""
    _known().clear()


@cache
def _known() -> dict[str, tuple[Actor, int]]:
    return {}


def _verified(token: str) -> tuple[Actor, int]:
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            settings().derived("jwt"),
            algorithms=[ALGORITHM],
            issuer=ISSUER,
            options={"require": ["sub", "exp", "iat", "jti"], "verify_exp": False, "verify_iat": False},
        )
        roles = frozenset(claims["roles"])
        team = UUID(claims["team"]) if claims["team"] else None
        session = UUID(claims["sid"]) if claims["sid"] else None
        held = rules.permissions_of(roles)
        actor = Actor(UUID(claims["tenant"]), UUID(claims["sub"]), team, roles, held, session_id=session)
        return actor, int(claims["exp"])
    except (jwt.InvalidTokenError, KeyError, ValueError, TypeError) as error:
        raise InvalidToken from error
