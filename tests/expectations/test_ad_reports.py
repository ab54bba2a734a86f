"""Every rule of the gate: one row that breaks it, and the sentence it gets."""

from typing import Any

import pandas as pd
import pytest

from expectations import ad_reports, gate

ROW: dict[str, Any] = {
    "payload_id": "r", "campaign_id": "1", "currency": "TRY", "spend": 1.0, "least_count": 0.0,
    "is_of_its_day": True, "is_repeated": False,
}  # fmt: skip
SET: dict[str, Any] = {"payload_id": "r", "is_complete": True, "volume_ratio": 1.0}


class TestJudge:
    @pytest.mark.parametrize(
        ("fault", "sentence"),
        [
            ({}, None),
            ({"spend": None}, "spend is missing or not a number"),
            ({"spend": -0.01}, "spend is negative"),
            ({"currency": None}, "the currency is missing"),
            ({"currency": "TL"}, "the currency is not an ISO 4217 code"),
            ({"campaign_id": None}, "the campaign is missing"),
            ({"least_count": -1.0}, "a count (impressions, clicks, leads) is negative or not a number"),
            ({"is_of_its_day": False}, "a row is of another day than the report"),
            ({"is_repeated": True}, "an ad has more than one row"),
        ],
    )
    def test_rows(self, fault: dict[str, Any], sentence: str | None) -> None:
        frame = pd.DataFrame([ROW | {"payload_id": "good"}, ROW | fault])

        assert gate.judge(frame, ad_reports.ROWS, key="payload_id") == ({"r": [sentence]} if sentence else {})

    @pytest.mark.parametrize(
        ("fault", "sentence"),
        [
            ({"volume_ratio": None}, None),
            ({"is_complete": False}, "the report is not complete: the platform has more pages of it"),
            (
                {"volume_ratio": 0.05},
                "the report has far fewer or far more rows than the account's reports usually have",
            ),
            (
                {"volume_ratio": 11.0},
                "the report has far fewer or far more rows than the account's reports usually have",
            ),
        ],
    )
    def test_sets(self, fault: dict[str, Any], sentence: str | None) -> None:
        frame = pd.DataFrame([SET | {"payload_id": "good"}, SET | fault])

        assert gate.judge(frame, ad_reports.SETS, key="payload_id") == ({"r": [sentence]} if sentence else {})
