"""The clocks of a lead, against somebody who watches every tick of a random history."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm.calendars import holidays
from crm.calendars.rules import Calendar, Day, Week, plain, weekly
from crm.events.log import Event
from crm.sla.clock import State
from crm.sla.fold import fold
from crm.sla.rules import BUILT_IN, DEFAULTS, Escalation, Kind, Priority, Recipient, Rule, RuleSet

LEAD, TEAM, OTHER, AGENT, CHECK = (UUID(int=n) for n in range(1, 6))
ISTANBUL, BERLIN = ZoneInfo("Europe/Istanbul"), ZoneInfo("Europe/Berlin")
BORDERS = [
    datetime(2026, 3, 3, 18, tzinfo=ISTANBUL),  # the end of a day
    datetime(2026, 3, 20, 0, tzinfo=ISTANBUL),  # midnight before Ramazan Bayramı
    datetime(2026, 3, 19, 13, tzinfo=ISTANBUL),  # the half day before it
    datetime(2026, 5, 26, 13, tzinfo=ISTANBUL),  # the half day before Kurban Bayramı
    datetime(2026, 5, 31, 9, tzinfo=ISTANBUL),  # the first morning after it
    datetime(2026, 6, 1, 0, tzinfo=ISTANBUL),  # other hours begin
    datetime(2026, 3, 29, 2, tzinfo=BERLIN),  # the clock jumps ahead
    datetime(2026, 10, 25, 2, tzinfo=BERLIN),  # and back
    datetime(2015, 3, 29, 3, tzinfo=ISTANBUL),  # as it did in Türkiye until 2016
    datetime(2015, 11, 8, 3, tzinfo=ISTANBUL),
]
HOLIDAYS = {each.day: Day(closed_from=each.closed_from) for each in holidays.of("TR", [2015, 2026])}
CALENDARS = {
    None: Calendar(ISTANBUL, (Week(date.min, weekly(range(7), 9 * 60, 18 * 60)),), HOLIDAYS),
    TEAM: Calendar(
        ISTANBUL,
        (Week(date.min, weekly(range(7), 12 * 60, 28 * 60)), Week(date(2026, 6, 1), weekly(range(7), 0, 10 * 60))),
        HOLIDAYS,
    ),
    OTHER: Calendar(BERLIN, (Week(date.min, weekly(range(7), 22 * 60, 30 * 60) + weekly(range(7), 600, 1200)),)),
}
ANSWERS = {"activity.recorded", "check_in.done"}
CLOSES_CHECK_IN = {"check_in.done": "met", "check_in.skipped": "cancelled", "check_in.cancelled": "cancelled"}
STATUSES = ["assigned", "interested", "no_answer", "wrong_number", "blocked", "qualified", "won", "lost", "recycled"]


def event(n: int, what: str, at: datetime, /, **payload) -> Event:
    return Event(UUID(int=9), n, n, what.split(".")[0], LEAD, what, payload, at, at, None, None)


def clocks(events, *, sets=(BUILT_IN,), first_team=None, now, calendar_of=CALENDARS.__getitem__):
    return fold(LEAD, events, first_team=first_team, sets=sets, calendar_of=calendar_of, now=now).clocks


@dataclass
class Watched:
    """A clock as the watcher sees it, who knows no calendar arithmetic: at each tick it is open or not."""

    kind: str
    version: int
    rule: Rule | None
    team: UUID | None
    status: str
    started: int
    due: int | None = None  # of a check-in: the tick agreed
    counted: int = 0
    after_breach: int = 0
    paused: bool = False
    breached: int | None = None
    ended: int | None = None
    state: str = "running"
    left: int = 0
    frozen: tuple[UUID | None, Rule | None] | None = None
    fired: dict[str, int] = field(default_factory=dict)


class Watcher:
    """Lives through a history tick by tick. At each tick: what is due fires, unless an answer comes at that tick."""

    def __init__(self, start: datetime, unit: timedelta, ticks: int, sets) -> None:
        self.start, self.unit, self.ticks, self.sets = start, unit, ticks, sets
        self.open = {
            team: [calendar.is_open(start + n * unit) for n in range(ticks + 1)] for team, calendar in CALENDARS.items()
        }
        self.seconds = int(unit.total_seconds())
        self.clocks: list[Watched] = []
        self.status, self.team, self.priority, self.cycle = "new", None, "normal", 1

    def rules_at(self, tick: int):
        at = self.start + tick * self.unit
        return [each for each in self.sets if each.valid_from is None or each.valid_from <= at][-1]

    def choose(self, version: int, kind: str, status: str):
        best = None
        for rule in next(each for each in self.sets if each.version == version).rules:
            if rule.kind != kind or (rule.statuses and status not in rule.statuses) or rule.campaigns:
                continue
            if (rule.teams and self.team not in rule.teams) or (
                rule.priorities and self.priority not in rule.priorities
            ):
                continue
            weight = 4 * bool(rule.teams) + 2 * bool(rule.priorities) + bool(rule.statuses)
            if best is None or weight > best[0]:
                best = (weight, rule)
        return best[1] if best else None

    def begin(self, kind: str, tick: int, left: int | None = None) -> None:
        version = self.rules_at(tick).version
        rule = self.choose(version, kind, self.status)
        if rule is None:
            return
        clock = Watched(kind, version, rule, self.team, self.status, tick)
        clock.left = rule.repeats if left is None else left
        if self.status in rule.pause_in:
            clock.paused, clock.state = True, "paused"
        self.clocks.append(clock)

    def fire(self, tick: int) -> None:
        for clock in self.clocks:
            if clock.ended is not None:
                continue
            if clock.kind == "check_in":
                is_due, ahead = tick >= clock.due, lambda s, c=clock: tick >= max(c.started, c.due + s // self.seconds)
            else:
                target = clock.rule.target_s
                is_due, ahead = clock.counted >= target, lambda s, c=clock, t=target: c.counted >= t + s
            if clock.breached is None and not clock.paused:
                for seconds in clock.rule.reminders if clock.rule else ():
                    if seconds < 0 and f"reminder:{seconds}" not in clock.fired and ahead(seconds):
                        clock.fired[f"reminder:{seconds}"] = tick
                if is_due:
                    clock.breached, clock.state, clock.fired["breach"] = tick, "breached", tick
                    clock.frozen = (clock.team, clock.rule)
            if clock.breached is not None and clock.rule:
                later = [(f"reminder:{s}", s) for s in clock.rule.reminders if s >= 0]
                later += [(f"escalation:{e.to}", e.after_s) for e in clock.rule.escalations]
                for name, seconds in later:
                    if name not in clock.fired and clock.after_breach >= seconds:
                        clock.fired[name] = tick

    def run(self, tick: int) -> None:
        """Let the time from this tick to the next pass."""
        for clock in self.clocks:
            if clock.ended is not None or clock.paused:
                continue
            team, rule = clock.frozen or (clock.team, clock.rule)
            counts = rule is None or rule.time == "calendar" or self.open[team][tick]
            if clock.breached is not None:
                clock.after_breach += self.seconds * counts
            else:
                clock.counted += self.seconds * counts

    def end(self, clock: Watched, tick: int, state: str) -> None:
        clock.ended = tick
        if clock.state != "breached":
            clock.state = state

    def happens(self, event: Event, tick: int) -> None:
        what, payload = event.event_type, event.payload
        going = [clock for clock in self.clocks if clock.ended is None]
        if what == "lead.created":
            self.begin("first_response", tick)
            self.begin("follow_up", tick)
        elif what in ("lead.assigned", "lead.priority_changed"):
            self.team = UUID(payload["team_id"]) if payload.get("team_id") else self.team
            self.priority = payload.get("priority", self.priority)
            for clock in going:
                if clock.breached is None:
                    clock.team = self.team
                    clock.rule = self.choose(clock.version, clock.kind, clock.status) or clock.rule
        elif what == "lead.status_changed":
            before, self.status = self.cycle, payload["to"]
            self.cycle = payload["cycle_no"]
            for clock in going:
                self.under_status(clock, tick, payload, new_cycle=before != self.cycle)
            if self.status in ("won", "lost"):
                return
            if before != self.cycle:
                self.begin("first_response", tick)
            if not any(c.kind == "follow_up" and c.ended is None and c.status == self.status for c in self.clocks):
                self.begin("follow_up", tick)
        elif what == "activity.recorded":
            for clock in going:
                if clock.kind == "first_response":
                    self.end(clock, tick, "met")
                elif clock.kind == "follow_up" and clock.started < tick:
                    self.end(clock, tick, "met")
                    if clock.left and clock.status == self.status:
                        self.begin("follow_up", tick, clock.left - 1)
        elif what == "check_in.scheduled":
            version = self.rules_at(tick).version
            clock = Watched(
                "check_in", version, self.choose(version, "check_in", self.status), self.team, self.status, tick
            )
            clock.due = round((datetime.fromisoformat(payload["due_at"]) - self.start) / self.unit)
            self.clocks.append(clock)
        elif what in CLOSES_CHECK_IN:
            for clock in going:
                if clock.kind == "check_in":
                    self.end(clock, tick, CLOSES_CHECK_IN[what])

    def under_status(self, clock: Watched, tick: int, payload, *, new_cycle: bool) -> None:
        if clock.kind == "check_in":
            return
        closed = self.status in ("won", "lost")
        if clock.kind == "first_response" and (closed or new_cycle):
            self.end(clock, tick, "cancelled")
        elif clock.kind == "follow_up" and closed:
            self.end(clock, tick, "met")
        elif self.status in clock.rule.pause_in:
            if clock.state == "running":
                clock.paused, clock.state = True, "paused"
        elif clock.kind == "follow_up" and self.status != clock.status:
            self.end(clock, tick, "met")
        elif clock.paused:
            clock.paused, clock.state = False, "running"

    def live(self, history: list[tuple[int, Event]]) -> list[Watched]:
        for tick in range(self.ticks + 1):
            here = [event for at, event in history if at == tick]
            for event in here:
                if event.event_type not in ANSWERS:
                    self.fire(tick)
                self.happens(event, tick)
            self.fire(tick)
            self.run(tick)
        return self.clocks


TEAMS = st.sampled_from([TEAM, OTHER])
THINGS = st.one_of(
    st.tuples(st.just("lead.assigned"), TEAMS.map(lambda team: {"user_id": str(AGENT), "team_id": str(team)})),
    st.tuples(st.just("lead.priority_changed"), st.sampled_from(["high", "low"]).map(lambda p: {"priority": p})),
    st.tuples(st.just("lead.status_changed"), st.sampled_from(STATUSES).map(lambda status: {"to": status})),
    st.tuples(
        st.just("activity.recorded"), st.just({"is_human": True, "direction": "outbound", "kind": "call"})
    ),
)  # fmt: skip


@st.composite
def rule_sets(draw, seconds: int, start: datetime, unit: timedelta, ticks: int):
    """Two sets of rules, the second holding from somewhere within the history."""

    def rule(n: int, kind: Kind) -> Rule:
        target = draw(st.integers(2, max(3, ticks // 2))) * seconds
        before = st.integers(1, target // seconds - 1).map(lambda k: -k * seconds)
        after = st.integers(0, ticks // 2).map(lambda k: k * seconds)
        statuses = (
            draw(st.sets(st.sampled_from(["new", *STATUSES]), max_size=4)) if kind is not Kind.check_in else set()
        )
        return Rule(
            code=f"r{n}", kind=kind, statuses=tuple(sorted(statuses)),
            teams=tuple(draw(st.sets(TEAMS, max_size=1))),
            priorities=tuple(draw(st.sets(st.sampled_from(list(Priority)), max_size=1))),
            target_s=target, time=draw(st.sampled_from(["business", "calendar"])),
            pause_in=tuple(sorted(draw(st.sets(st.sampled_from(["wrong_number", "blocked", "no_answer"]))) - statuses)),
            repeats=draw(st.integers(0, 2)) if kind is Kind.follow_up else 0,
            reminders=tuple(draw(st.sets(st.one_of(before, after), max_size=3))),
            escalations=tuple(
                Escalation(to=to, after_s=draw(after)) for to in sorted(draw(st.sets(st.sampled_from(list(Recipient)))))
            ),
        )  # fmt: skip

    sets = []
    for version in (0, 1):
        kinds = draw(st.lists(st.sampled_from(list(Kind)), min_size=1, max_size=6))
        begins = start + draw(st.integers(0, ticks)) * unit if version else None
        sets.append(RuleSet(version, begins, tuple(rule(n, kind) for n, kind in enumerate(kinds))))
    return tuple(sets)


@st.composite
def histories(draw):
    seconds = draw(st.sampled_from([1, 60]))
    unit, ticks = timedelta(seconds=seconds), draw(st.integers(20, 400 if seconds == 1 else 900))
    start = (draw(st.sampled_from(BORDERS)) - draw(st.integers(0, ticks)) * unit).astimezone(UTC)
    sets = draw(rule_sets(seconds, start, unit, ticks))
    happened = [(0, event(1, "lead.created", start, status="new", cycle_no=1))]
    cycle, status = 1, "new"
    ticks_of = draw(st.lists(st.integers(0, ticks), max_size=10).map(sorted))
    for n, tick in enumerate(ticks_of, start=2):
        kind, payload = draw(THINGS)
        if kind == "lead.status_changed":
            cycle += status in ("won", "lost") and payload["to"] not in ("won", "lost")
            status = payload["to"]
            payload = {**payload, "cycle_no": cycle}
        happened.append((tick, event(n, kind, start + tick * unit, **payload)))
    if draw(st.booleans()):
        at, due = draw(st.integers(0, ticks)), draw(st.integers(0, ticks))
        due_at = (start + max(at, due) * unit).isoformat()
        happened.append((at, event(90, "check_in.scheduled", start + at * unit, check_in_id=str(CHECK), due_at=due_at)))
        if draw(st.booleans()):
            what, done = draw(st.sampled_from(sorted(CLOSES_CHECK_IN))), draw(st.integers(at, ticks))
            happened.append((done, event(91, what, start + done * unit, check_in_id=str(CHECK))))
    happened.sort(key=lambda each: (each[1].occurred_at, each[1].id))
    return start, unit, ticks, sets, happened


class TestFold:
    @given(histories(), st.randoms())
    @settings(deadline=None, max_examples=max(200, settings().max_examples), suppress_health_check=list(HealthCheck))
    def test_is_what_a_watcher_of_every_tick_sees(self, history, random):
        start, unit, ticks, sets, happened = history
        watched = Watcher(start, unit, ticks, sets).live(happened)
        events = [event for _, event in happened]
        random.shuffle(events)

        found = clocks(events, sets=sets, now=start + ticks * unit)

        def at(tick):
            return None if tick is None else start + tick * unit

        seen = [
            (w.kind, w.version, w.rule and w.rule.code, at(w.started), w.state, at(w.breached), at(w.ended),
             {name: at(tick) for name, tick in w.fired.items()})
            for w in watched
        ]  # fmt: skip
        worked_out = [
            (c.kind, c.version, c.rule and c.rule.code, c.started_at, c.state, c.breached_at, c.ended_at, c.fired)
            for c in found
        ]
        assert worked_out == seen
        for clock in found:
            if clock.state is State.running:
                assert clock.due_at > start + ticks * unit
                assert clock.next_at <= clock.due_at

    @given(histories(), st.data())
    @settings(deadline=None, suppress_health_check=list(HealthCheck))
    def test_says_in_advance_when_it_will_be_due(self, history, data):
        start, unit, ticks, sets, happened = history
        events = [event for _, event in happened]
        now = start + ticks * unit

        for clock in clocks(events, sets=sets, now=now):
            if clock.state is State.running and clock.due_at < now + timedelta(days=800):
                later = clocks(events, sets=sets, now=clock.due_at)
                assert next(each for each in later if each.id == clock.id).breached_at == clock.due_at
                just_before = clocks(events, sets=sets, now=clock.due_at - timedelta(microseconds=1))
                assert next(each for each in just_before if each.id == clock.id).breached_at is None

    def test_a_rule_that_comes_later_tells_nothing_as_of_before_it_came(self):
        sooner = Rule(code="sooner", kind=Kind.check_in, priorities=(Priority.high,), reminders=(-600, -60))
        rules = RuleSet(0, None, (Rule(code="plain", kind=Kind.check_in), sooner))
        history = [
            event(1, "lead.created", NOW, status="new", cycle_no=1),
            event(2, "check_in.scheduled", NOW, check_in_id=str(CHECK), due_at=minutes(15).isoformat()),
            event(3, "lead.priority_changed", minutes(8), priority="high"),
        ]

        (clock,) = clocks(history, sets=[rules], now=minutes(20))

        assert clock.fired == {"reminder:-600": minutes(8), "reminder:-60": minutes(14), "breach": minutes(15)}


NOW = datetime(2026, 3, 3, 9, 30, tzinfo=UTC)
"""A Tuesday, half past twelve in Istanbul."""
CALL = {"is_human": True, "direction": "outbound", "kind": "call"}


def minutes(n: float) -> datetime:
    return NOW + timedelta(minutes=n)


def by_default(*events, until: float = 0):
    return clocks(
        [event(1, "lead.created", NOW, status="new", cycle_no=1), *events],
        now=minutes(until), calendar_of=lambda _: plain(ISTANBUL),
    )  # fmt: skip


class TestHandedOver:
    def test_what_was_kept_or_broken_stays_with_the_team_that_had_it(self):
        given = [
            event(n, "lead.assigned", at, user_id=str(AGENT), team_id=str(team))
            for n, at, team in ((2, NOW, TEAM), (8, minutes(60), OTHER))
        ]
        answered = event(4, "activity.recorded", minutes(5), **CALL)
        interested = event(6, "lead.status_changed", minutes(6), to="interested", cycle_no=1)

        met, running = by_default(*given, answered, interested, until=61)
        (breached,) = by_default(*given, until=61)

        assert [(each.state, each.team_id) for each in (met, running)] == [("met", TEAM), ("running", OTHER)]
        assert (breached.state, breached.team_id) == ("breached", TEAM)


class TestDefaults:
    def test_promise_an_answer_in_a_quarter_of_an_hour(self):
        (clock,) = by_default()

        assert (clock.kind, clock.state, clock.due_at) == ("first_response", "running", minutes(15))
        assert clock.next_at == minutes(10)

    @pytest.mark.parametrize(("after", "state"), [(15, "met"), (15.0001, "breached")])
    def test_an_answer_at_the_very_last_instant_is_in_time(self, after, state):
        (clock,) = by_default(event(2, "activity.recorded", minutes(after), **CALL), until=60)

        assert (clock.state, clock.ended_at) == (state, minutes(after))

    def test_a_call_by_a_machine_and_one_from_the_customer_answer_nothing(self):
        (clock,) = by_default(
            event(2, "activity.recorded", minutes(1), **{**CALL, "is_human": False}),
            event(3, "activity.recorded", minutes(2), **{**CALL, "direction": "inbound"}),
            until=5,
        )

        assert clock.state == "running"

    def test_escalate_up_the_chain_each_at_its_time(self):
        (clock,) = by_default(until=90)

        told = {name: (at - NOW).total_seconds() / 60 for name, at in clock.fired.items()}
        assert told == {
            "reminder:-300": 10, "breach": 15, "escalation:owner": 15, "reminder:900": 30, "escalation:team_lead": 30,
            "escalation:manager": 75,
        }  # fmt: skip

    def test_stand_still_while_the_number_is_wrong(self):
        (clock, check) = by_default(
            event(2, "lead.status_changed", minutes(5), to="wrong_number", cycle_no=1),
            event(3, "lead.status_changed", minutes(60), to="assigned", cycle_no=1),
            until=61,
        )

        assert (clock.state, clock.due_at) == ("running", minutes(70))
        assert clock.pauses == [(minutes(5), minutes(60))]
        assert (check.kind, check.status, check.state, check.end_reason) == (
            "follow_up",
            "wrong_number",
            "met",
            "status",
        )

    def test_a_lead_closed_unanswered_is_no_success(self):
        (clock,) = by_default(event(2, "lead.status_changed", minutes(5), to="lost", cycle_no=1, reason="price"))

        assert (clock.state, clock.end_reason) == ("cancelled", "closed_unanswered")

    @pytest.mark.parametrize(
        ("status", "hours"), [("interested", 4), ("no_answer", 3), ("wrong_number", 4), ("blocked", 9)]
    )
    def test_cover_the_statuses_in_working_hours(self, status, hours):
        found = by_default(event(2, "lead.status_changed", NOW, to=status, cycle_no=1))
        follow_up = next(each for each in found if each.kind == "follow_up")

        assert follow_up.due_at == plain(ISTANBUL).after(NOW, hours * 3600)

    def test_ask_one_who_was_not_interested_again_after_ninety_days(self):
        found = by_default(event(2, "lead.status_changed", NOW, to="not_interested", cycle_no=1))

        assert found[-1].due_at == NOW + timedelta(days=90)

    def test_a_call_without_answer_starts_the_next_round_but_not_for_ever(self):
        calls = [event(10 + n, "activity.recorded", minutes(10 * n), **CALL) for n in range(1, 8)]
        found = by_default(event(2, "lead.status_changed", NOW, to="no_answer", cycle_no=1), *calls, until=90)

        rounds = [each for each in found if each.kind == "follow_up"]
        assert [each.state for each in rounds] == ["met"] * 4

    def test_a_lead_that_matters_more_is_due_sooner(self):
        (clock,) = by_default(event(2, "lead.priority_changed", minutes(2), priority="high"), until=3)

        assert (clock.rule.code, clock.due_at) == ("first-response-high", minutes(5))

    def test_have_each_a_code_of_its_own(self):
        assert len({rule.code for rule in DEFAULTS}) == len(DEFAULTS)

    def test_a_test_lead_has_no_clocks(self):
        assert clocks([event(1, "lead.created", NOW, status="new", is_test=True)], now=NOW) == []
