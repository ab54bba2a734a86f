"""How long recordings are kept: classes with their days, and which class a call's recording is of."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from crm import tenant_settings

Code = Annotated[str, StringConstraints(pattern="^[a-z0-9][a-z0-9_.-]{0,59}$")]
Days = Annotated[int, Field(ge=1, le=3650)]
STANDARD = "standard"


class Retention(BaseModel):
    """What a firm sets. A recording is of the class of its call's purpose, else `standard`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    days: Annotated[dict[Code, Days], Field(max_length=20)] = Field(default_factory=lambda: {STANDARD: 180})
    by_purpose: dict[Literal["click", "campaign", "callback", "inbound"], Code] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _holds_together(self) -> "Retention":
        if STANDARD not in self.days:
            raise ValueError(f"days of the class {STANDARD} are needed")
        if unknown := sorted(set(self.by_purpose.values()) - self.days.keys()):
            raise ValueError(f"no days are set for {', '.join(unknown)}")
        return self

    def of(self, purpose: str) -> tuple[str, int]:
        """Return the class and the days of a call's recording."""
        kind = {str(name): each for name, each in self.by_purpose.items()}.get(purpose, STANDARD)
        return kind, self.days[kind]


RETENTION = tenant_settings.declare(
    "recording.retention",
    Retention,
    Retention(),
    tr="Görüşme kayıtlarının saklama süreleri (gün), sınıflara göre",
    en="Days for which recordings of calls are kept, by class",
)
