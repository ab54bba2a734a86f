"""A page as somebody meets it who has a keyboard alone."""

from typing import Any

from tests.dashboards.conftest import Visit

MOST = 200
HERE = """() => {
  const it = document.activeElement, style = getComputedStyle(it)
  window.walked = window.walked || []
  const isAgain = window.walked.includes(it)
  const before = window.walked[window.walked.length - 1]
  window.walked.push(it)
  return {
    name: it.getAttribute('aria-label') || it.textContent.trim() || it.tagName,
    tag: it.tagName, isAgain: isAgain && it !== before,
    isSeen: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1,
    isAfter: !before || it === before || Boolean(before.compareDocumentPosition(it) & Node.DOCUMENT_POSITION_FOLLOWING),
  }
}"""
"""What the keyboard is on now, whether it can be seen that it is, and whether it follows what it was on before."""


async def is_walked(visit: Visit, *wanted: str) -> None:
    """Tab leads through the whole page in the order in which it is read, seen at each step, past what is wanted."""
    steps: list[dict[str, Any]] = []
    for _ in range(MOST):
        await visit.page.keyboard.press("Tab")
        step = await visit.page.evaluate(HERE)
        if step["isAgain"]:
            break
        steps.append(step)
    met = [step["name"] for step in steps]
    assert [name for name in wanted if not any(name in each for each in met)] == [], met
    assert [step["name"] for step in steps if not step["isSeen"] and step["tag"] not in OWN] == []
    assert sum(not step["isAfter"] for step in steps) <= 1, f"the way round begins again at the top, once: {met}"


OWN = ("BODY", "MAIN", "INPUT", "SECTION")
"""What shows by its frame that the keyboard is in it, or holds all the rest."""
