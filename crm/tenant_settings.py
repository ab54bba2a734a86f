"""What a tenant may set, each setting declared once beside the code that obeys it, typed, and valid from an instant.

A change never rewrites the past: `value(tx, WHICH, at=...)` answers with what was set at that instant.
"""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

import asyncpg
from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from crm import audit, errors, events, ids, vault
from crm.db import Tx
from crm.operation import operation

T = TypeVar("T")
NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
"""A NUL character in JSON text: an escape that is not itself escaped."""


class UnknownSetting(errors.NotFound):
    """There is no such setting."""

    code = "setting.not_found"


class BadSetting(errors.Invalid):
    """This value cannot be set."""

    code = "setting.invalid"


class MovedOn(errors.Conflict):
    """Somebody else has changed this setting meanwhile; read it again."""

    code = "setting.moved_on"


@dataclass(frozen=True, slots=True, eq=False)
class Setting(Generic[T]):
    """One thing a tenant may set. `kind` is what pydantic checks it by, `labels` its name in Turkish and English.

    `secret`: its values are kept out of the audit log. `column`: the column of `crm.tenant` that holds it now too; such
    a setting changes at once or not at all. `told`: what the event of a change says of the new value (codes and numbers
    only), where numbers are to be read by it.
    """

    key: str
    kind: TypeAdapter[T]
    default: T
    labels: dict[str, str]
    secret: bool = False
    column: str | None = None
    told: Callable[[T], Any] | None = None

    def shown(self, value: T) -> Any:
        """Return a value as JSON has it."""
        return self.kind.dump_python(value, mode="json")


REGISTRY: dict[str, Setting[Any]] = {}
"""Every setting of the product by key. Filled as the slices are imported."""


def declare(
    key: str, kind: Any, default: T, *, tr: str, en: str, secret: bool = False, column: str | None = None,
    told: Callable[[T], Any] | None = None,
) -> Setting[T]:  # fmt: skip
    """Declare a setting (`noun.what_is_set`); `kind` is any type that pydantic knows, with its bounds."""
    setting = Setting(key, TypeAdapter[T](kind), default, {"tr": tr, "en": en}, secret, column, told)
    REGISTRY[key] = setting
    return setting


def find(key: str) -> Setting[Any]:
    """Return a setting by its key.

    :raises UnknownSetting: when there is none.
    """
    if key not in REGISTRY:
        raise UnknownSetting
    return REGISTRY[key]


IN_FORCE = """
select value from crm.tenant_setting where tenant_id = $1::uuid and key = $2::text
   and valid_from <= $3::timestamptz order by valid_from desc, id desc limit 1
"""


async def value(tx: Tx, setting: Setting[T], *, at: datetime) -> T:
    """Return what the tenant had set at an instant (UTC), or the default."""
    row = await tx.fetchrow(IN_FORCE, tx.actor.tenant_id, setting.key, at)
    if row is not None:
        return setting.kind.validate_python(row["value"])
    return await _default(tx, setting)


SEVERAL_IN_FORCE = """
select k.key, s.value from unnest($2::text[]) as k(key)
 cross join lateral (
   select value from crm.tenant_setting where tenant_id = $1::uuid and key = k.key and valid_from <= $3::timestamptz
    order by valid_from desc, id desc limit 1
 ) s
"""


async def values(tx: Tx, *settings: Setting[Any], at: datetime) -> list[Any]:
    """Return what the tenant had set of several settings at an instant (UTC), or their defaults, in their order.

    One statement, for whoever asks often.
    """
    rows = await tx.fetch(SEVERAL_IN_FORCE, tx.actor.tenant_id, [each.key for each in settings], at)
    held = {row["key"]: row["value"] for row in rows}
    return [
        each.kind.validate_python(held[each.key]) if each.key in held else await _default(tx, each) for each in settings
    ]


async def _default(tx: Tx, setting: Setting[T]) -> T:
    return setting.default if setting.column is None else (await _base(tx, setting))[0]


async def _base(tx: Tx, setting: Setting[T]) -> tuple[T, datetime]:
    """Return what the tenant was made with, and when; the column's name is ours."""
    row = await tx.fetchrow(
        f"select {setting.column} as value, created_at from crm.tenant where tenant_id = $1::uuid", tx.actor.tenant_id
    )
    assert row is not None, "a tenant that acts is there"
    return row["value"], row["created_at"]


@dataclass(frozen=True, slots=True)
class Standing:
    """How a setting stands at an instant. `version` counts its changes; `planned_from`: when the next one comes."""

    setting: Setting[Any]
    value: Any
    since: datetime | None
    set_by: Any
    version: int
    planned_from: datetime | None


STANDING = """
select k.key, s.value, s.valid_from, s.set_by, s.id is not null as is_set,
       (select count(*)::int from crm.tenant_setting c where c.tenant_id = $1::uuid and c.key = k.key) as version,
       (select min(n.valid_from) from crm.tenant_setting n
         where n.tenant_id = $1::uuid and n.key = k.key and n.valid_from > $3::timestamptz) as planned_from
  from unnest($2::text[]) as k(key)
  left join lateral (
    select id, value, valid_from, set_by from crm.tenant_setting
     where tenant_id = $1::uuid and key = k.key and valid_from <= $3::timestamptz
     order by valid_from desc, id desc limit 1
  ) s on true
 order by k.key
"""


