"""Sessions where HTTP does not show them: at exact instants, and at the same time."""

import asyncio
from datetime import datetime, timedelta

import pytest

from crm import db, ids
from crm.actor import Actor
from crm.users import operations, passwords, rules, sessions
from crm.users.sessions import SessionEnded, SignInRefused
from tests.conftest import Tenant

PASSWORD = "mavi-kedi-42-uyur"
EMAIL = "ayse@acme.example"
TRACE = ids.new()


@pytest.fixture
async def person(tenant: Tenant, now: datetime) -> Actor:
    """Somebody with a password."""
    password_hash = await passwords.hashed(PASSWORD)
    user_id = await db.run(
        tenant.admin,
        lambda tx: operations.create(
            tx, email=EMAIL, name="Ayşe", roles=["sales_agent"], password_hash=password_hash, now=now
        ),
    )
    return Actor(tenant.id, user_id)


async def fail(times: int, now: datetime) -> None:
    """Try a wrong password so many times."""
    for _ in range(times):
        with pytest.raises(SignInRefused):
            await sessions.sign_in(EMAIL, "not this one", now=now, trace_id=TRACE)


class TestSignIn:
    async def test_opens_again_when_the_lock_is_over(self, person: Actor, now: datetime) -> None:
        await fail(rules.LOCK_AFTER, now)
        later = now + timedelta(minutes=rules.LOCK_MINUTES)

        with pytest.raises(SignInRefused):
            await sessions.sign_in(EMAIL, PASSWORD, now=later - timedelta(seconds=1), trace_id=TRACE)
        session = await sessions.sign_in(EMAIL, PASSWORD, now=later, trace_id=TRACE)

        assert session.user_id == person.user_id

    async def test_counts_failures_anew_after_a_success(self, person: Actor, now: datetime) -> None:
        await fail(rules.LOCK_AFTER - 1, now)
        await sessions.sign_in(EMAIL, PASSWORD, now=now, trace_id=TRACE)
        await fail(rules.LOCK_AFTER - 1, now)

        assert await sessions.sign_in(EMAIL, PASSWORD, now=now, trace_id=TRACE)

    async def test_is_refused_to_the_right_password_that_came_with_too_many_wrong_ones(
        self, person: Actor, tenant: Tenant, now: datetime
    ) -> None:
        """All are checked before the first is counted; the right one is counted last and finds the account locked."""

        def count(is_right: bool):
            return db.run(tenant.system, lambda tx: sessions.attempt(tx, EMAIL, is_right=is_right, now=now))

        await asyncio.gather(*(count(False) for _ in range(rules.LOCK_AFTER)))

        assert await count(True) is None


class TestRefresh:
    async def test_ends_after_its_days(self, person: Actor, now: datetime) -> None:
        session = await sessions.sign_in(EMAIL, PASSWORD, now=now, trace_id=TRACE)

        with pytest.raises(SessionEnded):
            await sessions.refresh(
                session.refresh_token, now=now + timedelta(days=rules.REFRESH_DAYS), trace_id=TRACE
            )  # fmt: skip

    async def test_is_given_once_when_two_come_at_once(self, person: Actor, now: datetime) -> None:
        session = await sessions.sign_in(EMAIL, PASSWORD, now=now, trace_id=TRACE)

        outcomes = await asyncio.gather(
            *(sessions.refresh(session.refresh_token, now=now, trace_id=TRACE) for _ in range(4)),
            return_exceptions=True,
        )

        assert sum(isinstance(outcome, sessions.Session) for outcome in outcomes) == 1

    async def test_ends_with_the_account(self, person: Actor, tenant: Tenant, now: datetime) -> None:
        session = await sessions.sign_in(EMAIL, PASSWORD, now=now, trace_id=TRACE)
        change = operations.Change(roles=["analyst"])

        await db.run(tenant.admin, lambda tx: operations.update(tx, person.user_id, change, now=now))

        with pytest.raises(SessionEnded):
            await sessions.refresh(session.refresh_token, now=now, trace_id=TRACE)


class TestSecrets:
    async def test_are_kept_as_hashes_only(self, person: Actor, tenant: Tenant, now: datetime) -> None:
        session = await sessions.sign_in(EMAIL, PASSWORD, now=now, trace_id=TRACE)

        async with db.transaction(tenant.system) as tx:
            rows = await tx.fetch(
                "select t::text from crm.user_session t union all select t::text from crm.user_account t"
            )
        stored = " ".join(row[0] for row in rows)
        assert "$argon2id$" in stored
        for secret in (PASSWORD, session.refresh_token, session.access_token):
            assert secret not in stored
            assert secret.encode().hex() not in stored


class TestLastAdministrator:
    async def test_stays_when_two_close_each_other_at_once(self, tenant: Tenant, now: datetime) -> None:
        second = await db.run(
            tenant.admin,
            lambda tx: operations.create(tx, email="b@acme.example", name="B", roles=["admin"], now=now),
        )
        close = operations.Change(is_active=False)

        outcomes = await asyncio.gather(
            *(
                db.run(tenant.admin, lambda tx, who=who: operations.update(tx, who, close, now=now))
                for who in (second, tenant.admin.user_id)
            ),
            return_exceptions=True,
        )

        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["LastAdministrator", "NoneType"]
