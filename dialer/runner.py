"""One campaign that dials by itself, run by one dialer: every second, and whenever something happens, it looks, decides
how many calls to place, and places them.

What it knows it reads anew with each look; its lease is renewed with it. Killed at any moment it leaves leads that were
claimed and not dialled, which go back when their time is over, and calls that were asked for, which the exchange has or
gets, once.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from uuid import UUID

import structlog

from crm import db
from crm.actor import Actor
from crm.db import Tx
from crm.dialling import guard, harbour, hopper, launching, learning, leases, looking, schedule
from crm.dialling.campaigns import CampaignNotFound
from crm.dialling.chore import LEARN_EVERY
from crm.dialling.designs import Design
from crm.dialling.guard import Allowed
from crm.dialling.looking import Look, Phase
from crm.dialling.rules import CONNECT_WITHIN_S, Mode, Status
from crm.dialling.schedule import Throttle
from crm.dialling.timing import Learned
from dialer.pacing import make_policy
from dialer.pacing.state import Policy
from dialer.shift import Shift
from dialer.twin.baselines import Power, Progressive

log = structlog.get_logger("dialer.campaigns")

TICK = timedelta(seconds=1)
GATHER_S = 0.2
"""Seconds for which news are gathered before they are looked at."""
AGAIN_S = 1.0
LAG_S = 0.3
"""Seconds that news of an agent's answer may take to us: only then is somebody who waits given the message."""
CLAIMED_FOR = timedelta(seconds=30)
MOST_AT_ONCE = 25
"""Calls placed in one transaction."""
MOST_LINES = 10_000
RENEW = timedelta(seconds=1)

Policies = Mapping[Mode, Callable[[Design, int], Policy]]
POLICIES: Policies = MappingProxyType(
    {
        Mode.progressive: lambda design, agents: Progressive(),
        Mode.power: lambda design, agents: Power(design.power_ratio),
        Mode.predictive: lambda design, agents: make_policy(agents, design.cap),
    }
)
"""How each mode paces, for so many agents: all by one interface, the simulator's."""
CAREFUL = Progressive()
"""What the guard allows when a mode's own policy must not be followed."""


