"""The fixtures of the HTTP door, for guards that walk its routes."""

from tests.api.conftest import admin, agent, app, live, nobody, plain_logs, sign_in

__all__ = ["admin", "agent", "app", "live", "nobody", "plain_logs", "sign_in"]
