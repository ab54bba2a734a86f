"""Signing in through HTTP."""

from datetime import timedelta

import pytest

from crm import clock, db
from crm.actor import Actor
from crm.users import operations, passwords, rules, tokens
from tests.api.conftest import Client
from tests.conftest import Tenant

PASSWORD = "mavi-kedi-42-uyur"
EMAIL = "ayse@acme.example"


@pytest.fixture
async def person(tenant: Tenant, now) -> Actor:
    """Somebody with a password."""
    password_hash = await passwords.hashed(PASSWORD)
    user_id = await db.run(
        tenant.admin,
        lambda tx: operations.create(
            tx,
            email=EMAIL,
            name="Ayşe",
            roles=["sales_agent"],
            team_id=tenant.team_id,
            password_hash=password_hash,
            now=now,
        ),
    )
    return Actor(tenant.id, user_id)


def credentials(password: str = PASSWORD, email: str = EMAIL) -> dict[str, str]:
    """Return what one signs in with."""
    return {"email": email, "password": password}


class TestLogin:
    async def test_gives_a_token_that_opens_me(self, person: Actor, nobody: Client) -> None:
        session = (await nobody.post("/auth/login", json=credentials(email=EMAIL.upper()))).json()

        response = await nobody.get("/auth/me", headers={"Authorization": f"Bearer {session['access_token']}"})

        assert response.json()["id"] == str(person.user_id)
        assert response.json()["permissions"] == sorted(rules.ROLES[rules.Role.sales_agent])

    async def test_answers_unknown_wrong_and_closed_alike(
        self, person: Actor, tenant: Tenant, now, nobody: Client
    ) -> None:
        wrong = await nobody.post("/auth/login", json=credentials("not this one"))
        unknown = await nobody.post("/auth/login", json=credentials(email="nobody@acme.example"))
        await db.run(
            tenant.admin, lambda tx: operations.update(tx, person.user_id, operations.Change(is_active=False), now=now)
        )
        closed = await nobody.post("/auth/login", json=credentials())

        answers = [{**each.json(), "trace_id": ""} for each in (wrong, unknown, closed)]
        assert [each.status_code for each in (wrong, unknown, closed)] == [401, 401, 401]
        assert answers[0] == answers[1] == answers[2]

    async def test_locks_after_repeated_failures_even_for_the_right_password(
        self, person: Actor, tenant: Tenant, nobody: Client
    ) -> None:
        for _ in range(rules.LOCK_AFTER):
            await nobody.post("/auth/login", json=credentials("not this one"))

        response = await nobody.post("/auth/login", json=credentials())

        assert response.status_code == 401
        async with db.transaction(tenant.system) as tx:
            happened = await tx.fetch(
                "select event_type from crm.event_log"
                " where aggregate_id = $1::uuid and event_type like 'user.%' order by id",
                person.user_id,
            )
            audited = await tx.fetchval(
                "select count(*) from crm.audit_log where target_id = $1::uuid and action = 'user.locked'",
                person.user_id,
            )
        refused = ["user.sign_in_refused"] * rules.LOCK_AFTER
        assert [row[0] for row in happened] == ["user.created", *refused, "user.locked", "user.sign_in_refused"]
        assert audited == 1

    async def test_never_repeats_a_password(self, nobody: Client) -> None:
        response = await nobody.post("/auth/login", json={"email": "x", "password": PASSWORD, "extra": PASSWORD})

        assert response.status_code == 422
        assert PASSWORD not in response.text
        assert set(response.json()["field_errors"]) == {"email", "extra"}


class TestRefresh:
    async def test_rotates_and_ends_the_family_when_a_token_comes_twice(self, person: Actor, nobody: Client) -> None:
        first = (await nobody.post("/auth/login", json=credentials())).json()["refresh_token"]
        second = (await nobody.post("/auth/refresh", json={"refresh_token": first})).json()["refresh_token"]

        reused = await nobody.post("/auth/refresh", json={"refresh_token": first})
        after = await nobody.post("/auth/refresh", json={"refresh_token": second})

        assert first != second
        assert (reused.status_code, after.status_code) == (401, 401)

    async def test_ends_with_the_sign_out(self, person: Actor, nobody: Client) -> None:
        token = (await nobody.post("/auth/login", json=credentials())).json()["refresh_token"]

        assert (await nobody.post("/auth/logout", json={"refresh_token": token})).status_code == 204

        assert (await nobody.post("/auth/refresh", json={"refresh_token": token})).status_code == 401


