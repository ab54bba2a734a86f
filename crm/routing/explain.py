"""Why a lead went where it went: kept in few bytes, told in codes and in sentences. No database, no clock."""

import struct
import zlib
from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from crm.leads.rules import TERMINAL
from crm.routing.asking import Standing
from crm.routing.floor import CODES, Seat
from crm.routing.turns import LEAD

HUNDREDTHS = 100
"""Credits are kept for the eye, in hundredths of a lead; replay works them out exactly."""


def pack(standings: Iterable[Standing], places: Mapping[tuple[UUID, UUID], int]) -> bytes:
    """Return standings in few bytes: each seat by its place in the roster, with code, weight and credit."""
    parts = []
    for standing in standings:
        seats = array("H", [places[seat.team_id, seat.user_id] for seat in standing.seats])
        credits = [max(-32768, min(32767, credit * HUNDREDTHS // LEAD)) for credit in standing.credits]
        parts += [
            struct.pack("<H", len(seats)), seats.tobytes(), standing.codes,
            array("H", standing.weights).tobytes(), array("h", credits).tobytes(),
        ]  # fmt: skip
    return zlib.compress(b"".join(parts), 1)


def unpack(packed: bytes, seats: Sequence[Seat]) -> list[dict[str, Any]]:
    """Return those considered, in the order in which they were asked: who, a code, weight, credit before the turn."""
    raw, start, found = zlib.decompress(packed), 0, []
    while start < len(raw):
        (count,) = struct.unpack_from("<H", raw, start)
        places = array("H", raw[start + 2 : start + 2 + 2 * count])
        codes = raw[start + 2 + 2 * count : start + 2 + 3 * count]
        weights = array("H", raw[start + 2 + 3 * count : start + 2 + 5 * count])
        credits = array("h", raw[start + 2 + 5 * count : start + 2 + 7 * count])
        start += 2 + 7 * count
        for place, code, weight, credit in zip(places, codes, weights, credits, strict=True):
            seat = seats[place]
            found.append(
                {"user_id": seat.user_id, "team_id": seat.team_id, "code": CODES[code], "weight": weight,
                 "credit": credit / HUNDREDTHS}
            )  # fmt: skip
    return found


COUNTED = {
    "able": {"tr": "{n} kişi alabilecek durumda", "en": "{n} could take it"},
    "inactive": {"tr": "{n} kişinin hesabı kapalı", "en": "{n} have no active account"},
    "not_accepting": {"tr": "{n} kişi molada", "en": "{n} are paused"},
    "absent": {"tr": "{n} kişi izinli", "en": "{n} are out of office"},
    "closed": {"tr": "{n} kişi mesai dışında", "en": "{n} are outside their working hours"},
    "territory": {"tr": "{n} kişi bu bölgeye bakmıyor", "en": "{n} do not serve this region"},
    "language": {"tr": "{n} kişi bu dili konuşmuyor", "en": "{n} do not speak the language"},
    "skill": {"tr": "{n} kişinin yetkinliği yetmiyor", "en": "{n} lack the skill required"},
    "cooling_off": {"tr": "{n} kişiye bekleme süresi dolmadan dönmez", "en": "{n} had it before and it is cooling off"},
    "day_full": {"tr": "{n} kişi günlük sınırına ulaştı", "en": "{n} have reached their daily cap"},
    "full": {"tr": "{n} kişinin yeri dolu", "en": "{n} hold as many open leads as they may"},
}
"""How many stood how, in words."""

RULES = {
    "handed_to_team": {"tr": "Ekibe elle verildi", "en": "It was handed to the team"},
    "own_team": {"tr": "Geldiği ekibe ait", "en": "It came for its team"},
    "default_team": {"tr": "Varsayılan ekibe düştü", "en": "It fell to the default team"},
    "default": {"tr": "Kuralların varsayılanına düştü", "en": "It fell to the default of the rules"},
    "queue": {"tr": "Yönetici kuyruğunda", "en": "It is in the administrators' queue"},
    "no_team": {"tr": "Ekip yok", "en": "There is no team"},
}
"""What happens without a rule, in words."""

OUTCOMES = {
    "chosen": {"tr": "sıra ondaydı", "en": "it was their turn"},
    "nobody_free": {"tr": "uygun kimse yok, başvuru bekliyor", "en": "nobody is free, so it waits"},
    "no_members": {"tr": "dağıtıma katılan kimse yok, başvuru bekliyor", "en": "nobody takes leads there, so it waits"},
    "no_team": {"tr": "varsayılan ekip yok, başvuru bekliyor", "en": "there is no default team, so it waits"},
    "in_queue": {"tr": "bir yöneticinin dağıtmasını bekliyor", "en": "it waits for an administrator to give it out"},
    "no_capacity": {"tr": "kimsenin yeri yok, başvuru bekliyor", "en": "nobody has room, so it waits"},
}


ANSWERS = {
    "given": {"tr": "Dağıtım verdi; nedeni kararda yazıyor.", "en": "Distribution gave it; the decision says why."},
    "by_hand": {"tr": "Dağıtımla değil, elle verildi.", "en": "It was given by hand, not by distribution."},
    "ended": {"tr": "Sonuçlandı; kimseye verilmez.", "en": "It has ended, so it is given to nobody."},
    "test": {"tr": "Deneme kaydı; deneme kayıtları dağıtılmaz.", "en": "It is a test, and tests are not given out."},
    "in_queue": {
        "tr": "Yönetici kuyruğunda: bir yönetici birine ya da bir ekibe verene kadar bekler.",
        "en": "It is in the administrators' queue until one of them gives it to somebody or to a team.",
    },
    "waits": {
        "tr": "Bekliyor: uygun biri çıkınca, en uzun bekleyenden başlanarak verilir.",
        "en": "It waits: as soon as somebody may take it, the longest waiting goes first.",
    },
    "not_yet": {"tr": "Karar verilmek üzere.", "en": "It is about to be decided."},
    "under_way": {
        "tr": "Sahibi yok, ama işlemde: dağıtım onu kendiliğinden vermez. Birine ya da bir ekibe verin.",
        "en": "Nobody has it, and it is under way: distribution leaves it alone. Give it to somebody or to a team.",
    },
}
"""Where a lead stands with distribution now, in words."""


def answer(lead: Mapping[str, Any]) -> dict[str, str]:
    """Return where a lead stands with distribution now: a code of `ANSWERS`, in Turkish and in English.

    `lead` tells `owner_id`, `decision_id` of the hands it is in, `status`, `is_test`, `queue`, whether it `waits`, and
    whether it `asks` for somebody.
    """
    code = "under_way"
    if lead["owner_id"]:
        code = "given" if lead["decision_id"] else "by_hand"
    elif lead["status"] in TERMINAL:
        code = "ended"
    elif lead["is_test"]:
        code = "test"
    elif lead["queue"]:
        code = "in_queue"
    elif lead["asks"]:
        code = "waits" if lead["waits"] else "not_yet"
    return {"code": code, **ANSWERS[code]}


def sentences(rule: str | None, reasons: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return what was decided and why as one sentence in Turkish and one in English; people stand in the figures."""
    if not reasons:
        return {"tr": "", "en": ""}
    first, told = reasons[0], {}
    for language in ("tr", "en"):
        asked = RULES[rule][language] if rule in RULES else {"tr": f"Kural {rule}", "en": f"Rule {rule}"}[language]
        parts = [OUTCOMES.get(first["code"], {}).get(language, first["code"]), *_steps(first, language)]
        parts += [
            COUNTED[each["code"]][language].format(n=each["count"])
            for each in reasons[1:]
            if each["code"] in COUNTED and "count" in each
        ]
        told[language] = f"{asked}: {'; '.join(parts)}."
    return told


def _steps(first: Mapping[str, Any], language: str) -> list[str]:
    steps = []
    if first.get("ring"):
        words = {"tr": "beklediği için yetkinlik şartı {n}. kez genişledi", "en": "after waiting, ring {n} had opened"}
        steps.append(words[language].format(n=first["ring"]))
    if first.get("stage") == "overflow":
        steps.append({"tr": "süre dolduğu için taşma ekibi de soruldu", "en": "the overflow team was asked"}[language])
    tied = max((draw["tied"] for draw in first.get("draws", ())), default=1)
    if tied > 1:
        words = {"tr": "{n} kişi arasında kurayla", "en": "drawn among {n} who tied"}
        steps.append(words[language].format(n=tied))
    return steps
