"""`santral twin` as it is called: stated traffic, traffic learned from a campaign, charts, and what it refuses."""

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest

from crm import clock
from crm.dialling import twins
from crm.dialling.twins import Source
from tests.conftest import Tenant
from tests.crm.dialling.floor import do, make_campaign, make_queue
from tests.crm.dialling.past import Past, dialled_before

SANTRAL = Path(sys.executable).parent / "santral"
QUICK = ("--agents", "4", "--shifts", "3", "--hours", "0.25", "--workers", "1")


def santral(*words: object, code: int = 0) -> str:
    done = subprocess.run([SANTRAL, "twin", *map(str, words)], capture_output=True, text=True, timeout=120)
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


class TestStated:
    def test_answers_in_one_json_line(self):
        told = json.loads(
            santral(*QUICK, "--policy", "predictive,progressive,power:1.5,adapt:2", "--p", "0.4", "--json")
        )

        assert (told["learned_from"], told["answer_p"], told["cap"]) == ("stated", 0.4, 0.03)
        assert [each["policy"] for each in told["cases"]] == ["predictive", "progressive", "power:1.5", "adapt:2"]
        for each in told["cases"]:
            assert 0.3 < each["occupancy_low"] <= each["occupancy"] <= each["occupancy_high"]
            assert each["shifts"] == 3
        assert told["cases"][1]["abandonment"] == told["cases"][1]["p_break_30d"] == 0.0

    def test_says_the_same_for_the_same_seed(self):
        first, again, other = (santral(*QUICK, "--json", "--seed", seed) for seed in (7, 7, 8))

        assert first == again != other

    def test_draws(self, tmp_path: Path):
        table = santral(*QUICK, "--agents", "2,4", "--chart", tmp_path / "twin.svg")

        words = [each.text for each in ElementTree.parse(tmp_path / "twin.svg").iter() if each.text]
        assert any("4 agents, predictive" in each for each in words)
        assert "█" in table
        assert "abandoned" in table

    @pytest.mark.parametrize(
        ("words", "sentence"),
        [
            (("--agents", "many"), "whole numbers"),
            (("--agents", "0"), "whole numbers"),
            (("--policy", "clever"), "no such policy"),
            (("--p", "1.5"), "between 0 and 1"),
            (("--chart", "twin.docx"), "charts are SVG"),
        ],
    )
    def test_refuses_in_a_sentence(self, words: tuple[str, ...], sentence: str):
        assert sentence in santral(*words, code=1)


class TestFromHistory:
    async def test_learns_from_the_campaign_and_keeps_the_run(self, tenant: Tenant):
        await make_queue(tenant)
        campaign = await make_campaign(tenant, cap=0.02)
        await dialled_before(
            tenant, campaign,
            [Past("live_right_party", after_s=7, talk_s=60 + n, wrap_s=10, ago=timedelta(hours=n)) for n in range(60)]
            + [Past("no_answer", after_s=25, ago=timedelta(hours=n)) for n in range(180)],
        )  # fmt: skip

        told = json.loads(santral(*QUICK, "--policy", "predictive", "--from-history", "spring", "--json"))

        run = await do(tenant.system, lambda tx: twins.latest(tx, campaign, clock.utc_now()))
        assert (told["learned_from"], told["attempts"], told["answer_p"], told["cap"]) == ("history", 240, 0.25, 0.02)
        assert run is not None
        assert (run.outcome.agents, run.outcome.cap, run.outcome.attempts) == (4, 0.02, 240)
        assert run.outcome.learned_from is Source.history
        assert run.outcome.occupancy == told["cases"][0]["occupancy"]

    async def test_of_too_little_it_says_so_and_keeps_nothing(self, tenant: Tenant):
        await make_queue(tenant)
        campaign = await make_campaign(tenant)

        assert "too few attempts" in santral(*QUICK, "--from-history", "spring", code=1)
        assert await do(tenant.system, lambda tx: twins.latest(tx, campaign, clock.utc_now())) is None

    async def test_of_a_new_campaign_a_stated_run_can_be_kept(self, tenant: Tenant):
        await make_queue(tenant)
        campaign = await make_campaign(tenant)

        words = santral(*QUICK, "--keep-for", "spring", "--p", "0.2")

        run = await do(tenant.system, lambda tx: twins.latest(tx, campaign, clock.utc_now()))
        assert run is not None
        assert run.outcome.learned_from is Source.stated
        assert "Kept" in words

    async def test_knows_no_campaign_of_another_name(self, tenant: Tenant):
        assert "campaign" in santral(*QUICK, "--from-history", "autumn", code=1)
