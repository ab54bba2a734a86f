"""`santral twin`: a dialling campaign simulated before it is run: how busy agents are, how many are abandoned."""

import asyncio
import math
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar
from uuid import UUID

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Column, Table

from cli import postgres, tenant, twin_chart
from cli.twin_chart import Bar
from crm import db, errors, vault
from crm.db import Tx, to_json
from crm.dialling import campaigns, history, twins
from crm.dialling.twins import Outcome, Source
from dialer.twin import learned, study
from dialer.twin.study import Job
from dialer.twin.traffic import Traffic

app = typer.Typer()
T = TypeVar("T")

MONTH = "30 d: odds in % of breaking the cap."
CAP = 0.03
"""The law's share of live answers that may be abandoned."""


class BadQuestion(errors.Invalid):
    """This cannot be simulated."""

    code = "twin.invalid"


@dataclass(frozen=True, slots=True)
class Told:
    """The traffic of a study, its cap, and, where it is for a campaign, which and from how many attempts."""

    traffic: Traffic
    cap: float
    campaign_id: UUID | None = None
    attempts: int = 0

    @property
    def source(self) -> Source:
        """Where the traffic comes from."""
        return Source.history if self.attempts else Source.stated


@app.command()
def main(
    agents: Annotated[str, typer.Option(help="how many agents; several with commas: 10,50")] = "10",
    policy: Annotated[
        str, typer.Option(help="predictive, progressive, power:RATIO, adapt:LEVEL, adapt-available:LEVEL; with commas")
    ] = "predictive,progressive",
    shifts: Annotated[int, typer.Option(help="simulated shifts of each case", min=2)] = 100,
    hours: Annotated[float, typer.Option(help="hours of a shift", min=0.1, max=24)] = 4.0,
    p: Annotated[float, typer.Option(help="probability of a live answer, where it is not learned")] = 0.3,
    cap: Annotated[float | None, typer.Option(help="share of live answers that may be abandoned")] = None,
    lines: Annotated[int | None, typer.Option(help="lines at once, calls and conversations", min=1)] = None,
    seed: Annotated[int, typer.Option(help="the same seed gives the same shifts", min=0)] = 1,
    from_history: Annotated[
        str | None, typer.Option(metavar="CAMPAIGN", help="learn from a campaign's calls (code or id) and keep the run")
    ] = None,
    keep_for: Annotated[
        str | None, typer.Option(metavar="CAMPAIGN", help="keep the run for a campaign that has no history yet")
    ] = None,
    first_hour: Annotated[
        int, typer.Option(help="hour at which shifts begin, for learned answer rates", min=0, max=23)
    ] = 10,
    chart: Annotated[Path | None, typer.Option(help="draw it to a file.svg")] = None,
    workers: Annotated[int, typer.Option(help="processors to use", min=1)] = min(2, os.cpu_count() or 1),
    tenant_slug: Annotated[str | None, typer.Option("--tenant", help="the firm, where there are several")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON line")] = False,
) -> None:
    """Simulate shifts of a dialling campaign with the policy that the live dialer runs.

    Traffic is stated (the reference traffic at a probability of an answer) or learned from a campaign's own calls. Says
    how busy agents are, how many are abandoned, who waits how long, and how likely 30 days break the cap.
    """
    cases = [(number, name) for number in _numbers(agents) for name in _names(policy)]
    if not 0 < p < 1 or (cap is not None and not 0 < cap < 1):
        raise BadQuestion("probabilities and the cap are between 0 and 1")
    if chart is not None and chart.suffix.lower() != ".svg":
        raise BadQuestion(f"{chart.name} cannot be drawn: charts are SVG")
    campaign, told = from_history or keep_for, Told(Traffic(p), CAP)
    if campaign:
        told = _ask(lambda tx: _learn(tx, campaign, told.traffic, bool(from_history), first_hour, hours), tenant_slug)
    told = replace(told, cap=cap) if cap is not None else told
    bars = _simulate(cases, told, shifts=shifts, seconds=hours * 3600, lines=lines, seed=seed, workers=workers)
    if campaign:
        _ask(lambda tx: _keep(tx, told, bars, seconds=hours * 3600, seed=seed), tenant_slug)
    if chart is not None:
        chart.write_text(twin_chart.svg(bars, told.cap))
    if as_json:
        print(to_json(_as_json(told, bars)))
    else:
        _show(told, bars)


def _numbers(wanted: str) -> list[int]:
    try:
        numbers = [int(each) for each in wanted.split(",")]
    except ValueError:
        numbers = []
    if not numbers or not all(0 < number <= 2000 for number in numbers):
        raise BadQuestion("--agents takes whole numbers from 1 to 2000 with commas, as 10,50")
    return numbers


def _names(wanted: str) -> list[str]:
    names = [each.strip() for each in wanted.split(",")]
    for name in names:
        study.policy_of(name, 1, CAP)
    return names


def _ask(work: Callable[[Tx], Awaitable[T]], slug: str | None) -> T:
    """Do one transaction in the firm's database."""

    async def once() -> T:
        try:
            return await db.run(await tenant.choose(slug), work)
        finally:
            await db.close()
            await vault.close()

    with postgres.ensure_database():
        return asyncio.run(once())


async def _learn(tx: Tx, name: str, stated: Traffic, from_history: bool, first_hour: int, hours: float) -> Told:
    campaign_id = await history.campaign_named(tx, name)
    cap = float((await campaigns.get(tx, campaign_id))["cap"])
    if not from_history:
        return Told(stated, cap, campaign_id)
    past = await history.of_campaign(tx, campaign_id, now=datetime.now(UTC))
    traffic = learned.traffic_of(past, first_hour=first_hour, hours=math.ceil(hours), stated=stated)
    return Told(traffic, cap, campaign_id, past.attempts)


def _simulate(
    cases: Sequence[tuple[int, str]], told: Told, *, shifts: int, seconds: float, lines: int | None, seed: int,
    workers: int,
) -> list[Bar]:  # fmt: skip
    """Simulate all cases; every policy meets the same shifts."""
    jobs = [
        Job(name, told.traffic, agents, seed + number, seconds, told.cap, lines)
        for agents, name in cases for number in range(shifts)
    ]  # fmt: skip
    tallies = []
    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("shifts", total=len(jobs))
        for tally in study.run(jobs, workers):
            tallies.append(tally)
            progress.advance(bar)
    return [
        Bar(agents, name, study.summary(tallies[case * shifts : (case + 1) * shifts], told.cap, seed=seed))
        for case, (agents, name) in enumerate(cases)
    ]


async def _keep(tx: Tx, told: Told, bars: Sequence[Bar], *, seconds: float, seed: int) -> None:
    """Keep the runs of a campaign, all of one instant."""
    assert told.campaign_id is not None
    now = datetime.now(UTC)
    for bar in bars:
        came = bar.summary
        outcome = Outcome(
            bar.policy, bar.agents, came.shifts, seconds, seed, told.cap, came.p_break_30d, came.abandonment,
            came.abandonment_low, came.abandonment_high, came.occupancy, told.source, told.attempts,
        )  # fmt: skip
        await twins.keep(tx, told.campaign_id, outcome, now=now)


def _as_json(told: Told, bars: Sequence[Bar]) -> dict[str, Any]:
    cases = [{"agents": bar.agents, "policy": bar.policy, **bar.summary.as_dict()} for bar in bars]
    return {
        "cap": told.cap, "learned_from": told.source, "attempts": told.attempts, "campaign_id": told.campaign_id,
        "answer_p": told.traffic.answer_p, "cases": cases,
    }  # fmt: skip


def _show(told: Told, bars: Sequence[Bar]) -> None:
    screen = Console()
    source = f"learned from {told.attempts} attempts" if told.attempts else "stated"
    screen.print(f"Traffic {source}: {told.traffic.answer_p:.1%} of calls are answered live. Cap {told.cap:.1%}.")
    right = [
        Column(name, justify="right", no_wrap=True)
        for name in ("agents", "occupancy %", "abandoned %", "legal", "waits s", "30 d")
    ]
    title = f"{bars[0].summary.shifts} shifts each, 95 % intervals"
    table = Table(Column("policy", no_wrap=True), *right, title=title, box=None, pad_edge=False)
    for bar in bars:
        came = bar.summary
        busy, over = 100 * came.occupancy, 100 * (came.occupancy_high - came.occupancy)
        left = f"{100 * came.abandonment:.2f} ({100 * came.abandonment_low:.1f}–{100 * came.abandonment_high:.1f})"
        waits = f"{came.caller_wait_s:.2f} / {came.agent_wait_s:.0f}"
        table.add_row(
            bar.policy, str(bar.agents), f"{busy:.1f} ± {over:.1f}", left, f"{came.legal:.0%}", waits,
            f"{100 * came.p_break_30d:.1f}",
        )  # fmt: skip
    screen.print(table)
    screen.print(f"Waits: of callers for an agent / of agents. {MONTH}\n", highlight=False)
    screen.print(twin_chart.text(bars), highlight=False)
    if told.campaign_id:
        screen.print("Kept: a predictive start of the campaign asks for it.")
