"""Leads walked through machines that a firm changes on the way: model and database agree at every step."""

import asyncio
import itertools
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from crm import db, errors, tenant_settings
from crm.leads import operations, queries, quotes
from crm.leads.lifecycle import LIFECYCLE, LOSS_REASONS, Lifecycle, Needed
from crm.leads.rules import FOLLOWS, TERMINAL, Status
from crm.money import Money
from tests.crm.leads.test_operations import do, events_of, make_lead, row, rows

START = datetime(2026, 3, 3, 9, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PRICE = Money(100, "EUR")
DAYS = itertools.count()
"""Each walk has a day of its own: what a firm has set is never unset, and holds until it is set anew."""
STATUSES = st.sampled_from(Status)
BY_HAND = st.sampled_from([each for each in Status if each not in (Status.new, Status.assigned)])


def sound(parts):
    """Tell whether these parts make a machine."""
    try:
        Lifecycle.model_validate(parts)
    except ValidationError:
        return False
    return True


def sound_as(parts):
    """Return what these parts say: saying again what holds already is no change, and is not planned."""
    return Lifecycle.model_validate(parts)


MACHINES = st.fixed_dictionaries(
    {
        "follows": st.dictionaries(STATUSES, st.lists(BY_HAND, min_size=3, max_size=8, unique=True), max_size=4),
        "required": st.dictionaries(BY_HAND, st.lists(st.sampled_from(Needed), unique=True, max_size=2), max_size=4),
    },
    optional={"loss_reasons": st.just({"moved": {"tr": "Taşındı", "en": "Moved"}})},
).filter(sound)
REASONS = st.sampled_from([None, "price", "moved"])
NOTES = st.sampled_from([None, "said so"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), MACHINES, st.integers(0, 4)),
        st.tuples(st.just("move"), STATUSES, REASONS, NOTES),
        st.tuples(st.just("move"), STATUSES, REASONS, NOTES),
        st.tuples(st.just("reopen"), NOTES),
        st.tuples(st.just("quote")),
        st.tuples(st.just("sell"), NOTES),
    ),
    min_size=8,
    max_size=25,
)


@dataclass
class Model:
    """What a lead should be: worked out from the words of the setting, not by the code that reads it."""

    status: Status = Status.new
    cycle: int = 1
    reason: str | None = None
    has_quote: bool = False
    machines: list[tuple[datetime, dict]] = field(default_factory=list)
    walked: list[tuple[Status, int]] = field(default_factory=lambda: [(Status.new, 1)])

    def machine(self, at):
        held = [(since, place, parts) for place, (since, parts) in enumerate(self.machines) if since <= at]
        return max(held, key=lambda each: each[:2])[2] if held else {"follows": {}, "required": {}}

    def refusal(self, to, at, given):
        """Return the class of the refusal, or None."""
        parts = self.machine(at)
        if to not in parts["follows"].get(self.status, FOLLOWS[self.status]):
            return operations.BadTransition
        required = set(parts["required"].get(to, ())) | ({Needed.reason} if to is Status.lost else set())
        # Nothing in this walk names a procedure.
        has = {name for name, value in given.items() if value} | ({Needed.quote} if self.has_quote else set())
        if required - has:
            return operations.FieldsMissing
        reason = given.get(Needed.reason)
        if to is Status.lost and reason is not None and reason not in parts.get("loss_reasons", LOSS_REASONS):
            return operations.UnknownReason
        return None

    def go(self, to, reason=None):
        self.cycle += self.status in TERMINAL and to not in TERMINAL
        self.has_quote = self.has_quote and to not in TERMINAL
        self.status, self.reason = to, reason if to is Status.lost else None
        self.walked.append((to, self.cycle))


async def taken(actor, operation, *args, **kwargs):
    """Return the class of the refusal, or None."""
    try:
        await do(actor, operation, *args, **kwargs)
    except errors.CrmError as error:
        return type(error)
    return None