class Over(Exception):
    """This dialer has nothing more to do for the campaign."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The time (UTC), and how many seconds of it pass in one of the machine's: 1 except in simulations."""

    now: Callable[[], datetime]
    speed: float = 1.0

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        """Wait for an event, at most so many seconds of this clock."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds / self.speed):
                await event.wait()


class Runner:
    """Runs one campaign as `holder`, as long as its lease lasts and it has anything to do."""

    def __init__(
        self, tenant_id: UUID, campaign_id: UUID, holder: UUID, *, clock: Clock, policies: Policies = POLICIES
    ) -> None:
        self.actor = Actor.system(tenant_id)
        self.campaign_id = campaign_id
        self.holder = holder
        self.clock = clock
        self.policies = policies
        self.wake = asyncio.Event()
        self._shift: Shift | None = None
        self._paced_as: tuple[object, ...] = ()
        self._throttle = Throttle(None)
        self._learned: tuple[datetime, Learned] | None = None
        self._renewed: datetime | None = None
        self._allowed: guard.Verdict | None = None
        self._is_harboured: set[UUID] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Run until told to stop, the campaign is over, or another dialer has taken over."""
        log.info("campaign_begins", campaign_id=str(self.campaign_id))
        next_tick = self.clock.now()
        try:
            while not stop.is_set():
                self.wake.clear()
                now = self.clock.now()
                is_tick = now >= next_tick
                if is_tick:
                    next_tick = now + TICK
                await self._rest(stop, await self._try_turn(now, is_tick=is_tick))
        except (Over, leases.LeaseLost, CampaignNotFound) as error:
            log.info("campaign_ends", campaign_id=str(self.campaign_id), why=type(error).__name__)
        finally:
            with suppress(*db.GONE):
                await db.run(self.actor, lambda tx: leases.leave(tx, self.campaign_id, self.holder))

    async def _rest(self, stop: asyncio.Event, seconds: float) -> None:
        """Rest until something happens or it is time to look; news are gathered for a moment."""
        await self.clock.wait(self.wake, seconds)
        if self.wake.is_set():
            await self.clock.wait(stop, min(GATHER_S, seconds))

    async def _try_turn(self, now: datetime, *, is_tick: bool) -> float:
        try:
            return await self._turn(now, is_tick=is_tick)
        except db.GONE as error:
            log.warning("campaign_put_off", campaign_id=str(self.campaign_id), error=type(error).__name__)
            return AGAIN_S

    async def _turn(self, now: datetime, *, is_tick: bool) -> float:
        """Look, decide and place; return after how many seconds to look again at the latest."""
        look = await db.run(self.actor, lambda tx: self._look(tx, now))
        is_over = look.status in (Status.paused, Status.stopped, Status.draining)
        if is_over and not look.calls:
            raise Over
        shift = await self._shift_of(look, now)
        shift.see(look, now)
        await self._harbour(look, now)
        if look.status is Status.running and look.design.opening.is_open(now):
            if is_tick:
                await self._fill(look)
            await self._place(self._decide(shift, look, now, is_tick=is_tick))
        return self._until_late(look, now)

    async def _look(self, tx: Tx, now: datetime) -> Look:
        if self._renewed is None or now - self._renewed >= RENEW * self.clock.speed:
            if await leases.take(tx, self.campaign_id, self.holder) is None:
                raise leases.LeaseLost
            self._renewed = now
        known = self._shift.known if self._shift else ()
        return await looking.look(tx, self.campaign_id, known, now=now)

    async def _shift_of(self, look: Look, now: datetime) -> Shift:
        """Return the shift under way; a new day, another mode or cap begin a new one."""
        design = look.design
        day = schedule.shift_began(now, design.timezone)
        paced_as = (design.mode, design.cap, design.power_ratio, day)
        if self._shift is None or paced_as != self._paced_as:
            so_far = await db.run(self.actor, lambda tx: looking.so_far(tx, self.campaign_id, day))
            policy = self.policies[design.mode](design, max(1, len(look.agents)))
            ends = schedule.shift_ends(now, design.opening)
            self._shift = Shift(policy, began=so_far["began"] or now, ends=ends, cap=design.cap, so_far=so_far)
            self._paced_as = paced_as
        if self._throttle.per_s != design.calls_per_s:
            self._throttle = Throttle(design.calls_per_s)
        return self._shift

    def _decide(self, shift: Shift, look: Look, now: datetime, *, is_tick: bool) -> int:
        """Return how many calls to place: what the policy wants, within what the guard, lines and throttle allow."""
        self._allowed = guard.judge(look.counts, look.design.cap)
        under_way = sum(call.phase is not Phase.over for call in look.calls.values())
        lines = (look.design.most_lines or MOST_LINES) - under_way
        state = shift.state(look, now, lines_free=lines, is_tick=is_tick)
        wanted = shift.policy.decide(state)
        if self._allowed.allowed is Allowed.zero or any(call.is_stuck for call in look.calls.values()):
            return 0
        if self._allowed.allowed is Allowed.progressive:
            wanted = min(wanted, CAREFUL.decide(state))
        room = self._throttle.room(now.timestamp())
        return max(0, min(wanted, lines, wanted if room is None else room))

    async def _fill(self, look: Look) -> None:
        """Look at more leads while fewer are ready than are looked ahead."""
        if look.ready >= looking.NEXT:
            return
        learned = await self._learn()
        await db.run(
            self.actor, lambda tx: hopper.fill(tx, self.campaign_id, learned, now=self.clock.now())
        )  # fmt: skip

    async def _learn(self) -> Learned:
        now = self.clock.now()
        if self._learned is None or self._learned[0] < now - LEARN_EVERY:
            self._learned = now, await db.run(self.actor, lambda tx: learning.of_firm(tx, now=now))
        return self._learned[1]

    async def _place(self, wanted: int) -> None:
        """Claim so many leads, which is committed, and dial them."""
        while wanted > 0:
            now, some = self.clock.now(), min(wanted, MOST_AT_ONCE)
            until = now + CLAIMED_FOR * self.clock.speed
            claimed = await db.run(self.actor, lambda tx: self._claim(tx, some, until, now))  # noqa: B023
            if not claimed:
                return
            made = await db.run(self.actor, lambda tx: self._launch(tx, claimed, now))  # noqa: B023
            self._throttle.took(len(made), now.timestamp())
            wanted -= len(made)

    async def _claim(self, tx: Tx, some: int, until: datetime, now: datetime) -> list[UUID]:
        rows = await hopper.claim(tx, self.campaign_id, self.holder, at_most=some, until=until, now=now)
        return [row["id"] for row in rows]

    async def _launch(self, tx: Tx, claimed: list[UUID], now: datetime) -> list[launching.Launched]:
        return await launching.launch(tx, self.campaign_id, claimed, self.holder, now=now)

    async def _harbour(self, look: Look, now: datetime) -> None:
        """Give the message to people who have waited as long as the law allows, each once."""
        late = [
            call.id
            for call in look.calls.values()
            if call.phase is Phase.waiting and call.greeted_at and call.id not in self._is_harboured
            and (now - call.greeted_at).total_seconds() >= CONNECT_WITHIN_S + LAG_S
        ]  # fmt: skip
        if late:
            await db.run(self.actor, lambda tx: harbour.take_in(tx, self.campaign_id, late, self.holder, now=now))
            self._is_harboured |= set(late)
        self._is_harboured &= set(look.calls)

    def _until_late(self, look: Look, now: datetime) -> float:
        """Return the seconds until the next look: a tick, or sooner when somebody will have waited too long."""
        waiting = [
            CONNECT_WITHIN_S + LAG_S - (now - call.greeted_at).total_seconds()
            for call in look.calls.values()
            if call.phase is Phase.waiting and call.greeted_at and call.id not in self._is_harboured
        ]
        return max(0.01, min([TICK.total_seconds(), *waiting]))
