"""People who work here."""

from uuid import UUID

from fastapi import Response
from starlette.requests import Request

from api.deps import CurrentActor, IdempotencyKey, Now, Router, permission
from api.idempotent import create
from api.pages import CursorText, Limit
from api.routers.auth import clear
from api.schemas import Listing
from api.schemas.users import (
    Availability,
    InvitationMade,
    InvitationRead,
    Invite,
    RoleRead,
    UserCreate,
    UserPage,
    UserRead,
    UserUpdate,
)
from crm import cursors, db
from crm.db import Tx
from crm.users import availability, invitations, operations, passwords, queries, rules, secrets

router = Router("/users")


@router.get("")
@permission("user.view")
async def list_users(
    actor: CurrentActor,
    team_id: UUID | None = None,
    is_active: bool | None = None,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> UserPage:
    """List users in the order of their accounts' making."""
    here = {"purpose": "users", "tenant_id": actor.tenant_id, "bound_to": f"{team_id} {is_active}"}
    after = UUID(cursors.read(cursor, **here)) if cursor else None
    rows = await db.run(
        actor, lambda tx: queries.users(tx, team_id=team_id, is_active=is_active, after=after, limit=limit + 1)
    )
    page = [UserRead.model_validate(dict(row)) for row in rows[:limit]]
    following = cursors.sign(page[-1].id, **here) if len(rows) > limit else None
    return UserPage(items=page, next_cursor=following)


@router.post("", status_code=201, response_model=UserRead)
@permission("user.manage")
async def create_user(request: Request, body: UserCreate, now: Now, key: IdempotencyKey = None) -> Response:
    """Create an account at once; `/users/invitations` lets the person choose their own password instead."""
    passwords.require_good(clear(body.password), email=body.email)
    password_hash = await passwords.hashed(clear(body.password))

    async def work(tx: Tx) -> dict[str, object]:
        user_id = await operations.create(
            tx,
            email=body.email,
            name=body.name,
            roles=body.roles,
            team_id=body.team_id,
            locale=body.locale,
            password_hash=password_hash,
            now=now,
        )
        return dict(await queries.user(tx, user_id))

    return await create(request, key, body, work, answer=UserRead)


@router.post("/invitations", status_code=201, response_model=InvitationMade)
@permission("user.manage")
async def invite(request: Request, body: Invite, now: Now, key: IdempotencyKey = None) -> Response:
    """Invite somebody to register within a week; the answer holds the token to hand to them."""
    return await create(
        request,
        key,
        body,
        lambda tx: invitations.invite(tx, email=body.email, roles=body.roles, team_id=body.team_id, now=now),
        answer=InvitationRead,
        show=lambda kept: InvitationMade(**kept.model_dump(), token=secrets.invitation_token(kept.id)),
    )


@router.get("/roles")
@permission("user.view")
async def list_roles() -> Listing[RoleRead]:
    """List the roles and what each may do."""
    return Listing(items=[RoleRead(role=role, permissions=sorted(held)) for role, held in rules.ROLES.items()])


@router.put("/me/availability", status_code=204)
@permission("agent.availability")
async def set_availability(body: Availability, actor: CurrentActor, now: Now) -> Response:
    """Say whether one takes new leads."""
    await db.run(actor, lambda tx: availability.set_availability(tx, accepting=body.accepting, now=now))
    return Response(status_code=204)


@router.get("/{user_id}")
@permission("user.view")
async def read_user(user_id: UUID, actor: CurrentActor) -> UserRead:
    """Return one user."""
    return UserRead.model_validate(dict(await db.run(actor, lambda tx: queries.user(tx, user_id))))


@router.patch("/{user_id}")
@permission("user.manage")
async def update_user(user_id: UUID, body: UserUpdate, actor: CurrentActor, now: Now) -> UserRead:
    """Change an account. Closing it, or changing its roles or team, ends its sessions."""
    change = operations.Change(
        **body.model_dump(exclude_unset=True), leave_team="team_id" in body.model_fields_set and body.team_id is None
    )

    async def work(tx: Tx) -> dict[str, object]:
        await operations.update(tx, user_id, change, now=now)
        return dict(await queries.user(tx, user_id))

    return UserRead.model_validate(await db.run(actor, work))
