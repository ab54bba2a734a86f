"""Kept answers against any run of writes and reads: whoever asks, in whichever process, is told what is so now."""

import asyncio
import json
from collections import OrderedDict
from contextlib import AsyncExitStack, suppress
from datetime import timedelta

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from crm import db, filtering, ids, kept
from crm.contacts import operations as contacts
from crm.leads import assigning, intake, lists, operations
from crm.leads.filters import FIELDS
from crm.leads.intake import NewLead
from crm.leads.lists import Wanted
from crm.leads.rules import Status
from crm.sla import clocks
from tests.conftest import NOW

QUESTIONS = (
    ("tags:any:vip",), ("status:in:new,contacted",), ("status:not_in:new", "tags:none:vip"), ("owner:is:set",),
    ("owner:is:me",), ("team:is:mine",), ("name:starts:ada",), ("received_at:during:today",), ("sla:in:running",),
    ("sla:in:breached",), ("sla:in:running,breached",), ("sla_due:during:last_7d",),
    ("sla:not_in:running", "status:in:new"),
)  # fmt: skip
ROLES = ("admin", "sales_manager", "sales_agent")


class Lists(RuleBasedStateMachine):
    """Two processes that keep answers, people who write and ask, and a writer who takes long to commit."""

    def __init__(self, tenant, loop):
        super().__init__()
        self.tenant, self.loop, self.now = tenant, loop, NOW
        self.processes = [OrderedDict(), OrderedDict()]
        self.screens = [("admin", ("tags:any:vip",)), ("sales_manager", ("sla:in:running,breached",))]
        self.slow: AsyncExitStack | None = None
        self.held, *self.leads = [self.store() for _ in range(4)]

    def wait(self, work):
        """Run a coroutine on the test's own loop, to its end."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def write(self, work, role="admin"):
        self.wait(db.run(getattr(self.tenant, role), work))

    def store(self):
        lead = NewLead("api", name="Ada", email=f"{ids.new().hex}@example.com", team_id=self.tenant.team_id)
        stored = self.wait(db.run(self.tenant.system, lambda tx: intake.create(tx, lead, now=self.now)))
        return stored.lead_id

    @rule()
    def somebody_arrives(self):
        self.leads.append(self.store())

    @rule(which=st.integers(0), tag=st.sampled_from(("vip", "cold")))
    def tags_change(self, which, tag):
        lead = self.leads[which % len(self.leads)]
        self.write(lambda tx: operations.update(tx, lead, {"tags": [tag]}, now=self.now))

    @rule(which=st.integers(0), to=st.sampled_from((Status.contacted, Status.interested, Status.no_answer)))
    def status_changes(self, which, to):
        lead = self.leads[which % len(self.leads)]
        self.write(lambda tx: operations.change_status(tx, lead, to, now=self.now))

    @rule(which=st.integers(0), role=st.sampled_from(ROLES))
    def hands_change(self, which, role):
        lead, person = self.leads[which % len(self.leads)], getattr(self.tenant, role).user_id
        self.write(lambda tx: assigning.assign(tx, lead, person, reason="manual", now=self.now))

    @rule(which=st.integers(0), name=st.sampled_from(("Ada Lovelace", "Can")))
    def somebody_is_renamed(self, which, name):
        async def rename(tx):
            lead = self.leads[which % len(self.leads)]
            contact = await tx.fetchval("select contact_id from crm.lead where id = $1::uuid", lead)
            await contacts.update(tx, contact, {"name": name}, now=self.now)

        self.write(rename)

    @rule(minutes=st.sampled_from((0, 10, 600)))
    def time_passes_and_clocks_are_settled(self, minutes):
        self.now += timedelta(minutes=minutes)
        self.write(lambda tx: clocks.settle(tx, self.leads, now=self.now))

    @rule(tag=st.sampled_from(("vip", "cold")))
    def a_slow_writer_begins(self, tag):
        if self.slow is None:
            self.slow = AsyncExitStack()
            self.wait(self._begin(tag))

    async def _begin(self, tag):
        tx = await self.slow.enter_async_context(db.transaction(self.tenant.admin))
        await operations.update(tx, self.held, {"tags": [tag, ids.new().hex]}, now=self.now)

    @rule(commits=st.booleans())
    def the_slow_writer_ends(self, commits):
        if self.slow is not None:
            slow, self.slow = self.slow, None
            self.wait(_end(slow, commits=commits))

    @rule(process=st.integers(0, 1), role=st.sampled_from(ROLES), question=st.sampled_from(QUESTIONS))
    def somebody_asks_something_else(self, process, role, question):
        self.screens[process] = role, question

    @invariant()
    def everybody_is_told_what_is_so(self):
        """Each process, asked again and once more, says what one that keeps nothing says."""
        for answers, (role, question) in zip(self.processes, self.screens, strict=True):
            actor = getattr(self.tenant, role)
            told = [self.wait(self.ask(answers, actor, question)) for _ in range(2)]

            assert told == [self.wait(self.ask(OrderedDict(), actor, question))] * 2, (role, question)

    async def ask(self, answers, actor, question):
        kept._answers = answers
        wanted = Wanted(filtering.parse_all(question, FIELDS, personal=True), count=True)
        listed = await db.run(actor, lambda tx: lists.page(tx, wanted, language="en", now=self.now))
        return [json.loads(item) for item in listed.items], listed.count

    def teardown(self):
        self.the_slow_writer_ends(commits=False)


async def _end(slow, *, commits):
    """Commit, or roll back as a transaction does whose work failed."""
    failed = None if commits else RuntimeError("gone")
    with suppress(RuntimeError):
        await slow.__aexit__(type(failed) if failed else None, failed, None)


async def test_nobody_is_told_what_is_no_longer_so(tenant, monkeypatch):
    """Not the writer, not their team, not another process, not beside a transaction that commits late."""
    monkeypatch.setattr(kept, "SLOW", 0.0)
    monkeypatch.setattr(kept, "_answers", OrderedDict())
    loop, given = asyncio.get_running_loop(), []

    class Counting(OrderedDict):
        """Answers that count how often one is given again."""

        def move_to_end(self, *args, **kwargs):
            given.append(1)
            super().move_to_end(*args, **kwargs)

    def machine():
        lists_ = Lists(tenant, loop)
        lists_.processes = [Counting(), Counting()]
        return lists_

    await asyncio.to_thread(
        run_state_machine_as_test,
        machine,
        settings=settings(
            max_examples=5, stateful_step_count=15, deadline=None, database=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip

    assert len(given) > 20, "answers are given from what was kept"
