"""Possible duplicates as they are kept: asked about once, decided by a person, and followed through merges."""

import asyncio
import json

import pytest

from crm import db, ids
from crm.contacts import operations as contacts
from crm.contacts.operations import NewContact
from crm.duplicates import candidates, operations
from crm.duplicates.candidates import Pair
from crm.review import operations as reviews
from crm.review import queries
from crm.review.queries import Wanted
from crm.review.rules import Kind


async def do(actor, operation, *args, **kwargs):
    """Run one operation in a transaction of its own."""
    return await db.run(actor, lambda tx: operation(tx, *args, **kwargs))


async def rows(tenant, sql, *args):
    async with db.transaction(tenant.system) as tx:
        return await tx.fetch(sql, *args)


async def found(tenant):
    return await rows(tenant, "select * from crm.duplicate_candidate order by found_at, id")


class TestPropose:
    async def make(self, tenant, now):
        one = await do(tenant.admin, contacts.create, NewContact("Ayşe"), now=now)
        other = await do(tenant.admin, contacts.create, NewContact("Ayşe"), now=now)
        return one, other

    async def propose(self, tenant, pair, now, *, source="rules"):
        return await do(tenant.system, candidates.propose, [pair], source=source, now=now)

    async def test_asks_once(self, tenant, now):
        pair = Pair.of(*await self.make(tenant, now), 0.7, ["same_name"])

        assert await self.propose(tenant, pair, now) == 1
        assert await self.propose(tenant, pair, now) == 0

    async def test_a_models_score_is_kept_where_it_is_higher(self, tenant, now):
        one, other = await self.make(tenant, now)
        await self.propose(tenant, Pair.of(one, other, 0.7, ["same_name"]), now)

        await self.propose(tenant, Pair.of(other, one, 0.97, ["splink"]), now, source="splink")

        (kept,) = await found(tenant)
        assert (kept["source"], round(kept["score"], 2), kept["reasons"]) == ("splink", 0.97, ["same_name", "splink"])

    async def test_what_was_dismissed_comes_back_with_a_new_sign_only(self, tenant, now):
        one, other = await self.make(tenant, now)
        await self.propose(tenant, Pair.of(one, other, 0.7, ["same_name"]), now)
        (kept,) = await found(tenant)
        await do(tenant.admin, candidates.dismiss, kept["id"], "different_people", now=now)

        assert await self.propose(tenant, Pair.of(one, other, 0.9, ["same_name"]), now) == 0
        assert (await found(tenant))[0]["status"] == "dismissed"
        assert await self.propose(tenant, Pair.of(one, other, 0.7, ["conflicting_keys"]), now) == 1
        assert (await found(tenant))[0]["status"] == "open"

    async def test_of_two_deciding_at_once_one_wins(self, tenant, now):
        await self.propose(tenant, Pair.of(*await self.make(tenant, now), 0.7, ["same_name"]), now)
        (kept,) = await found(tenant)

        ended = await asyncio.gather(
            *(do(tenant.admin, candidates.dismiss, kept["id"], "different_people", now=now) for _ in range(2)),
            return_exceptions=True,
        )

        assert sorted(str(type(each).__name__) for each in ended) == ["AlreadyDecided", "NoneType"]

    async def test_a_merge_settles_it_and_undoing_says_no(self, tenant, now):
        one, other = await self.make(tenant, now)
        await self.propose(tenant, Pair.of(one, other, 0.7, ["same_name"]), now)

        merge = await do(tenant.admin, operations.merge, one, other, now=now)
        assert [(row["status"], row["merge_id"]) for row in await found(tenant)] == [("merged", merge)]
        await do(tenant.admin, operations.undo, merge, now=now)

        assert [(row["status"], row["dismissal_reason"]) for row in await found(tenant)] == [("dismissed", "unmerged")]

    async def test_what_one_does_not_see_one_does_not_decide(self, tenant, other_tenant, now):
        await self.propose(tenant, Pair.of(*await self.make(tenant, now), 0.7, ["same_name"]), now)
        (kept,) = await found(tenant)

        for actor, which in (
            (tenant.sales_manager, kept["id"]),
            (other_tenant.admin, kept["id"]),
            (tenant.admin, ids.new()),
        ):
            with pytest.raises(candidates.CandidateNotFound):
                await do(actor, candidates.dismiss, which, "different_people", now=now)


