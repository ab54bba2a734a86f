"""Firms that are held back: they keep their last good publication, whatever moves around them."""

from datetime import datetime

import psycopg

from orchestration import publishing
from tests.conftest import Tenant
from tests.orchestration.workshop import (
    TRANSACTIONS,
    at,
    built,
    close_gate,
    held,
    is_level,
    open_gate,
    what_stands,
    workshop,
    write,
)

__all__ = ["workshop"]


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
