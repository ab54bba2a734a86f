"""What tests of tables ask, in words."""

from typing import Any

import pytest

from orchestration import wording


def generic(kind: str, **told: Any) -> dict[str, Any]:
    return {"name": f"{kind}_long_name", "test_metadata": {"name": kind, "kwargs": told}}


class TestAsked:
    @pytest.mark.parametrize(
        ("test", "said", "said_tr"),
        [
            (generic("not_null", column_name="fx_rate"), "Every row has fx_rate.", "Her satırda fx_rate vardır."),
            (
                generic("unique", column_name="team_id"), "No two rows have the same team_id.",
                "Hiçbir iki satırın team_id değeri aynı değildir.",
            ),
            (
                generic("unique_together", columns=["a", "b"]), "No two rows have the same a, b.",
                "Hiçbir iki satırın a, b değerleri aynı değildir.",
            ),
            (
                generic("accepted_values", column_name="rank", values=[1, 2]), "rank is one of 1, 2.",
                "rank şunlardan biridir: 1, 2.",
            ),
            (
                generic("belongs_to", columns=["tenant_id", "team_id"], to="ref('dim_team')"),
                "Every tenant_id, team_id is known to dim_team.", "Her tenant_id, team_id dim_team tablosunda vardır.",
            ),
            (
                generic("relationships", column_name="status", to="ref('dim_stage_map')"),
                "Every status is known to dim_stage_map.", "Her status dim_stage_map tablosunda vardır.",
            ),
            (
                generic("leads_arrive", share=0.98),
                "A day later at least 98 % of the leads that an advertising platform reports are here.",
                "Reklam platformunun bildirdiği başvuruların en az %98 kadarı bir gün sonra buradadır.",
            ),
            (
                {
                    "name": "fct_call_talk_is_not_negative", "depends_on": {"nodes": ["model.santral.fct_call"]},
                    "test_metadata": {"name": "holds", "kwargs": {"condition": "talk_s >= 0"}},
                },
                "Talk is not negative: `talk_s >= 0`.", "Her satırda şu koşul tutar: `talk_s >= 0`.",
            ),
            (
                {"name": "fct_call_sums_up", "depends_on": {"nodes": ["model.santral.fct_call"]}},
                "Sums up.", "Sınama: Sums up.",
            ),
        ],
    )  # fmt: skip
    def test_is_a_sentence(self, test: dict[str, Any], said: str, said_tr: str) -> None:
        assert wording.asked(test) == (said, said_tr)


class TestBroken:
    def test_tells_postgresql_s_code_of_an_error_in_words(self) -> None:
        assert wording.broken("23505") == ("a key comes twice (23505)", "bir anahtar iki kez geliyor (23505)")
        assert wording.broken("22P04") == (
            "a value cannot be reckoned with (22P04)", "bir değerle hesap yapılamıyor (22P04)",
        )  # fmt: skip
        assert wording.broken(wording.WAITS) == (
            "a table that it is made of could not be built", "dayandığı bir tablo kurulamadı",
        )  # fmt: skip
