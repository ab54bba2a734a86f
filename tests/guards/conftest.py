"""The fixtures of the HTTP door, for guards that walk its routes; what asks for numbers shares the run's project."""

from tests.api.conftest import admin, agent, app, live, nobody, plain_logs, sign_in
from tests.pipeline import parsed

__all__ = ["admin", "agent", "app", "live", "nobody", "parsed", "plain_logs", "sign_in"]
