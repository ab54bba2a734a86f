"""Signing in, registering by invitation, staying signed in, oneself."""

from fastapi import Response
from pydantic import SecretStr

from api.deps import Context, CurrentActor, Now, Router, public, signed_in
from api.schemas.users import Login, Me, PasswordChange, RefreshToken, Register, SessionRead
from crm import db, tenancy, tenant_settings
from crm.users import invitations, own_password, queries, sessions

router = Router("/auth")


def clear(secret: SecretStr) -> str:
    """Return what a secret holds, at the one place that needs it."""
    return secret.get_secret_value()


@router.post("/login")
@public("one signs in here")
async def login(body: Login, context: Context) -> SessionRead:
    """Sign in. Five wrong passwords in a row lock the account for fifteen minutes; no answer says which it was."""
    session = await sessions.sign_in(
        body.email, clear(body.password), now=context.now, trace_id=context.trace_id
    )  # fmt: skip
    return SessionRead.model_validate(session)


@router.post("/register", status_code=201)
@public("the invitation's token is the proof")
async def register(body: Register, context: Context) -> SessionRead:
    """Make the account that an invitation promises, and sign in."""
    session = await invitations.register(
        body.token,
        name=body.name,
        password=clear(body.password),
        locale=body.locale,
        now=context.now,
        trace_id=context.trace_id,
    )
    return SessionRead.model_validate(session)


@router.post("/refresh")
@public("the refresh token is the proof")
async def refresh(body: RefreshToken, context: Context) -> SessionRead:
    """Exchange a refresh token, once. One that comes a second time ends the whole session for everybody."""
    return SessionRead.model_validate(
        await sessions.refresh(body.refresh_token, now=context.now, trace_id=context.trace_id)
    )


@router.post("/logout", status_code=204)
@public("the refresh token is the proof")
async def logout(body: RefreshToken, context: Context) -> Response:
    """End the session of a refresh token; its access tokens are refused within a second."""
    await sessions.sign_out(body.refresh_token, now=context.now, trace_id=context.trace_id)
    return Response(status_code=204)


@router.get("/me")
@signed_in("everyone may see who they are")
async def me(actor: CurrentActor, now: Now) -> Me:
    """Return the signed-in person as the database knows them now, with all that their token allows."""
    row = await db.run(actor, lambda tx: queries.user(tx, actor.user_id))  # type: ignore[arg-type]
    currency = await db.run(actor, lambda tx: tenant_settings.value(tx, tenancy.CURRENCY, at=now))
    return Me(**dict(row), tenant_id=actor.tenant_id, currency=currency, permissions=sorted(actor.permissions))


@router.post("/me/password", status_code=204)
@signed_in("everyone may change their own password")
async def change_password(body: PasswordChange, actor: CurrentActor, now: Now) -> Response:
    """Change one's own password. All other sessions end; five wrong old ones lock the account for fifteen minutes."""
    await own_password.change(actor, old=clear(body.old_password), new=clear(body.new_password), now=now)
    return Response(status_code=204)
