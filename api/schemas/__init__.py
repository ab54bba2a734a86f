"""What travels: bodies that come in, and what goes out."""

from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints

Item = TypeVar("Item")


class Body(BaseModel):
    """What a client sends: unknown fields are refused, so that a typing error does not pass for a change."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class Read(BaseModel):
    """What a client gets; made from objects, rows (`asyncpg.Record`) and dicts alike."""

    model_config = ConfigDict(from_attributes=True)

    @classmethod
    def of(cls, row: Any) -> "Read":
        """Return the model of a database row."""
        return cls.model_validate(dict(row))


class Listing(BaseModel, Generic[Item]):
    """A whole list; lists that can grow are paged by cursor instead."""

    items: list[Item]


def without_nul(value: Any) -> Any:
    """Refuse NUL characters, which PostgreSQL cannot store in text."""
    if isinstance(value, str) and "\x00" in value:
        raise ValueError("must not contain a NUL character")
    return value


Line = Annotated[str, BeforeValidator(without_nul), StringConstraints(min_length=1, max_length=200)]
"""A line of text that people wrote: a name, a title."""
Note = Annotated[str, BeforeValidator(without_nul), StringConstraints(min_length=1, max_length=10_000)]
"""Longer text that people wrote."""
