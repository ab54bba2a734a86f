"""Roles and permissions: what each role may do. Permissions are verbs on nouns; a role is a set of them (SEC-1)."""

from collections.abc import Iterable
from enum import StrEnum
from functools import lru_cache


class Role(StrEnum):
    """The roles every tenant has."""

    admin = "admin"
    sales_manager = "sales_manager"
    sales_agent = "sales_agent"
    compliance_auditor = "compliance_auditor"
    analyst = "analyst"


PERMISSIONS = {
    "lead.view.own": "see the leads one owns",
    "lead.view.team": "see the leads of one's team",
    "lead.view.all": "see every lead",
    "lead.create": "store a lead",
    "lead.edit": "change a lead's fields",
    "lead.status": "move a lead through its statuses",
    "lead.reassign": "give a lead to somebody else",
    "lead.bulk": "change many leads at once",
    "view.manage": "save views of lists for oneself",
    "view.share": "share saved views with everyone",
    "quote.edit": "make quotes and record what the customer says to them",
    "followup.edit": "plan procedures and keep the check-ins after them",
    "contact.view": "see contacts, masked",
    "contact.create": "store a contact",
    "contact.edit": "change a contact",
    "contact.archive": "archive a contact",
    "contact.merge": "make two contacts that are one person one, and undo it",
    "contact.reveal": "see a phone number or e-mail address in clear, with a reason, audited",
    "activity.create": "add a note or a call to a timeline",
    "attachment.create": "add a file to a timeline",
    "attachment.view": "open the files of a timeline",
    "attachment.view.health": "open files that show somebody's health",
    "attachment.delete": "delete a file of a timeline, for good",
    "call.make": "call the leads one sees, and steer one's own calls",
    "consent.record": "write down what a person said about being contacted",
    "consent.check": "ask, before contacting a person, whether one may; the answer is kept",
    "consent.audit": "see which contacts were allowed and denied, and why",
    "dnc.view": "see the do-not-contact list",
    "dnc.add": "put an address on the do-not-contact list",
    "dnc.manage": "take an address off the do-not-contact list, and import lists",
    "user.view": "see who works here",
    "user.manage": "invite, change and deactivate users",
    "profile.manage": "change skills, caps, hours and absences of the people of one's team",
    "absence.plan": "plan one's own absences",
    "team.view": "see the teams",
    "team.manage": "make and change teams",
    "import.view": "see imports and their reports",
    "import.run": "import files of leads",
    "inbox.view": "see what arrived from outside",
    "inbox.replay": "process an inbox message again",
    "review.view": "see what needs a person: rows and messages that failed, possible duplicates",
    "review.resolve": "mend and send again, or dismiss, what needs a person",
    "connection.view": "see the connections to lead sources",
    "connection.manage": "make and change connections to lead sources",
    "campaign.view": "see campaigns",
    "campaign.manage": "make and change campaigns",
    "routing.view": "see how leads are distributed and why",
    "routing.manage": "change weights, capacities and members of distribution",
    "agent.availability": "say whether one takes new leads",
    "agent.work": "sign on at the telephone, pause and sign off",
    "agent.supervise": "see how the agents of one's team stand, pause them and sign them off",
    "agent.manage": "give agents their telephones",
    "call.dispose": "say what came of one's own calls, in time",
    "call.dispose.any": "say it of the calls one sees, also when the time is over",
    "cdr.export": "take the records of the calls one sees along as a file, audited",
    "recording.play": "listen to the recordings of the calls one sees, with a reason, audited",
    "recording.hold": "keep recordings from being deleted, by order of law, and release them",
    "call.supervise": "listen to the calls of one's team, whisper to its agents, barge in",
    "alert.view": "see what the person on duty was told about the numbers, and whether it is over",
    "quarantine.view": "see what the gates hold back from the numbers, and why",
    "quarantine.release": "let what a gate holds back into the numbers, with a reason",
    "kpi.view": "ask for the KPIs of the whole firm",
    "kpi.view.team": "ask for the operational KPIs of one's own team",
    "bi.manage": "give BI tools logins that read the numbers, and take them away",
    "dashboard.view": "see the operational dashboard",
    "audit.read": "read the audit log",
    "realtime.listen": "follow events as they happen",
    "metrics.read": "read the process's metrics",
    "calendar.view": "see when people work",
    "calendar.manage": "change working hours, closures and holidays",
    "sla.view": "see service levels, their rules and clocks",
    "sla.manage": "change the rules of service levels",
    "queue.view": "see queues, who waits in them, and their figures",
    "queue.manage": "make and change queues, and step in: pause, move callers, send them elsewhere",
    "experiment.view": "see experiments and read them out",
    "experiment.manage": "make, start and stop experiments",
    "experiment.expose": "learn which variant of an experiment a lead gets",
    "dialling.view": "see dialling campaigns, their leads, attempts and error budgets",
    "dialling.manage": "make, load, start and stop dialling campaigns",
    "dialling.override": "let a campaign dial predictively though simulated shifts do not foretell that it may",
    "dialling.work": "work the leads of manual and preview campaigns",
    "twin.keep": "keep what simulated shifts of a dialling campaign came to",
    "process.view": "see call processes and their versions",
    "process.manage": "draft, publish and retire call processes, and say which calls follow them",
    "process.work": "follow a process in one's own calls and save the answers",
    "callback.view": "see callbacks",
    "callback.work": "promise callbacks, take them, and change one's own",
    "callback.manage": "change and cancel anybody's callbacks",
    "settings.view": "see the settings",
    "settings.manage": "change the settings",
}
"""Every permission with its meaning. What only the system does (signing in, routing) is not among them."""

