"""What agents do, told to the real operations."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from cli.demo.acts import Act, Cancel, LookAfter, Move, Offer, Refusal, Reopen, Sale, Talk
from crm.consent import dnc
from crm.db import Tx
from crm.followups import check_ins
from crm.followups import operations as followups
from crm.followups import queries as looks
from crm.followups.check_ins import CheckInStatus
from crm.leads import operations, quotes
from crm.leads.quotes import Answer
from crm.leads.rules import Status


@dataclass
class Doing:
    """Does acts. `ids`: leads by their place in the month."""

    ids: dict[int, UUID] = field(default_factory=dict)
    quotes: dict[int, UUID] = field(default_factory=dict)
    acts: int = 0
    sales: int = 0

    async def do_all(self, tx: Tx, acts: Iterable[Act]) -> None:
        """Do acts of one agent, in their order."""
        for act in acts:
            await self.do(tx, act)
            self.acts += 1

    async def do(self, tx: Tx, act: Act) -> None:
        """Do one act at its own instant."""
        lead = self.ids[act.lead]
        match act:
            case Talk():
                await operations.record_activity(
                    tx, lead, act.channel, act.direction, act.outcome,
                    note=act.note, occurred_at=act.happened, now=act.at,
                )  # fmt: skip
            case Move():
                await operations.change_status(tx, lead, act.to, reason=act.reason, now=act.at)
                if act.to is Status.blocked:
                    await self._list(tx, lead, act)
            case Offer():
                self.quotes[act.lead] = await quotes.make(
                    tx, lead, act.money, procedure_type=act.treatment,
                    valid_until=act.at + timedelta(days=act.valid_days), now=act.at,
                )  # fmt: skip
            case Refusal():
                if quote := self.quotes.pop(act.lead, None):
                    await quotes.answer(tx, lead, quote, Answer.declined, reason=act.reason, now=act.at)
            case Sale():
                quote = self.quotes.pop(act.lead, None)
                await followups.sell(
                    tx, lead, act.money, quote_id=quote, takes_place_on=act.takes_place_on, now=act.at
                )  # fmt: skip
                self.sales += 1
            case Cancel():
                await followups.cancel_sale(tx, lead, reason=act.reason, now=act.at)
            case Reopen():
                await operations.reopen(tx, lead, reason=act.reason, now=act.at)
            case LookAfter():
                await self._look_after(tx, lead, act)

    async def _list(self, tx: Tx, lead: UUID, act: Move) -> None:
        """Put somebody who wants to hear no more on the do-not-contact list."""
        contact_id = await tx.fetchval(
            "select contact_id from crm.lead where tenant_id = $1::uuid and id = $2::uuid", tx.actor.tenant_id, lead
        )
        await dnc.add_contact(tx, contact_id, ("phone", "email"), reason="asked_us", now=act.at)

    async def _look_after(self, tx: Tx, lead: UUID, act: LookAfter) -> None:
        how = CheckInStatus.skipped if act.skipped else CheckInStatus.done
        for check_in in await looks.check_ins(tx, lead):
            if check_in["day"] == act.day and check_in["status"] == CheckInStatus.pending:
                await check_ins.close(tx, check_in["id"], how, reason=act.skipped, now=act.at)
