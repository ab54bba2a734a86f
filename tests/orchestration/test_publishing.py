"""Publication: readers see the last good one or the new one, whatever fails or dies meanwhile."""

import itertools
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from crm.settings import APP_ROLE
from crm.settings import settings as our_settings
from orchestration import publishing, relations, warehouse
from orchestration.relations import Relation
from tests.conftest import NOW, Tenant


def relation(
    name: str,
    domain: str = "leads",
    *,
    entity: Sequence[str] = (),
    is_view: bool = False,
    day: str = "",
    reads: Sequence[str] = (),
) -> Relation:
    """A relation of the workshop of these tests."""
    return Relation(name, f"model.santral.{name}", domain, is_view, False, tuple(entity), frozenset(reads), day)


ENTITY = ("tenant_id", "lead_id")
WORKSHOP = (
    relation("fct_cycle", entity=ENTITY, day="received_on"),
    relation("fct_interval", entity=ENTITY),
    relation("dim_owner"),
    relation("loose"),
    relation("fct_reached", is_view=True),
    relation("fct_call", "telephony", entity=("tenant_id", "call_id")),
    relation("fct_sale", "money", reads=["leads"]),
)
TRANSACTIONS = itertools.count(100)
MADE = """
create table marts.fct_cycle (tenant_id uuid not null, lead_id int not null, cycle_no int not null, n int,
  source_max_recorded_at timestamptz, source_max_tx_id bigint, received_on date default '2026-03-03',
  primary key (tenant_id, lead_id, cycle_no));
create table marts.fct_interval (tenant_id uuid not null, lead_id int not null, n int, source_max_tx_id bigint);
create table marts.dim_owner (tenant_id uuid not null, owner_id int primary key, n int);
create table marts.loose (tenant_id uuid, n int);
create view marts.fct_reached as select tenant_id, lead_id, n > 0 as is_reached from marts.fct_cycle;
create table marts.fct_call (tenant_id uuid not null, call_id int primary key, n int, source_max_tx_id bigint);
create table marts.fct_sale (tenant_id uuid not null, sale_id int primary key);
insert into ops.horizon (tx_id, pinned_at) values ('1', now());
"""


