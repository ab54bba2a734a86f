"""What a tenant may set, each setting declared once beside the code that obeys it, typed, and valid from an instant.

A change never rewrites the past: `value(tx, WHICH, at=...)` answers with what was set at that instant.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from crm import audit, errors, events, ids
from crm.db import Tx, to_json
from crm.operation import operation

T = TypeVar("T")


class UnknownSetting(errors.NotFound):
    """There is no such setting."""

    code = "setting.not_found"


class BadSetting(errors.Invalid):
    """This value cannot be set."""

    code = "setting.invalid"


@dataclass(frozen=True, slots=True, eq=False)
class Setting(Generic[T]):
    """One thing a tenant may set. `kind` is what pydantic checks it by, `labels` its name in Turkish and English."""

    key: str
    kind: TypeAdapter[T]
    default: T
    labels: dict[str, str]


REGISTRY: dict[str, Setting[Any]] = {}
"""Every setting of the product by key. Filled as the slices are imported."""


def declare(key: str, kind: Any, default: T, *, tr: str, en: str) -> Setting[T]:
    """Declare a setting (`noun.what_is_set`); `kind` is any type that pydantic knows, with its bounds."""
    setting = Setting(key, TypeAdapter[T](kind), default, {"tr": tr, "en": en})
    REGISTRY[key] = setting
    return setting


def find(key: str) -> Setting[Any]:
    """Return a setting by its key.

    :raises UnknownSetting: when there is none.
    """
    if key not in REGISTRY:
        raise UnknownSetting
    return REGISTRY[key]


async def value(tx: Tx, setting: Setting[T], *, at: datetime) -> T:
    """Return what the tenant had set at an instant (UTC), or the default."""
    row = await tx.fetchrow(
        "select value from crm.tenant_setting where tenant_id = $1::uuid and key = $2::text"
        " and valid_from <= $3::timestamptz order by valid_from desc, id desc limit 1",
        tx.actor.tenant_id, setting.key, at,
    )  # fmt: skip
    return setting.default if row is None else setting.kind.validate_python(row["value"])


@operation("settings.manage")
async def change(tx: Tx, key: str, new: Any, *, now: datetime, valid_from: datetime | None = None) -> None:
    """Set something from an instant on (default: now, never earlier).

    :raises UnknownSetting: when there is no such setting.
    :raises BadSetting: when the value is of another kind or out of bounds, or is to hold in the past.
    """
    setting, begins = find(key), valid_from or now
    if begins < now:
        raise BadSetting(fields={"valid_from": "what was set in the past stays as it was"})
    try:
        wanted = setting.kind.validate_python(new)
    except ValidationError as error:
        fields = {".".join(("value", *map(str, each["loc"]))): each["msg"] for each in error.errors()}
        raise BadSetting(fields=fields) from error
    if wanted == await value(tx, setting, at=begins):
        tx.unchanged()
        return
    await tx.execute(
        "insert into crm.tenant_setting (tenant_id, id, key, value, valid_from, set_by, created_at)"
        " values ($1::uuid, $2::uuid, $3::text, $4::jsonb, $5::timestamptz, $6::uuid, $7::timestamptz)",
        tx.actor.tenant_id, ids.new(), key, to_json(setting.kind.dump_python(wanted, mode="json")), begins,
        tx.actor.user_id, now,
    )  # fmt: skip
    told = {"key": key, "valid_from": begins}
    await events.record(tx, "tenant", tx.actor.tenant_id, "settings.changed", told, at=now)
    await audit.of_person(tx, "settings.change", "tenant", tx.actor.tenant_id, told, at=now)