async def standing(tx: Tx, keys: Iterable[str] | None = None, *, at: datetime) -> list[Standing]:
    """Return how settings (default: all) stand at an instant (UTC), by key.

    :raises UnknownSetting: when there is no such key.
    """
    wanted = {key: find(key) for key in (REGISTRY if keys is None else keys)}
    rows = await tx.fetch(STANDING, tx.actor.tenant_id, list(wanted), at)
    return [await _standing(tx, wanted[row["key"]], row) for row in rows]


async def _standing(tx: Tx, setting: Setting[Any], row: asyncpg.Record) -> Standing:
    held, since = row["value"], row["valid_from"]
    if not row["is_set"]:
        held, since = await _base(tx, setting) if setting.column else (setting.shown(setting.default), None)
    return Standing(setting, held, since, row["set_by"], row["version"], row["planned_from"])


async def history(tx: Tx, key: str) -> list[asyncpg.Record]:
    """Return every change of a setting, planned ones too, the latest first: value, from when, by whom, said when.

    :raises UnknownSetting: when there is no such setting.
    """
    find(key)
    return await tx.fetch(
        "select s.value, s.valid_from, s.set_by, u.name as set_by_name, s.created_at from crm.tenant_setting s"
        " left join crm.user_account u on u.tenant_id = s.tenant_id and u.id = s.set_by"
        " where s.tenant_id = $1::uuid and s.key = $2::text order by s.valid_from desc, s.id desc limit 1000",
        tx.actor.tenant_id, key,
    )  # fmt: skip


@operation("settings.manage")
async def change(
    tx: Tx, key: str, new: Any, *, now: datetime, valid_from: datetime | None = None, version: int | None = None
) -> None:
    """Set something from an instant on (default: now, never earlier). `version`: the one that the change is based on.

    :raises UnknownSetting: when there is no such setting.
    :raises BadSetting: when the value is of another kind or out of bounds, or is to hold in the past.
    :raises MovedOn: when it has been changed since that version.
    """
    setting, begins = find(key), valid_from or now
    _require_coming(setting, begins, now)
    wanted = _checked(setting, new)
    stored = _json(setting, wanted)
    # One change of a firm's settings at a time: a version that was read is compared with the one there is.
    await tx.execute("select from crm.tenant where tenant_id = $1::uuid for no key update", tx.actor.tenant_id)
    [stands] = await standing(tx, [key], at=begins)
    if version is not None and version != stands.version:
        raise MovedOn(fields={"version": f"is {stands.version} by now"})
    # A plan that says what holds then anyway is kept: somebody may still plan otherwise for a time before it.
    if setting.shown(wanted) == stands.value and (begins == now or stands.since == begins):
        tx.unchanged()
        return
    if setting.column is not None:
        await _keep_base(tx, setting, wanted, is_first=stands.version == 0, now=now)
    await _insert(tx, key, stored, begins, set_by=tx.actor.user_id, now=now)
    told = {"key": key, "valid_from": begins, **({"value": setting.told(wanted)} if setting.told else {})}
    await events.record(tx, "tenant", tx.actor.tenant_id, "settings.changed", told, at=now)
    seen = {} if setting.secret else vault.scrub_all({"old": stands.value, "new": setting.shown(wanted)})
    await audit.of_person(tx, "settings.change", "tenant", tx.actor.tenant_id, {**told, **seen}, at=now)


def _require_coming(setting: Setting[Any], begins: datetime, now: datetime) -> None:
    if begins < now:
        raise BadSetting(fields={"valid_from": "what was set in the past stays as it was"})
    if begins > now and setting.column is not None:
        raise BadSetting(fields={"valid_from": "this one changes at once; leave it out"})


def _checked(setting: Setting[T], new: Any) -> T:
    """Return a value as its kind has it, read as strictly as JSON can be: no text for a number, no number for yes."""
    try:
        return setting.kind.validate_json(to_json(new), strict=True)
    except ValidationError as error:
        fields = {".".join(("value", *map(str, each["loc"]))): each["msg"] for each in error.errors()}
        raise BadSetting(fields=fields) from error
    except ValueError as error:
        raise BadSetting(fields={"value": "holds what cannot be kept"}) from error


def _json(setting: Setting[T], wanted: T) -> str:
    """Return a value as text that the database can keep: no NaN, no NUL, no half of a character."""
    try:
        stored = json.dumps(setting.shown(wanted), ensure_ascii=False, allow_nan=False)
        stored.encode()
    except ValueError as error:
        raise BadSetting(fields={"value": "holds what cannot be kept"}) from error
    if NUL.search(stored):
        raise BadSetting(fields={"value": "must not contain a NUL character"})
    return stored


async def _keep_base(tx: Tx, setting: Setting[T], wanted: T, *, is_first: bool, now: datetime) -> None:
    """Write the column of the tenant; the first time keep what it was made with, so that the past can be asked for."""
    if is_first:
        before, since = await _base(tx, setting)
        await _insert(tx, setting.key, _json(setting, before), since, set_by=None, now=now)
    await tx.execute(
        f"update crm.tenant set {setting.column} = $2::text where tenant_id = $1::uuid", tx.actor.tenant_id, wanted
    )


async def _insert(tx: Tx, key: str, stored: str, begins: datetime, *, set_by: Any, now: datetime) -> None:
    await tx.execute(
        "insert into crm.tenant_setting (tenant_id, id, key, value, valid_from, set_by, created_at)"
        " values ($1::uuid, $2::uuid, $3::text, $4::jsonb, $5::timestamptz, $6::uuid, $7::timestamptz)",
        tx.actor.tenant_id, ids.new(), key, stored, begins, set_by, now,
    )  # fmt: skip
