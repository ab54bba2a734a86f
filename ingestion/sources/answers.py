"""Questions and answers of lead forms, common to the sources: who asks, how they are reached, what they agreed to."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from crm import vault
from crm.inbox.connections import Consents
from crm.leads.intake import Consent

PERSONAL = re.compile(r"street|address|adres|birth|dogum|doğum|national|tckn|identity|passport|post_?code|zip|cpf|dni")
"""Questions whose answer says who somebody is or where they live: it stays in the sealed message."""
YES = frozenset({"1", "true", "yes", "evet", "on", "checked", "i agree", "kabul ediyorum", "onaylıyorum"})
NO = frozenset({"0", "false", "no", "hayır", "hayir", "off", "", "unchecked"})
LONGEST_NAME, LONGEST_VALUE = 60, 500

KEYWORD = ("utm_term", "keyword", "kw", "hsa_kw")
"""Hidden fields that tell the keyword searched for, the first one filled in counts."""
GEOGRAPHY = ("geography", "geo", "utm_geo", "utm_location", "utm_region", "region", "state", "city")
PLACE = re.compile(r"[^\W\d_][^\W\d_ .'/-]*(?:[ .'/-]+[^\W\d_]+)*\.?")
"""What may be a place: letters, no digit and no sign by which somebody is reached."""
LONGEST_PLACE = 60

CHANNEL_WORDS: dict[str, tuple[str, ...]] = {
    "call": ("call", "phone", "telefon", "arama"),
    "sms": ("sms",),
    "whatsapp": ("whatsapp",),
    "email": ("email", "e_mail", "e-mail", "eposta", "e-posta"),
}
CONSENT_WORDS = ("consent", "onay", "izin", "permission", "opt_in", "optin")


def text(value: Any) -> str:
    """Return a value as text that can be stored: no NUL, no half of a surrogate pair."""
    return str(value).replace("\x00", "").encode("utf-8", "replace").decode()


def attributes(answers: Mapping[str, str]) -> dict[str, str]:
    """Return answers that may be kept in clear, by a tidy name of the question."""
    return {
        name: value[:LONGEST_VALUE]
        for question, value in answers.items()
        if (name := tidy(question)) and value and not PERSONAL.search(name)
    }


def tidy(question: str) -> str:
    """Return a question as a name: lower case, letters and digits of any script, underscores."""
    return re.sub(r"\W+", "_", question.casefold()).strip("_")[:LONGEST_NAME]


def channels(question: str, told: Consents) -> Sequence[str]:
    """Return the channels a question asks consent for: as the connection was told, else by its own words."""
    if question in told:
        return list(told[question])
    name = question.casefold()
    return [channel for channel, words in CHANNEL_WORDS.items() if any(word in name for word in words)]


def is_consent_question(question: str, told: Consents) -> bool:
    """Tell whether a question among others asks for consent."""
    return question in told or any(word in question.casefold() for word in CONSENT_WORDS)


def consents(answered: Iterable[tuple[str, str]], told: Consents, **evidence: Any) -> list[Consent]:
    """Return what was agreed to or refused, channel by channel, each with the question and answer it rests on.

    A question refused and another agreed to for the same channel is a refusal. An answer that is neither says nothing.
    """
    found: dict[str, Consent] = {}
    for question, answer in answered:
        status = _status(answer)
        for channel in channels(question, told) if status else ():
            if channel not in found or status == "denied":
                what = {"question": question[:LONGEST_VALUE], "answer": answer[:LONGEST_NAME], **evidence}
                found[channel] = Consent(channel, str(status), what)
    return list(found.values())


def _status(answer: str) -> str | None:
    word = answer.strip().casefold()
    return "granted" if word in YES else "denied" if word in NO else None


def keyword(answered: Mapping[str, str]) -> str | None:
    """Return the keyword that hidden fields tell, scrubbed of numbers and addresses: it travels in clear."""
    found = next((text for text in _filled(answered, KEYWORD)), "")
    return vault.scrub(found)[:LONGEST_VALUE] or None


def geography(answered: Mapping[str, str], country: str) -> str | None:
    """Return the place that hidden fields tell, or the country; what does not look like a place tells none."""
    return next(filter(_is_place, _filled(answered, GEOGRAPHY)), country) or None


def _is_place(text: str) -> bool:
    # Raised and circled digits are word characters to a pattern, and no digits.
    return len(text) <= LONGEST_PLACE and bool(PLACE.fullmatch(text)) and not any(sign.isdigit() for sign in text)


def _filled(answered: Mapping[str, str], names: Iterable[str]) -> Iterator[str]:
    by_name = {tidy(question): answer.strip() for question, answer in answered.items()}
    return (by_name[name] for name in names if by_name.get(name))


def full_name(answers: Mapping[str, str], whole: str, first: str, last: str) -> str:
    """Return the name as one text, from the whole or from its parts."""
    return (answers.get(whole) or f"{answers.get(first, '')} {answers.get(last, '')}").strip()
