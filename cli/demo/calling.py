"""What agents do, told to the API; `doing` tells the same to the operations."""

from dataclasses import dataclass, field
from datetime import timedelta

from cli.demo.acts import Act, Cancel, LookAfter, Move, Offer, Refusal, Reopen, Sale, Talk
from cli.demo.client import Client
from crm import clock
from crm.money import Money


@dataclass
class Calling:
    """Does acts. `leads`: ids by the number that the desks know them by."""

    leads: dict[int, str] = field(default_factory=dict)
    quotes: dict[int, str] = field(default_factory=dict)

    async def do(self, client: Client, act: Act) -> None:
        """Do one act now, as whose client it is."""
        path = f"/leads/{self.leads[act.lead]}"
        match act:
            case Talk():
                body = {"channel": act.channel, "direction": act.direction, "outcome": act.outcome, "note": act.note}
                await client.create(f"{path}/activities", {key: value for key, value in body.items() if value})
            case Move():
                body = {"status": act.to, **({"reason": act.reason} if act.reason else {})}
                await client.call("POST", f"{path}/status", json=body)
            case Offer():
                until = clock.utc_now() + timedelta(days=act.valid_days)
                offer = {**_money(act.money), "procedure_type": act.treatment, "valid_until": until.isoformat()}
                if made := await client.create(f"{path}/quotes", offer):
                    self.quotes[act.lead] = made["id"]
            case Refusal():
                if quote := self.quotes.pop(act.lead, None):
                    no = {"answer": "declined", "reason": act.reason}
                    await client.call("POST", f"{path}/quotes/{quote}/answer", json=no)
            case Sale():
                quote = self.quotes.pop(act.lead, None)
                sale = {**_money(act.money), "takes_place_on": act.takes_place_on.isoformat()}
                await client.create(f"{path}/sale", sale | ({"quote_id": quote} if quote else {}))
            case Cancel():
                await client.call("POST", f"{path}/sale/cancel", json={"reason": act.reason})
            case Reopen():
                await client.create(f"{path}/reopen", {"reason": act.reason})
            case LookAfter():
                await self._look_after(client, path, act)

    async def _look_after(self, client: Client, path: str, act: LookAfter) -> None:
        found = await client.call("GET", f"{path}/follow-ups") or {"check_ins": []}
        for check_in in found["check_ins"]:
            if check_in["day"] == act.day and check_in["status"] == "pending":
                verb, body = ("skip", {"reason": act.skipped}) if act.skipped else ("done", {})
                await client.call("POST", f"/check-ins/{check_in['id']}/{verb}", json=body)


def _money(money: Money) -> dict[str, str]:
    return {"amount": str(money.amount), "currency": money.currency}
