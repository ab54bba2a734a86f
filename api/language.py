"""In which of our languages a client is answered (RFC 9110, Accept-Language): Turkish unless English is preferred."""

from typing import Annotated, Literal

from fastapi import Depends, Header

Code = Literal["tr", "en"]


def choose(accept: str) -> Code:
    """Return the language a client prefers among ours; what names none of them gets Turkish."""
    best: tuple[float, Code] = (0.0, "tr")
    for part in accept.split(","):
        tag, _, quality = part.partition(";")
        code = tag.strip().lower().partition("-")[0]
        if code in ("tr", "en"):
            try:
                weight = float(quality.strip().removeprefix("q=") or 1)
            except ValueError:
                continue
            best = max(best, (weight, "tr" if code == "tr" else "en"), key=lambda found: found[0])
    return best[1]


async def _language(accept_language: Annotated[str | None, Header(max_length=500)] = None) -> Code:
    return choose(accept_language or "")


Language = Annotated[Code, Depends(_language)]
"""The language for labels; codes are the same in every language."""