class TestSides:
    """What is known of a pair outlives a merge of either, and comes apart with it."""

    async def make(self, tenant, now):
        return [await do(tenant.admin, contacts.create, NewContact(name), now=now) for name in ("Ayşe", "Ay", "Can")]

    async def propose(self, tenant, one, other, now, *reasons):
        return await do(tenant.system, candidates.propose, [Pair.of(one, other, 0.9, reasons)], source="rules", now=now)

    async def asked(self, tenant, actor=None):
        wanted = Wanted([Kind.duplicate])
        page = await do(actor or tenant.admin, queries.page, wanted)
        counted = await do(actor or tenant.admin, queries.counts, wanted)
        assert counted == {"duplicate": len(page.items)}
        return [(item["id"], {item["first_id"], item["second_id"]}) for item in map(json.loads, page.items)]

    async def test_are_the_contacts_that_they_are_now(self, tenant, now):
        one, other, third = await self.make(tenant, now)
        await self.propose(tenant, other, third, now, "conflicting_keys")
        ((item, _),) = await self.asked(tenant)

        merge = await do(tenant.admin, operations.merge, one, other, now=now)
        assert await self.asked(tenant) == [(item, {str(one), str(third)})]
        shown = await do(tenant.admin, queries.read, Kind.duplicate, (await found(tenant))[0]["id"])
        assert {each["id"] for each in shown["contacts"]} == {str(one), str(third)}
        await do(tenant.admin, operations.undo, merge, now=now)

        assert await self.asked(tenant) == [(item, {str(other), str(third)})]

    async def test_of_a_chain_are_its_end(self, tenant, now):
        one, other, third = await self.make(tenant, now)
        fourth = await do(tenant.admin, contacts.create, NewContact("Can"), now=now)
        await self.propose(tenant, one, fourth, now, "conflicting_keys")
        await do(tenant.admin, operations.merge, other, one, now=now)
        await do(tenant.admin, operations.merge, third, other, now=now)

        assert [sides for _, sides in await self.asked(tenant)] == [{str(third), str(fourth)}]

    async def test_that_are_one_ask_nobody(self, tenant, now):
        one, other, third = await self.make(tenant, now)
        for pair in ((one, other), (other, third), (one, third)):
            await self.propose(tenant, *pair, now, "same_name")
        await do(tenant.admin, operations.merge, one, other, now=now)
        await do(tenant.admin, operations.merge, one, third, now=now)

        assert await self.asked(tenant) == []
        for row in await found(tenant):
            with pytest.raises(candidates.AlreadyDecided):
                await do(tenant.admin, candidates.dismiss, row["id"], "different_people", now=now)

    async def test_are_asked_about_once_unless_there_is_another_sign(self, tenant, now):
        one, other, third = await self.make(tenant, now)
        await self.propose(tenant, one, third, now, "same_name", "complementary")
        await self.propose(tenant, other, third, now, "same_name")
        await do(tenant.admin, operations.merge, one, other, now=now)
        assert len(await self.asked(tenant)) == 1

        await self.propose(tenant, other, third, now, "conflicting_keys")

        assert len(await self.asked(tenant)) == 2

    async def test_are_merged_and_undone_by_the_word_that_named_another(self, tenant, now):
        one, other, third = await self.make(tenant, now)
        await self.propose(tenant, other, third, now, "conflicting_keys")
        await do(tenant.admin, operations.merge, one, other, now=now)
        (row,) = await found(tenant)

        done = await do(tenant.admin, reviews.merge, row["id"], one, now=now)
        (row,) = await found(tenant)
        assert (row["status"], row["merge_id"]) == ("merged", done.merge_id)
        await do(tenant.admin, operations.undo, done.merge_id, now=now)

        (row,) = await found(tenant)
        assert (row["status"], row["dismissal_reason"]) == ("dismissed", "unmerged")
        assert await self.asked(tenant) == []

    async def test_are_shown_to_who_sees_both_ends_only(self, tenant, now):
        one, other, third = await self.make(tenant, now)
        await self.propose(tenant, one, other, now, "same_name")
        (row,) = await found(tenant)
        await do(tenant.admin, operations.merge, one, other, now=now)
        await do(tenant.admin, operations.merge, third, one, now=now)

        assert (await do(tenant.admin, queries.read, Kind.duplicate, row["id"]))["status"] == "merged"
        with pytest.raises(queries.ItemNotFound):
            await do(tenant.sales_manager, queries.read, Kind.duplicate, row["id"])
        assert await self.asked(tenant, tenant.sales_manager) == []
