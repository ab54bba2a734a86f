"""The people of the demo's clinic, and what they sign in with."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from random import Random

from cli import telephony
from cli.demo import hours
from cli.demo.agenda import Agent
from crm.experiments.rules import EVENT, Design, Outcome, Split, Variant
from crm.settings import settings
from crm.users.rules import Role
from crm.views import View

SLUG, CLINIC, DOMAIN = telephony.DEMO_TENANT, "Lale Klinik", "lale.example"
TEAMS = {"Türkiye": "TR", "International": "EU"}
"""The two teams with their regions; the first is the default one."""
OPENING = "opening"
OPENINGS = Design(
    "A question at the beginning of the call qualifies more people than a greeting.",
    Split.script,
    (Variant("greeting", script="opening.greeting"), Variant("question", script="opening.question")),
    metric=EVENT,
    event=Outcome("lead.status_changed", {"to": "qualified"}),
    window_days=7,
)
"""The clinic's experiment. Its agents do not follow scripts, so it shows what no difference looks like."""
HOT = View("Sıcak başvurular", ("status:in:interested,qualified,proposal",), is_shared=True)
"""The view everybody may open."""
LEADS_A_DAY = 14
"""What one agent works off on an ordinary day."""


@dataclass(frozen=True, slots=True)
class Login:
    """Who may sign in to the demo: one line of the table that `santral up` prints."""

    role: str
    email: str
    name: str
    team: str | None = None


LOGINS = (
    Login(Role.admin, f"admin@{DOMAIN}", "Nermin Aksoy", "Türkiye"),
    Login(Role.sales_manager, f"manager@{DOMAIN}", "Selim Erdem", "International"),
    Login(Role.sales_agent, f"agent@{DOMAIN}", "Derya Toprak", "International"),
    Login(Role.compliance_auditor, f"auditor@{DOMAIN}", "Ufuk Sezer"),
    Login(Role.analyst, f"analyst@{DOMAIN}", "İpek Duman"),
)
"""One for each role; the password is `password()`."""

WORDS = (
    "lale", "martı", "simit", "vapur", "çınar", "fener", "köprü", "yakamoz", "poyraz", "incir", "nar", "zeytin",
    "ıhlamur", "bulut", "deniz", "gece",
)  # fmt: skip
NAMES = (
    "Derya Toprak", "Kaan Sezgin", "Melis Ataman", "Hakan Yücel", "Ceren Oktay", "Sinan Bayrak", "Esra Tanrıkulu",
    "Levent Şanlı", "Gizem Ertuğrul", "Onur Çevik", "Beste Karaca", "Mert Albayrak", "Dilara Uysal", "Cihan Gündüz",
    "Aslı Pekcan", "Tamer Özgür",
)  # fmt: skip


def password() -> str:
    """Return the one password of all demo logins: this installation's own, derived from its secret."""
    drawn = settings().derived("demo password")
    return f"{WORDS[drawn[0] % 16]}-{WORDS[drawn[1] % 16]}-{1000 + int.from_bytes(drawn[2:4]) % 9000}".translate(PLAIN)


PLAIN = str.maketrans("çıöüşğ", "ciousg")


def floor(*, leads: int, since: datetime, until: datetime, seed: int) -> list[Agent]:
    """Return the agents that so many leads want: no two alike in skill, speed, weight, hours, health."""
    rng = Random(f"staff {seed}")
    days = max(1, (until - since).days)
    return [_agent(rng, place, since, days) for place in range(max(6, round(leads / days / LEADS_A_DAY)))]


def _agent(rng: Random, place: int, since: datetime, days: int) -> Agent:
    name = NAMES[place] if place < len(NAMES) else f"{NAMES[place % 16].split()[0]} {NAMES[place * 7 % 16].split()[1]}"
    skill, pace = rng.uniform(0.78, 1.22), rng.uniform(0.7, 1.35)
    opens, closes = ((9, 18), (12, 21), (14, 23))[place // 2 % 3]
    return Agent(
        name=name,
        email=LOGINS[2].email if place == 0 else f"agent{place + 1}@{DOMAIN}",
        team=list(TEAMS)[place % 3 != 1],
        skill=skill,
        pace=pace,
        weight=1 if skill < 0.92 else 3 if skill > 1.12 else 2,
        capacity=400,
        opens=opens,
        closes=closes,
        sundays=place in (0, 1),
        off=_absence(rng, since, days) if place in (2, 4) else frozenset(),
        speaks_german=place % 3 == 2,
    )


def profile(agent: Agent) -> dict[str, object]:
    """Return what an agent can: everybody sells, the better the more of each procedure; some speak German."""
    best = 2 + round(2 * (agent.skill - 0.78) / 0.44)
    skills = {"hair": best, "dental": max(1, best - 1)}
    if agent.speaks_german:
        skills["german"] = best
    return {"skills": skills}


def _absence(rng: Random, since: datetime, days: int) -> frozenset[date]:
    first = since.astimezone(hours.ZONE).date() + timedelta(
        days=rng.randrange(max(1, days // 3), max(2, days * 3 // 4))
    )
    return frozenset(first + timedelta(days=n) for n in range(3))