async def step(tenant, lead, model, what, *, now):
    """Do one step to both; return what it came to."""
    kind, *parts = what
    if kind == "set":
        machine, minutes = parts
        begins = now + minutes * MINUTE
        changed = await taken(
            tenant.admin, tenant_settings.change, LIFECYCLE.key, machine, now=now, valid_from=begins
        )  # fmt: skip
        if sound_as(machine) != sound_as(model.machine(begins)):
            model.machines.append((begins, machine))
        expected = None
    elif kind == "move":
        to, reason, note = parts
        expected = None if to is model.status else operations.BadTransition if to is Status.assigned else (
            model.refusal(to, now, {Needed.reason: reason, Needed.note: note})
        )  # fmt: skip
        changed = await taken(
            tenant.admin, operations.change_status, lead, to, reason=reason, note=note, now=now
        )  # fmt: skip
        if expected is None and to is not model.status:
            model.go(to, reason)
    elif kind == "reopen":
        given_fields = {Needed.reason: "came_back", Needed.note: parts[0]}
        is_over = model.status in TERMINAL
        expected = model.refusal(Status.recycled, now, given_fields) if is_over else operations.BadTransition
        changed = await taken(tenant.admin, operations.reopen, lead, reason="came_back", note=parts[0], now=now)
        if expected is None:
            model.go(Status.recycled)
    elif kind == "quote":
        expected = quotes.CycleEnded if model.status in TERMINAL else None
        changed = await taken(tenant.admin, quotes.make, lead, PRICE, now=now)
        model.has_quote = model.has_quote or expected is None
    else:
        expected = model.refusal(Status.won, now, {Needed.note: parts[0]})
        changed = await taken(tenant.admin, operations.record_sale, lead, PRICE, note=parts[0], now=now)
        if expected is None:
            model.go(Status.won)
    assert changed is expected, (what, model)
    return expected


class TestWalks:
    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(steps=STEPS)
    async def test_model_and_database_agree(self, tenant, steps):
        start = START + next(DAYS) * timedelta(days=1)
        lead, model = await make_lead(tenant, start), Model()
        await step(tenant, lead, model, ("set", {"follows": {}, "required": {}}, 0), now=start)

        for minute, what in enumerate(steps, start=1):
            await step(tenant, lead, model, what, now=start + minute * MINUTE)

        stored = await row(tenant, "select status, cycle_no, loss_reason from crm.lead where id = $1::uuid", lead)
        assert tuple(stored.values()) == (model.status, model.cycle, model.reason)
        async with db.transaction(tenant.system) as tx:
            history = await queries.status_history(tx, lead)
        assert [(each["status"], each["cycle_no"]) for each in history] == model.walked
        told = Counter(kind for kind, _ in await events_of(tenant, lead))
        assert told["lead.status_changed"] == len(model.walked) - 1
        assert told["lead.reopened"] == model.cycle - 1
        standing = await rows(
            tenant, "select from crm.sale where lead_id = $1::uuid and cycle_no = $2::int and cancelled_at is null",
            lead, model.cycle,
        )  # fmt: skip
        assert len(standing) <= (model.status is Status.won)


class TestConcurrentChange:
    async def test_each_lead_moves_by_one_machine_or_stays(self, tenant, now):
        """While leads move, the way they take is closed: each goes whole or stays as it was, and then nobody goes."""
        leads = [await make_lead(tenant, now) for _ in range(12)]
        closed = {"follows": {"new": ["contacted", "lost"]}}

        async def close():
            await do(tenant.admin, tenant_settings.change, LIFECYCLE.key, closed, now=now)

        moves = [taken(tenant.admin, operations.change_status, lead, Status.qualified, now=now) for lead in leads]
        moves.insert(6, close())
        answers = await asyncio.gather(*moves)
        del answers[6]

        assert set(answers) <= {None, operations.BadTransition}
        for lead, answer in zip(leads, answers, strict=True):
            stored = await row(tenant, "select status from crm.lead where id = $1::uuid", lead)
            assert stored["status"] == ("qualified" if answer is None else "new")
            assert len(await events_of(tenant, lead)) == (answer is None)
        late = await make_lead(tenant, now)
        assert await taken(tenant.admin, operations.change_status, late, Status.qualified, now=now) is not None
