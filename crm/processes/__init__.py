"""Call processes (CC-9): what an agent says and asks in a call, versioned, branching by the answers."""

from crm.processes.choosing import version_for

__all__ = ["version_for"]
