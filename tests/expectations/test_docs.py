"""Data Docs: rules and counts for people, and none of the values that were found."""

from pathlib import Path

import pandas as pd

from expectations import rules

SOMEBODY = "905321112233"


def test_pages_tell_the_rules_and_hold_nobody(tmp_path: Path) -> None:
    from expectations import docs  # which takes seconds to load: only whoever runs this waits for it

    rows = pd.DataFrame(
        [
            {
                "spend": -1.0, "currency": SOMEBODY, "campaign_id": SOMEBODY, "names_its_ad": True, "least_count": 0.0,
                "is_of_its_day": True, "is_repeated": False, "payload_id": SOMEBODY,
            }
        ]
        * 3
    )  # fmt: skip
    days = pd.DataFrame(
        [
            {
                "without_phone_rise": 0.9, "without_ad_rise": 0.0, "from_future_share": 0.0, "volume_ratio": 1.0,
                "changed_questions": f"new: {SOMEBODY}", "label": SOMEBODY,
            }
        ]
    )  # fmt: skip

    page = docs.publish([(rules.REPORT_ROWS, rows), (rules.LEADS, days)], tmp_path / "docs")

    written = [path for path in (tmp_path / "docs").rglob("*") if path.is_file()]
    pages = [path for path in written if path.suffix == ".html"]
    assert page in pages
    assert len(pages) >= 5
    assert [path for path in written if SOMEBODY in path.read_text(errors="replace")] == []
    assert any("far more leads than usual have no telephone number" in path.read_text() for path in pages)
