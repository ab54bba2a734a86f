"""Looking for possible duplicates: what one more contact costs when 100,000 are known, beside when 5,000 are.

Names are drawn so that a few are very common, as they are; the baseline is the same work on the small firm, in turns.
"""

import random
import time
from uuid import UUID

from bench import product, report
from crm import clock, db, ids
from crm.actor import Actor
from crm.duplicates import finding

FEW, MANY, NEW, ROUNDS = 5_000, 100_000, 250, 5
TARGET = 3.0
"""Blocks fill up to `finding.LARGEST_BLOCK` and then cost no more; twenty times the contacts may cost three times."""
SYLLABLES = ("ay", "me", "li", "ha", "san", "ka", "ya", "de", "mir", "sel", "gul", "can", "tur", "oz", "er", "nur")

FILL = """
insert into crm.contact (tenant_id, id, name, name_search, country, phone_masked, created_at, updated_at)
select $1::uuid, i.id, i.name, i.name, 'TR', '+90 ••• ••• •• ' || lpad((random() * 99)::int::text, 2, '0'), now(), now()
  from unnest($2::uuid[], $3::text[]) as i(id, name)
"""


def main() -> None:
    """Print the figure."""
    with product.database():
        few, many = product.run(grown("few", FEW)), product.run(grown("many", MANY))
        rounds = [(product.run(one_round(few)), product.run(one_round(many))) for _ in range(ROUNDS + 1)][1:]
    report.figure("a new contact among 100,000, of among 5,000", [ours / base for base, ours in rounds], TARGET,
                  at_least=False)  # fmt: skip
    in_ms = [1000 * report.median_of(each) for each in zip(*rounds, strict=True)]
    report.remark(f"{in_ms[0]:.2f} ms among 5,000, {in_ms[1]:.2f} ms among 100,000, for one contact")
    report.remark(f"{NEW} contacts a round in one transaction, {ROUNDS} rounds after a warm-up, 1 connection, fsync on")


def names(how_many: int, chance: random.Random) -> list[str]:
    """Return folded names, a few of them very common."""

    def word() -> str:
        return "".join(SYLLABLES[min(int(chance.expovariate(0.3)), 15)] for _ in range(3))

    return [f"{word()} {word()}" for _ in range(how_many)]


async def add(firm: product.Firm, how_many: int, chance: random.Random) -> list[UUID]:
    """Give a firm so many more contacts."""
    made = [ids.new() for _ in range(how_many)]
    async with db.transaction(Actor.system(firm.tenant_id)) as tx:
        await tx.execute(FILL, firm.tenant_id, made, names(how_many, chance))
    return made


async def grown(slug: str, how_many: int) -> tuple[product.Firm, random.Random]:
    """Return a firm with so many contacts, all of them looked at."""
    firm, chance = await product.make_firm(slug), random.Random(7)
    made = await add(firm, how_many, chance)
    for start in range(0, how_many, finding.AT_ONCE):
        await look(firm, made[start : start + finding.AT_ONCE])
    return firm, chance


async def look(firm: product.Firm, contacts: list[UUID]) -> None:
    """Look at some contacts as the product does."""
    now = clock.utc_now()
    await db.run(Actor.system(firm.tenant_id), lambda tx: finding.look(tx, contacts, now=now))


async def one_round(grown_firm: tuple[product.Firm, random.Random]) -> float:
    """Return the seconds that one new contact takes."""
    firm, chance = grown_firm
    made = await add(firm, NEW, chance)
    began = time.perf_counter()
    await look(firm, made)
    return (time.perf_counter() - began) / NEW
