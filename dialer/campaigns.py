"""The campaigns of a tenant that dial by themselves, inside its bridge: each that runs gets a runner.

Several dialers may offer; a campaign's lease says whose it is. One that dies leaves its campaigns to the others as soon
as their leases lapse.
"""

import asyncio
from functools import partial
from uuid import UUID

import structlog

from crm import db, ids
from crm.actor import Actor
from crm.calls.hearing import Told
from crm.dialling import leases
from crm.events import bell
from dialer.runner import POLICIES, Clock, Policies, Runner

log = structlog.get_logger("dialer.campaigns")

LOOK_S = 1.0
"""Seconds between two looks for campaigns that nobody runs."""


class Campaigns:
    """Starts and keeps runners for the campaigns of a tenant; `hear` is told news of its calls."""

    def __init__(
        self, tenant_id: UUID, *, clock: Clock, holder: UUID | None = None, policies: Policies = POLICIES
    ) -> None:
        self.actor = Actor.system(tenant_id)
        self.clock = clock
        self.holder = holder or ids.new()
        self.policies = policies
        self.runners: dict[UUID, Runner] = {}
        self.tasks: dict[UUID, asyncio.Task[None]] = {}

    def hear(self, told: Told) -> None:
        """Wake the runner of the campaign whose call has news."""
        if runner := self.runners.get(told.row["campaign_id"]):
            runner.wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Run what there is to run until told to stop."""
        ear, loop = bell.Ear(), asyncio.get_running_loop()
        next_look = loop.time()
        async with bell.listening(ear):
            while not stop.is_set():
                if loop.time() >= next_look:
                    next_look = loop.time() + LOOK_S
                    await self._look(stop)
                await ear.wait(LOOK_S)
                for runner in self.runners.values():
                    runner.wake.set()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)

    async def _look(self, stop: asyncio.Event) -> None:
        try:
            free = await db.run(self.actor, lambda tx: leases.take_free(tx, self.holder, besides=self.tasks))
        except Exception as error:  # calls go on, whatever is wrong with the campaigns
            if not db.is_gone(error):
                log.error("campaigns_defect", exc_info=error)
            return
        for campaign_id in free:
            self._start(campaign_id, stop)

    def _start(self, campaign_id: UUID, stop: asyncio.Event) -> None:
        runner = Runner(
            self.actor.tenant_id, campaign_id, self.holder, clock=self.clock, policies=self.policies
        )  # fmt: skip
        self.runners[campaign_id] = runner
        task = self.tasks[campaign_id] = asyncio.create_task(runner.run(stop))
        task.add_done_callback(partial(self._ended, campaign_id))

    def _ended(self, campaign_id: UUID, task: "asyncio.Task[None]") -> None:
        self.runners.pop(campaign_id, None)
        self.tasks.pop(campaign_id, None)
        if not task.cancelled() and task.exception() is not None:
            log.error("campaign_defect", campaign_id=str(campaign_id), exc_info=task.exception())
