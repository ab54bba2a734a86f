"""Every rule of the gates: one row that breaks it, and the sentence it gets."""

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from expectations import rules

GOOD: dict[str, dict[str, Any]] = {
    "raw/ad_reports rows": {
        "campaign_id": "1", "currency": "TRY", "spend": 1.0, "least_count": 0.0, "names_its_ad": True,
        "is_of_its_day": True, "is_repeated": False,
    },
    "raw/ad_reports sets": {"is_complete": True, "volume_ratio": 1.0, "days_missing": 0, "days_ahead": 0},
    "raw/ad_accounts accounts": {"days_silent": 1},
    "raw/leads days": {
        "without_phone_rise": 0.1, "without_ad_rise": -0.2, "from_future_share": 0.0, "volume_ratio": None,
        "changed_questions": None,
    },
    "raw/calls days": {"unended_share": 0.01, "from_future_share": 0.0, "volume_ratio": 1.0},
    "raw/imports files": {"is_whole": True, "rejected_share": 0.01, "volume_ratio": None, "known_share": 0.5},
    "raw/fx_rates tables": {"is_readable": True, "days_ahead": 0, "largest_move": None},
}  # fmt: skip
SUITES = {f"{suite.asset} {suite.frame}": suite for suite in rules.SUITES}

FAULTS = [
    ("raw/ad_reports rows", {"spend": None}, "spend is missing or not a number"),
    ("raw/ad_reports rows", {"spend": -0.01}, "spend is negative"),
    ("raw/ad_reports rows", {"currency": None}, "the currency is missing"),
    ("raw/ad_reports rows", {"currency": "TL"}, "the currency is not an ISO 4217 code"),
    ("raw/ad_reports rows", {"campaign_id": None}, "the campaign is missing"),
    ("raw/ad_reports rows", {"names_its_ad": False}, "the ad is missing"),
    ("raw/ad_reports rows", {"least_count": -1.0}, "a count (impressions, clicks, leads) is negative or not a number"),
    ("raw/ad_reports rows", {"is_of_its_day": False}, "a row is of another day than the report"),
    ("raw/ad_reports rows", {"is_repeated": True}, "an ad has more than one row"),
    ("raw/ad_reports sets", {"volume_ratio": None}, None),
    (
        "raw/ad_reports sets",
        {"is_complete": False},
        "the report is not complete: the platform has more pages of it",
    ),
    (
        "raw/ad_reports sets",
        {"volume_ratio": 0.05},
        "the report has far fewer or far more rows than the account's reports usually have",
    ),
    ("raw/ad_reports sets", {"days_missing": 2}, "days before it have no report"),
    ("raw/ad_reports sets", {"days_ahead": 2}, "the report is of a day that has not begun"),
    ("raw/ad_accounts accounts", {"days_silent": 3}, "no report has come for more than two days"),
    ("raw/leads days", {"without_phone_rise": 0.4}, "far more leads than usual have no telephone number"),
    ("raw/leads days", {"without_ad_rise": 1.0}, "far more leads than usual have no ad id"),
    ("raw/leads days", {"from_future_share": 0.1}, "leads were sent after they arrived: a clock is wrong"),
    ("raw/leads days", {"volume_ratio": 0.0}, "far fewer or far more leads than the form usually brings"),
    (
        "raw/leads days",
        {"changed_questions": "gone: phone"},
        "the form asks other questions than before (gone: phone)",
    ),
    ("raw/calls days", {"unended_share": 0.2}, "calls of hours ago have no end: the exchange's news was lost"),
    ("raw/calls days", {"from_future_share": 0.1}, "calls are told of before they happen: a clock is wrong"),
    (
        "raw/calls days",
        {"volume_ratio": 0.0},
        "far fewer or far more calls than usual: is the exchange connected?",
    ),
    ("raw/imports files", {"is_whole": False}, "the import ended before its file did: rows are missing"),
    ("raw/imports files", {"rejected_share": 0.6}, "a large part of the file was rejected: see the import's report"),
    (
        "raw/imports files",
        {"volume_ratio": 0.1},
        "the file is far shorter or longer than its source's files usually are",
    ),
    (
        "raw/imports files",
        {"known_share": 1.0},
        "nearly every row was known before: the file came twice; nothing was counted twice",
    ),
    ("raw/fx_rates tables", {"is_readable": False}, "what the bank sent is no table of rates of its day"),
    ("raw/fx_rates tables", {"days_ahead": 2}, "the rates are of a day that has not begun"),
    ("raw/fx_rates tables", {"largest_move": 0.5}, "a rate differs by more than a fifth from the one before"),
]


@pytest.fixture(scope="module")
def judge() -> Callable[..., Any]:
    """Great Expectations takes seconds to load: only whoever runs these tests waits for it."""
    from expectations import gate

    return gate.judge


class TestJudge:
    @pytest.mark.parametrize("which", sorted(GOOD))
    def test_says_nothing_of_what_is_good(self, which: str, judge: Callable[..., Any]) -> None:
        frame = pd.DataFrame([GOOD[which] | {"key": "one"}, GOOD[which] | {"key": "two"}])

        assert judge(frame, SUITES[which], key="key") == {}

    @pytest.mark.parametrize("which", sorted(GOOD))
    def test_finds_every_fault_of_a_suite_at_once(self, which: str, judge: Callable[..., Any]) -> None:
        faults = [(fault, said) for of, fault, said in FAULTS if of == which]
        rows = [GOOD[which] | {"key": "good"}] + [
            GOOD[which] | fault | {"key": f"f{n}"} for n, (fault, _) in enumerate(faults)
        ]

        found = judge(pd.DataFrame(rows), SUITES[which], key="key")

        said = {key: [fault.says for fault in each] for key, each in found.items()}
        assert said == {f"f{n}": [sentence] for n, (_, sentence) in enumerate(faults) if sentence}

    def test_every_rule_has_a_fault_that_breaks_it(self) -> None:
        told = {sentence for _, _, sentence in FAULTS if sentence}

        assert {rule.id for rule in rules.BY_ID.values() if not any(s.startswith(rule.says) for s in told)} == set()