@pytest.fixture
def workshop(database: str, tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> Iterator[psycopg.Connection]:
    """The pipeline's connection to a workshop with a few relations, which are all there are."""
    monkeypatch.setattr(relations, "all_relations", lambda: WORKSHOP)
    monkeypatch.setattr(publishing, "WITH_EACH", {})
    with warehouse.connect() as connection:
        connection.execute(MADE)
        yield connection


def write(connection: psycopg.Connection, tenant: Tenant, tx_id: int, leads: Sequence[int], n: int) -> None:
    """What a build does: the rows of some leads go and come back, in two facts, each by itself."""
    values = {"tenant": tenant.id, "leads": list(leads), "n": n, "tx": tx_id}
    added = {
        "fct_cycle": "lead, 1, %(n)s, now(), %(tx)s from unnest(%(leads)s::int[]) as lead",
        "fct_interval": "lead, 1, %(tx)s from unnest(%(leads)s::int[]) as lead, generate_series(1, %(n)s)",
    }
    for name, rows in added.items():
        connection.execute(
            f"delete from marts.{name} where tenant_id = %(tenant)s and lead_id = any(%(leads)s)", values
        )
        connection.execute(f"insert into marts.{name} select %(tenant)s, {rows}", values)


def built(*domains: str, failed: Sequence[str] = (), fails_for: Sequence[Tenant] = ()) -> None:
    publishing.begin(domains)
    publishing.end(domains, failed=failed, held=[firm.id for firm in fails_for])


def held(connection: psycopg.Connection, schema: str, name: str, firm: Tenant | None = None) -> list[Any]:
    found = connection.execute(f"select tenant_id, row(each)::text from {schema}.{name} as each").fetchall()
    return sorted(row for owner, row in found if firm is None or owner == firm.id)


def is_level(connection: psycopg.Connection, domain: str = "leads", firm: Tenant | None = None) -> bool:
    names = [one.name for one in WORKSHOP if one.domain == domain]
    return all(held(connection, "published", name, firm) == held(connection, "marts", name, firm) for name in names)


def what_stands(connection: psycopg.Connection, firm: Tenant, schema: str = "published") -> dict[str, list[Any]]:
    return {one.name: held(connection, schema, one.name, firm) for one in WORKSHOP if one.domain == "leads"}


def close_gate(connection: psycopg.Connection, firm: Tenant) -> None:
    """Let the gate of leads find most of a firm's day bad."""
    told = {"firm": firm.id, "at": NOW}
    connection.execute(
        "insert into ops.border_day (tenant_id, feed, part, day, rows, figures, counted_at)"
        " values (%(firm)s, 'raw/leads', 'meta/spring', '2026-03-03', 10, '{}', %(at)s) on conflict do nothing", told,
    )  # fmt: skip
    connection.execute(
        "insert into ops.quarantine (tenant_id, feed, set_key, label, day, rules, reasons, reasons_tr, weight, status,"
        " since, judged_at) values (%(firm)s, 'raw/leads', 'x', 'x', '2026-03-03', '{}', '{}', '{}', 8, 'held', %(at)s,"
        " %(at)s) on conflict (tenant_id, feed, set_key) do update set status = 'held'", told,
    )  # fmt: skip


def open_gate(connection: psycopg.Connection, firm: Tenant) -> None:
    connection.execute("update ops.quarantine set status = 'cleared' where tenant_id = %s", (firm.id,))


def at(connection: psycopg.Connection, minute: int) -> datetime:
    """Let the next builds read everything up to some minute."""
    instant = NOW + timedelta(minutes=minute)
    connection.execute("update ops.horizon set pinned_at = %s", (instant,))
    return instant


class TestPublish:
    def test_brings_everything_of_green_domains_and_says_as_of_when(self, workshop, tenant, other_tenant):
        write(workshop, tenant, 7, [1, 2, 3], 2)
        write(workshop, other_tenant, 7, [4], 1)
        workshop.execute("insert into marts.dim_owner values (%s, 1, 1)", (tenant.id,))
        workshop.execute("insert into marts.loose select %s, 1 from generate_series(1, 2)", (tenant.id,))
        built("leads", "telephony")

        first = publishing.publish()
        again = publishing.publish()

        assert is_level(workshop)
        assert is_level(workshop, "telephony")
        assert {moved.domain: moved.rows.come for moved in first.moved} == {"leads": 4 + 7 + 1 + 2, "telephony": 0}
        assert (first.problems, again.moved) == ({}, [])
        stands = workshop.execute(
            "select tenant_id, domain, publication_id, as_of = (select pinned_at from ops.horizon),"
            "       source_max_recorded_at is not null from ops.publication"
        ).fetchall()
        assert sorted(stands) == sorted(
            (each.id, domain, first.id, True, domain == "leads")
            for each in (tenant, other_tenant)
            for domain in ("leads", "telephony")
        )

    def test_lays_together_what_is_asked_for_together(self, workshop, tenant, other_tenant):
        for firm in (tenant, other_tenant):
            write(workshop, firm, 7, range(1, 9), 1)
        workshop.execute("update marts.fct_cycle set received_on = received_on - lead_id * 5 % 8")
        built("leads")

        publishing.publish()

        laid = workshop.execute("select tenant_id, received_on from published.fct_cycle order by ctid").fetchall()
        found = workshop.execute("select indexdef from pg_indexes where schemaname = 'published'").fetchall()
        assert laid == sorted(laid)
        assert any(definition.endswith("fct_cycle USING btree (tenant_id, received_on)") for (definition,) in found)

    def test_moves_only_what_differs(self, workshop, tenant):
        write(workshop, tenant, 7, range(10), 1)
        workshop.execute("insert into marts.dim_owner select %s, n, n from generate_series(1, 10) as n", (tenant.id,))
        built("leads")
        publishing.publish()
        write(workshop, tenant, 8, [1], 3)
        workshop.execute("update marts.dim_owner set n = 0 where owner_id = 1")
        workshop.execute("delete from marts.dim_owner where owner_id = 2")
        built("leads")

        (moved,) = publishing.publish().moved

        assert is_level(workshop)
        assert (moved.rows.gone, moved.rows.come) == (1 + 1 + 2, 1 + 3 + 1)

    def test_follows_entities_that_vanished_and_tables_built_anew(self, workshop, tenant):
        write(workshop, tenant, 7, [1, 2], 1)
        built("leads")
        publishing.publish()
        workshop.execute("delete from marts.fct_cycle where lead_id = 1")
        workshop.execute("create table marts.anew (like marts.fct_interval including all)")
        workshop.execute("insert into marts.anew select tenant_id, lead_id, 9, 7 from marts.fct_interval")
        workshop.execute("drop table marts.fct_interval")
        workshop.execute("alter table marts.anew rename to fct_interval")
        built("leads")

        publishing.publish()

        assert is_level(workshop)
        assert workshop.execute("select count(*), min(n) from published.fct_interval").fetchone() == (2, 9)

    def test_follows_columns_that_come_go_and_change_with_the_views_that_read_them(self, workshop, tenant):
        write(workshop, tenant, 7, [1], 1)
        built("leads")
        publishing.publish()
        workshop.execute("create view snap.reached as select lead_id from published.fct_reached")
        workshop.execute(f"grant select on snap.reached to {APP_ROLE}")
        workshop.execute("drop view marts.fct_reached; alter table marts.fct_cycle drop n")
        workshop.execute(
            "alter table marts.fct_cycle add label text default 'x'; alter table marts.dim_owner add m int"
        )
        workshop.execute("create view marts.fct_reached as select tenant_id, lead_id, label from marts.fct_cycle")
        built("leads")

        publication = publishing.publish()

        assert publication.problems == {}
        assert is_level(workshop)
        assert workshop.execute("select lead_id from snap.reached").fetchall() == [(1,)]
        assert workshop.execute(f"select has_table_privilege('{APP_ROLE}', 'snap.reached', 'select')").fetchone()[0]

    def test_a_domain_that_failed_or_died_keeps_what_stood_while_others_go_on(self, workshop, tenant):
        write(workshop, tenant, 7, [1], 1)
        workshop.execute("insert into marts.fct_call values (%s, 1, 1, 7)", (tenant.id,))
        built("leads", "telephony")
        publishing.publish()
        write(workshop, tenant, 8, [2], 1)
        workshop.execute("insert into marts.fct_call values (%s, 2, 2, 8)", (tenant.id,))
        built("leads", failed=["fct_cycle_holds"])
        built("telephony")

        first = publishing.publish()
        publishing.begin(["leads"])  # and its build dies
        second = publishing.publish()

        assert [moved.domain for moved in (*first.moved, *second.moved)] == ["telephony"]
        assert is_level(workshop, "telephony")
        assert workshop.execute("select count(*) from published.fct_cycle").fetchone() == (1,)
        times = dict(workshop.execute("select domain, min(published_at) from ops.publication group by 1").fetchall())
        assert times["leads"] < times["telephony"]

    def test_shows_a_tenant_its_own_rows(self, workshop, tenant, other_tenant):
        write(workshop, tenant, 7, [1, 2], 1)
        write(workshop, other_tenant, 7, [3], 1)
        built("leads")
        publishing.publish()

        with psycopg.connect(_app()) as reader:
            reader.execute("select set_config('app.tenant_id', %s, false)", (str(other_tenant.id),))
            seen = [
                reader.execute(f"select count(*), min(lead_id) from published.{name}").fetchone()
                for name in ("fct_cycle", "fct_interval", "fct_reached")
            ]
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute("delete from published.fct_cycle")

        assert seen == [(1, 3)] * 3

    @given(data=st.data())
    @settings(
        max_examples=6 if settings.default.max_examples <= 100 else 500,
        phases=[Phase.explicit, Phase.generate],  # examples build on one another's state: none can be made smaller
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    def test_whatever_happened_in_the_workshop_published_is_the_same(self, workshop, tenant, other_tenant, data):
        """Of a firm whose gate is closed it is what it was before that, whatever happens to it and around it."""
        open_gate(workshop, other_tenant)
        built("leads")
        publishing.publish()
        good = what_stands(workshop, other_tenant)
        for step in range(data.draw(st.integers(1, 4))):
            for firm in (tenant, other_tenant):
                leads = data.draw(st.lists(st.integers(1, 6), unique=True, max_size=4))
                write(workshop, firm, next(TRANSACTIONS), leads, data.draw(st.integers(0, 3)))
            for lead in data.draw(st.lists(st.integers(1, 6), max_size=1)):
                workshop.execute("delete from marts.fct_interval where lead_id = %s", (lead,))
            for owner in data.draw(st.lists(st.integers(1, 4), max_size=3)):
                workshop.execute(
                    "insert into marts.dim_owner values (%(t)s, %(o)s, %(n)s)"
                    " on conflict (owner_id) do update set n = excluded.n",
                    {"t": data.draw(st.sampled_from([tenant, other_tenant])).id, "o": owner, "n": step},
                )
            workshop.execute("insert into marts.loose values (%s, %s)", (tenant.id, data.draw(st.integers(0, 1))))
            is_closed = data.draw(st.booleans())
            (close_gate if is_closed else open_gate)(workshop, other_tenant)
            if data.draw(st.booleans()):
                built("leads")
                publishing.publish()
                good = good if is_closed else what_stands(workshop, other_tenant, "marts")
                assert is_level(workshop, firm=tenant)
                assert what_stands(workshop, other_tenant) == good
        open_gate(workshop, other_tenant)
        built("leads")

        problems = publishing.publish().problems

        assert problems == {}
        assert is_level(workshop)


class TestClosedGate:
    """A firm whose data is bad keeps its last good numbers, tick by tick; everybody else's go on."""

    def publish(self, workshop: psycopg.Connection, minute: int, *domains: str) -> datetime:
        instant = at(workshop, minute)
        built(*(domains or ("leads", "telephony")))
        assert publishing.publish().problems == {}
        return instant

    def as_of(self, workshop: psycopg.Connection, firm: Tenant) -> dict[str, datetime]:
        return dict(
            workshop.execute("select domain, as_of from ops.publication where tenant_id = %s", (firm.id,)).fetchall()
        )

    def test_holds_one_firm_at_every_tick_and_brings_all_it_missed(self, workshop, tenant, other_tenant):
        write(workshop, tenant, 7, [1, 2], 1)
        write(workshop, other_tenant, 7, [1, 2], 1)
        first = self.publish(workshop, 0)
        good = what_stands(workshop, other_tenant)
        close_gate(workshop, other_tenant)
        for tick in (1, 2):
            write(workshop, tenant, 7 + tick, [tick + 2], 1)
            write(workshop, other_tenant, 7 + tick, [tick + 2], 2)
            workshop.execute("insert into marts.loose values (%s, 1), (%s, 1)", (tenant.id, other_tenant.id))
            held_at = self.publish(workshop, tick)

            assert what_stands(workshop, other_tenant) == good
            assert is_level(workshop, firm=tenant)
            assert self.as_of(workshop, other_tenant) == {"leads": first, "telephony": held_at}
            assert set(self.as_of(workshop, tenant).values()) == {held_at}

        open_gate(workshop, other_tenant)
        again = self.publish(workshop, 3)

        assert is_level(workshop)
        assert self.as_of(workshop, other_tenant)["leads"] == again
        spans = workshop.execute("select tenant_id, domain, since, until from ops.held_back").fetchall()
        assert spans == [(other_tenant.id, "leads", first, again)]

    def test_a_test_that_fails_for_one_firm_holds_it_in_whatever_reads_the_domain(self, workshop, tenant, other_tenant):
        def sell(sale: int) -> None:
            for firm, offset in ((tenant, 0), (other_tenant, 10)):
                write(workshop, firm, next(TRANSACTIONS), [sale], 1)
                workshop.execute("insert into marts.fct_sale values (%s, %s)", (firm.id, sale + offset))

        sell(1)
        self.publish(workshop, 0, "leads", "money")
        sell(2)
        built("leads", fails_for=[other_tenant])
        built("money")
        publishing.publish()
        sales = [held(workshop, "published", "fct_sale", firm) for firm in (tenant, other_tenant)]
        good = is_level(workshop, firm=tenant), is_level(workshop, firm=other_tenant)
        built("leads", failed=["a_table"])
        built("money")
        waits = [moved.domain for moved in publishing.publish().moved]
        self.publish(workshop, 1, "leads", "money")

        assert [len(of_firm) for of_firm in sales] == [2, 1]
        assert good == (True, False)
        assert waits == [], "what is made of a domain that failed waits for it"
        assert is_level(workshop)
        assert is_level(workshop, "money")

    def test_what_was_bad_when_it_was_built_is_held_though_it_was_mended_meanwhile(self, workshop, tenant):
        close_gate(workshop, tenant)
        write(workshop, tenant, 7, [1], 1)
        publishing.begin(["leads"])
        open_gate(workshop, tenant)
        publishing.end(["leads"])
        publishing.publish()
        held_back = what_stands(workshop, tenant)
        self.publish(workshop, 1)

        assert not any(held_back.values())
        assert is_level(workshop)

    def test_a_firm_that_comes_while_another_is_held_is_published_and_one_that_begins_badly_is_not(
        self, workshop, tenant, other_tenant
    ):
        close_gate(workshop, tenant)
        write(workshop, tenant, 7, [1], 1)
        write(workshop, other_tenant, 7, [1], 1)

        self.publish(workshop, 0)

        assert is_level(workshop, firm=other_tenant)
        assert not any(what_stands(workshop, tenant).values())
        assert "leads" not in self.as_of(workshop, tenant), "it has no numbers yet, rather than none of anything"
        open_gate(workshop, tenant)
        self.publish(workshop, 1)
        assert is_level(workshop)

    def test_old_rows_outlive_a_table_that_is_made_anew(self, workshop, tenant, other_tenant):
        write(workshop, tenant, 7, [1], 1)
        write(workshop, other_tenant, 7, [1], 1)
        self.publish(workshop, 0)
        close_gate(workshop, other_tenant)
        write(workshop, other_tenant, 8, [2], 1)
        workshop.execute("drop view marts.fct_reached; alter table marts.fct_cycle drop n, add label text")
        workshop.execute("update marts.fct_cycle set label = 'x'")
        workshop.execute("create view marts.fct_reached as select tenant_id, lead_id, label from marts.fct_cycle")

        self.publish(workshop, 1)

        rows = workshop.execute("select tenant_id, lead_id, label from published.fct_reached").fetchall()
        assert sorted(rows, key=str) == sorted([(tenant.id, 1, "x"), (other_tenant.id, 1, None)], key=str)
        open_gate(workshop, other_tenant)
        self.publish(workshop, 2)
        assert is_level(workshop)


class TestReaders:
    """What readers meet while publications come, fail and die."""

    def test_never_see_a_mixture(self, workshop, tenant):
        write(workshop, tenant, 1, range(40), 1)
        built("leads", "telephony")
        publishing.publish()
        mixtures: list[Any] = []
        looks, stop = [0], threading.Event()

        def look() -> None:
            with psycopg.connect(_app(), autocommit=True) as reader:
                reader.execute("select set_config('app.tenant_id', %s, false)", (str(tenant.id),))
                while not stop.is_set():
                    found = reader.execute(INVARIANT).fetchone()
                    looks[0] += 1
                    if found[0] != 0 or found[1] > 1:
                        mixtures.append(found)

        reader = threading.Thread(target=look)
        reader.start()
        chance = random.Random(5)
        for round_no in range(2, 14):
            write(workshop, tenant, round_no, range(40), round_no % 3 + 1)
            fails = chance.random() < 0.3
            built("leads", failed=["a_check"] if fails else [])
            publishing.publish()
            if chance.random() < 0.2:
                workshop.execute(f"alter table marts.fct_cycle add more_{round_no} int")
        stop.set()
        reader.join()

        assert mixtures == []
        assert looks[0] > 20

    def test_a_publication_that_is_killed_leaves_the_last_good_one(self, workshop, tenant):
        write(workshop, tenant, 1, range(300), 2)
        built("leads")
        publishing.publish()
        before = {one.name: held(workshop, "published", one.name) for one in WORKSHOP[:4]}
        chance, killed = random.Random(11), 0
        for round_no in range(2, 5):
            write(workshop, tenant, round_no, range(300), round_no)
            built("leads")
            with _publisher() as process:
                time.sleep(chance.random() * 0.05)
                process.send_signal(signal.SIGKILL)
                process.wait()
            now = {one.name: held(workshop, "published", one.name) for one in WORKSHOP[:4]}
            whole = is_level(workshop)
            killed += not whole
            assert whole or now == before, "all of it or nothing"
            with warehouse.one_writer():  # the dead one's connection ends before anybody else builds or publishes
                publishing.publish()
            assert is_level(workshop)
            before = {one.name: held(workshop, "published", one.name) for one in WORKSHOP[:4]}
        assert killed


INVARIANT = """
select (select coalesce(sum(n), 0) from published.fct_cycle) - (select count(*) from published.fct_interval),
       (select count(distinct source_max_tx_id) from published.fct_cycle)
"""
"""A lead's cycle has as many intervals as it says, and all were written by one build."""

PUBLISHER = """
import sys
from orchestration import publishing, relations, warehouse
from tests.orchestration.test_publishing import WORKSHOP
relations.all_relations, publishing.WITH_EACH = lambda: WORKSHOP, {}
with warehouse.one_writer():
    print("ready", flush=True)
    publishing.publish()
"""


def _publisher() -> "subprocess.Popen[bytes]":
    """Start a process that publishes; it is about to when this returns."""
    process = subprocess.Popen([sys.executable, "-c", PUBLISHER], stdout=subprocess.PIPE, env=os.environ)
    assert process.stdout
    assert process.stdout.readline() == b"ready\n"
    return process


def _app() -> str:
    url = our_settings().role_url(APP_ROLE, driver="psycopg").set(drivername="postgresql")
    return url.render_as_string(hide_password=False)