EVERYTHING = frozenset(PERMISSIONS)

ROLES: dict[Role, frozenset[str]] = {
    Role.admin: EVERYTHING,
    Role.sales_manager: frozenset(
        {
            "lead.view.own", "lead.view.team", "lead.create", "lead.edit", "lead.status", "lead.reassign", "quote.edit",
            "followup.edit",
            "lead.bulk", "view.manage", "view.share", "call.make",
            "call.dispose", "call.dispose.any", "recording.play", "cdr.export",
            "contact.view", "contact.create", "contact.edit", "contact.archive", "activity.create",
            "contact.merge", "review.view", "review.resolve",
            "attachment.create", "attachment.view", "attachment.delete", "consent.record", "consent.check",
            "consent.audit", "dnc.view", "dnc.add",
            "user.view", "team.view", "import.view", "import.run", "inbox.view", "campaign.view", "campaign.manage",
            "routing.view", "routing.manage", "agent.availability", "kpi.view", "dashboard.view", "realtime.listen",
            "agent.work", "agent.supervise", "call.supervise",
            "settings.view", "calendar.view", "sla.view",
            "profile.manage", "absence.plan", "experiment.view", "experiment.expose", "queue.view", "queue.manage",
            "process.view", "process.manage", "process.work", "callback.view", "callback.work", "callback.manage",
            "twin.keep", "dialling.view", "dialling.manage", "dialling.override", "dialling.work",
            "alert.view", "quarantine.view",
        }
    ),
    Role.sales_agent: frozenset(
        {
            "lead.view.own", "lead.create", "lead.edit", "lead.status", "view.manage", "contact.view", "contact.create",
            "call.make", "call.dispose",
            "contact.edit", "activity.create", "team.view", "agent.availability", "dashboard.view", "realtime.listen",
            "agent.work",
            "quote.edit", "followup.edit", "attachment.create", "attachment.view", "consent.record", "consent.check",
            "dnc.add", "calendar.view", "sla.view", "absence.plan", "experiment.expose", "queue.view",
            "process.work", "callback.view", "callback.work", "dialling.work", "kpi.view.team",
        }
    ),
    Role.compliance_auditor: frozenset(
        {
            "lead.view.own", "lead.view.team", "lead.view.all", "contact.view", "user.view", "team.view", "import.view",
            "inbox.view", "connection.view", "campaign.view", "routing.view", "kpi.view", "dashboard.view",
            "audit.read", "recording.play", "review.view", "settings.view", "view.manage", "consent.audit", "dnc.view",
            "experiment.view", "process.view", "callback.view", "queue.view", "dialling.view", "quarantine.view",
            "alert.view",
        }
    ),
    Role.analyst: frozenset(
        {
            "kpi.view", "dashboard.view", "campaign.view", "team.view", "experiment.view", "quarantine.view",
            "alert.view",
        }
    ),
}  # fmt: skip
"""An auditor looks at everything and changes nothing; an analyst sees numbers and no person."""

LOCK_AFTER = 5
"""Wrong passwords in a row before an account is locked."""
LOCK_MINUTES = 15
ACCESS_MINUTES = 15
REFRESH_DAYS = 14
INVITATION_DAYS = 7
SHORTEST_PASSWORD = 10


@lru_cache(maxsize=256)
def _union(roles: frozenset[str]) -> frozenset[str]:
    return frozenset().union(*(ROLES[Role(role)] for role in roles if role in ROLES))


def permissions_of(roles: Iterable[str]) -> frozenset[str]:
    """Return all that holders of these roles may do; an unknown role allows nothing."""
    return _union(frozenset(roles))


def locks_now(failed_logins: int) -> bool:
    """Tell whether this many wrong passwords in a row lock the account."""
    return failed_logins >= LOCK_AFTER


def reason_against_password(password: str, *, email: str) -> str | None:
    """Return why a password cannot be taken, or None when it can."""
    if len(password) < SHORTEST_PASSWORD:
        return f"at least {SHORTEST_PASSWORD} characters"
    if len(set(password)) < 4:
        return "more than three different characters"
    if email.split("@")[0].casefold() in password.casefold():
        return "must not contain your own address"
    return None
