"""Publication: what is green becomes what readers see, whatever happened in the workshop."""

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from crm.settings import APP_ROLE
from orchestration import publishing
from tests.orchestration.workshop import (
    TRANSACTIONS,
    as_reader,
    built,
    close_gate,
    is_level,
    open_gate,
    what_stands,
    workshop,
    write,
)

__all__ = ["workshop"]


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

        with psycopg.connect(as_reader()) as reader:
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