class TestRegister:
    async def test_makes_the_account_an_invitation_promises_once(self, admin: Client, nobody: Client) -> None:
        invited = await admin.post("/users/invitations", json={"email": "yeni@acme.example", "roles": ["analyst"]})
        body = {"token": invited.json()["token"], "name": "Yeni", "password": PASSWORD}

        first = await nobody.post("/auth/register", json=body)
        second = await nobody.post("/auth/register", json=body)

        assert first.status_code == 201
        token = first.json()["access_token"]
        me = (await nobody.get("/auth/me", headers={"Authorization": f"Bearer {token}"})).json()
        assert (me["email"], me["roles"], me["currency"]) == ("yeni@acme.example", ["analyst"], "TRY")
        assert (second.status_code, second.json()["code"]) == (404, "invitation.over")

    async def test_refuses_an_easy_password(self, admin: Client, nobody: Client) -> None:
        invited = await admin.post("/users/invitations", json={"email": "yeni@acme.example", "roles": ["analyst"]})
        body = {"token": invited.json()["token"], "name": "Yeni", "password": "yeni-1234567"}

        response = await nobody.post("/auth/register", json=body)

        assert (response.status_code, list(response.json()["field_errors"])) == (422, ["password"])


class TestChangePassword:
    async def test_is_for_everybody_who_is_signed_in(self, person: Actor, nobody: Client) -> None:
        session = (await nobody.post("/auth/login", json=credentials())).json()
        mine = {"Authorization": f"Bearer {session['access_token']}"}
        body = {"old_password": PASSWORD, "new_password": "sarı-köpek-17-koşar"}

        wrong = await nobody.post("/auth/me/password", json={**body, "old_password": "not this one"}, headers=mine)
        easy = await nobody.post("/auth/me/password", json={**body, "new_password": "ayse-ayse-1"}, headers=mine)
        changed = await nobody.post("/auth/me/password", json=body, headers=mine)
        still = await nobody.get("/auth/me", headers=mine)
        stranger = await nobody.post("/auth/me/password", json=body)

        assert (wrong.status_code, wrong.json()["code"]) == (403, "password.old_refused")
        assert (easy.status_code, list(easy.json()["field_errors"])) == (422, ["new_password"])
        assert (changed.status_code, still.status_code, stranger.status_code) == (204, 200, 401)
        assert (await nobody.post("/auth/login", json=credentials())).status_code == 401
        assert (await nobody.post("/auth/login", json=credentials(body["new_password"]))).status_code == 200


class TestAccessToken:
    @pytest.mark.parametrize("ended", ["closed", "signed out"])
    async def test_is_refused_when_its_session_has_ended(
        self, person: Actor, admin: Client, nobody: Client, monkeypatch: pytest.MonkeyPatch, ended: str
    ) -> None:
        monkeypatch.setattr("crm.users.revocations.EVERY", 0.0)
        session = (await nobody.post("/auth/login", json=credentials())).json()
        mine = {"Authorization": f"Bearer {session['access_token']}"}
        before = await nobody.get("/teams", headers=mine)

        if ended == "closed":
            await admin.patch(f"/users/{person.user_id}", json={"is_active": False})
        else:
            await nobody.post("/auth/logout", json={"refresh_token": session["refresh_token"]})
        after = await nobody.get("/teams", headers=mine)

        assert before.status_code == 200
        assert (after.status_code, after.json()["code"]) == (401, "token.session_ended")

    async def test_is_refused_when_expired_or_altered(self, tenant: Tenant, nobody: Client) -> None:
        person = tenant.sales_agent
        old = tokens.issue(
            tenant=tenant.id, user=person.user_id, team=None, roles=["admin"], now=clock.utc_now() - timedelta(hours=1)
        )

        expired = await nobody.get("/auth/me", headers={"Authorization": f"Bearer {old}"})
        altered = await nobody.get("/auth/me", headers={"Authorization": f"Bearer {old[:-4]}AAAA"})

        assert (expired.status_code, expired.json()["code"]) == (401, "token.expired")
        assert (altered.status_code, altered.json()["code"]) == (401, "token.invalid")
        assert expired.headers["WWW-Authenticate"] == "Bearer"
