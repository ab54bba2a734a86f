"""Sessions where HTTP does not show them: at exact instants, and at the same time."""

import asyncio
from datetime import datetime, timedelta

import pytest

from crm import clock, db, ids
from crm.actor import Actor
from crm.users import operations, own_password, passwords, rules, sessions, tokens
from crm.users.own_password import OldPasswordRefused, SamePassword
from crm.users.passwords import WeakPassword
from crm.users.revocations import Revocations
from crm.users.sessions import SessionEnded, SignInRefused
from tests.conftest import Tenant

PASSWORD = "mavi-kedi-42-uyur"
ANOTHER = "sarı-köpek-17-koşar"
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


async def stored(tenant: Tenant) -> str:
    """Return the hash of the person's password."""
    async with db.transaction(tenant.system) as tx:
        return await tx.fetchval("select password_hash from crm.user_account where email = $1::text", EMAIL)


async def enter(password: str, now: datetime) -> Actor:
    """Sign in; return who the access token says one is."""
    session = await sessions.sign_in(EMAIL, password, now=now, trace_id=TRACE)
    return tokens.read(session.access_token, now=now, trace_id=TRACE)


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

        def count(matched: str | None):
            return db.run(tenant.system, lambda tx: sessions.attempt(tx, EMAIL, matched=matched, now=now))

        await asyncio.gather(*(count(None) for _ in range(rules.LOCK_AFTER)))

        assert await count(await stored(tenant)) is None

    async def test_is_refused_when_the_password_was_changed_while_it_was_checked(
        self, person: Actor, tenant: Tenant, now: datetime
    ) -> None:
        before = await stored(tenant)
        await own_password.change(person, old=PASSWORD, new=ANOTHER, now=now)

        late = await db.run(tenant.system, lambda tx: sessions.attempt(tx, EMAIL, matched=before, now=now))

        assert late is None


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


class TestChangePassword:
    async def test_takes_the_new_one_and_ends_all_sessions_but_ones_own(
        self, person: Actor, tenant: Tenant, now: datetime
    ) -> None:
        elsewhere = await sessions.sign_in(EMAIL, PASSWORD, now=now, trace_id=TRACE)
        here = await sessions.sign_in(EMAIL, PASSWORD, now=now, trace_id=TRACE)
        me = tokens.read(here.access_token, now=now, trace_id=TRACE)

        await own_password.change(me, old=PASSWORD, new=ANOTHER, now=now)

        with pytest.raises(SessionEnded):
            await sessions.refresh(elsewhere.refresh_token, now=now, trace_id=TRACE)
        with pytest.raises(SignInRefused):
            await sessions.sign_in(EMAIL, PASSWORD, now=now, trace_id=TRACE)
        assert await sessions.refresh(here.refresh_token, now=now, trace_id=TRACE)
        assert await enter(ANOTHER, now)
        async with db.transaction(tenant.system) as tx:
            [event] = await tx.fetch("select * from crm.event_log where event_type = 'user.password_changed'")
            [audited] = await tx.fetch("select * from crm.audit_log where action = 'user.password_changed'")
        assert event["aggregate_id"] == event["actor_user_id"] == audited["actor_user_id"] == person.user_id

    async def test_counts_wrong_old_ones_and_locks(self, person: Actor, now: datetime) -> None:
        me = await enter(PASSWORD, now)
        for _ in range(rules.LOCK_AFTER):
            with pytest.raises(OldPasswordRefused):
                await own_password.change(me, old="not this one", new=ANOTHER, now=now)

        with pytest.raises(OldPasswordRefused):
            await own_password.change(me, old=PASSWORD, new=ANOTHER, now=now)
        with pytest.raises(SignInRefused):
            await sessions.sign_in(EMAIL, PASSWORD, now=now, trace_id=TRACE)

    async def test_is_done_by_one_of_two_who_know_the_old_one(self, person: Actor, now: datetime) -> None:
        me = await enter(PASSWORD, now)

        outcomes = await asyncio.gather(
            *(own_password.change(me, old=PASSWORD, new=f"{ANOTHER}-{n}", now=now) for n in range(2)),
            return_exceptions=True,
        )

        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NoneType", "OldPasswordRefused"]

    @pytest.mark.parametrize(("new", "refusal"), [("short", WeakPassword), (PASSWORD, SamePassword)])
    async def test_refuses_what_is_easy_or_nothing_new(
        self, person: Actor, now: datetime, new: str, refusal: type[Exception]
    ) -> None:
        me = await enter(PASSWORD, now)

        with pytest.raises(refusal) as refused:
            await own_password.change(me, old=PASSWORD, new=new, now=now)

        assert list(refused.value.fields) == ["new_password"]  # type: ignore[attr-defined]


class TestRevocations:
    async def test_know_what_ended_lately_and_ask_once_a_second(
        self, person: Actor, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("crm.users.revocations.EVERY", 3600.0)
        now = clock.utc_now()
        me, known = await enter(PASSWORD, now), Revocations()
        before = await known.has_ended(me.session_id)
        await db.run(
            tenant.admin,
            lambda tx: operations.update(tx, person.user_id, operations.Change(is_active=False), now=now),
        )

        soon = await known.has_ended(me.session_id)
        monkeypatch.setattr("crm.users.revocations.EVERY", 0.0)
        later = await known.has_ended(me.session_id)

        assert (before, soon, later) == (False, False, True)
        assert not await known.has_ended(None)
        assert not await known.has_ended(ids.new())

    async def test_forget_what_has_run_out_anyway(self, person: Actor, tenant: Tenant, now: datetime) -> None:
        me = await enter(PASSWORD, now)
        long_ago = clock.utc_now() - timedelta(minutes=rules.ACCESS_MINUTES + 2)
        await db.run(
            tenant.admin,
            lambda tx: operations.update(tx, person.user_id, operations.Change(roles=["analyst"]), now=long_ago),
        )

        assert not await Revocations().has_ended(me.session_id)


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
