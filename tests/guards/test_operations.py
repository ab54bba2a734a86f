"""Nothing in `crm` changes the database but operations (permission, event, audit row) and the plumbing named here."""

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import crm
from crm import db
from crm.operation import REGISTRY, UnrecordedChange, operation
from crm.users import rules

ROOT = Path(crm.__file__).parent

WRITES = re.compile(r"\b(insert\s+into\s|update\s+[a-z_]+\.[a-z_]+\s|delete\s+from\s|truncate\s|merge\s+into\s)", re.I)
METHODS = {"add", "add_all", "merge", "delete", "copy_records_to_table", "copy_to_table"}
"""How the ORM's session (`tx.session`) and the driver write without a word of SQL."""

PLUMBING = {
    "crm.audit.record": "writes the audit row of the operation that calls it",
    "crm.audit.of_person_many": "writes the audit rows of the operation that calls it",
    "crm.bulk.running._note": "notes how far a run has come; whether it may is asked for each of its chunks",
    "crm.agents.states.enter": "writes how an agent stands within the operation or the call that moves them",
    "crm.agents.states.end": "ends a session within the operation that signs off, or the watch",
    "crm.agents.sessions.begin": "begins a session within the operation that signs on",
    "crm.agents.sessions.heard_of": "notes that an agent is there; what changes by it is recorded by the operation",
    "crm.calls.keeping.keep": "stores what was told of calls within the hearing of it",
    "crm.calls.rows.write": "stores what a call's facts come to within the hearing of them",
    "crm.calls.aftermath.keep_legs": "stores a call's legs within the hearing of them",
    "crm.calls.aftermath._tell_lead": "links a call to its activity within the hearing of it",
    "crm.calls.forgetting.forget": "deletes what is kept for a while only",
    "crm.calls.placing.place": "stores a call within the operation that begins it",
    "crm.calls.sending._refuse": "refuses asks within the claim that cannot send them, or the hang-up that unmakes it",
    "crm.calls.sending.give_up": "ends a call that cannot be sent within the claim or the answer that finds it so",
    "crm.exchange.ask": "asks the exchange for what the operation that calls it wants",
    "crm.events.log.record_dated": "writes the events of the operation that calls it",
    "crm.queues.visits._keep": "stores stays in queues within the hearing of their call",
    "crm.queues.visits._join": "stores a stay that begins within the hearing of its call",
    "crm.queues.visits.settle": "decides how stays went once the exchange said whether it did what it was asked for",
    "crm.queues.visits.reserve_place": "notes how a call is to wait within the operation that makes it",
    "crm.queues.visits.forget_places": "deletes what is kept for a week",
    "crm.queues.members.hear": "mirrors what the exchange says of members",
    "crm.queues.members.request": "notes what was asked of the exchange within steering",
    "crm.queues.members._mark": "notes what was asked of the exchange within steering",
    "crm.queues.sending.send": "notes where a caller was sent within the operation or the steering that sends them",
    "crm.queues.steering._arrange": "notes the places asked for within steering",
    "crm.queues.actions._end": "ends an action within the operation that ends it, or at its time",
    "crm.timeline.record": "writes the activity of the operation that calls it",
    "crm.timeline.record_many": "writes the activities of the operation that calls it",
    "crm.callbacks.rows.promise_anew": "gives a callback another time within the operation that agreed on it",
    "crm.callbacks.rows.move": "moves a callback for the operation that asked its rules, with its event and audit row",
    "crm.consent.facts.write": "writes facts of the ledger for operations that learn what people said",
    "crm.consent.standing.refresh": "derives what lists show, for the operation that changes the facts",
    "crm.vault.keyring.destroy": "destroys keys for the operation that erases",
    "crm.vault.keyring._make": "keys made ahead, of nobody yet",
    "crm.leads.assigning.release": "takes a lead out of its hands within the operation that reopens it",
    "crm.leads.statuses.move": "moves a lead for the operation that asked the machine, with its event and audit row",
    "crm.leads.closing.withdraw_quotes": "closes what ends with a cycle within the operation that ends it",
    "crm.leads.closing.undo_sale": "cancels the sale within the operation that loses the lead",
    "crm.leads.quotes._decide": "closes a quote within the operation that answers, supersedes or sells on it",
    "crm.followups.check_ins.keep": "schedules check-ins within the operation that sells, dates, or makes up for it",
    "crm.followups.check_ins._schedule": "schedules check-ins within the operation that asks for them",
    "crm.followups.check_ins._close_many": "closes check-ins within the operation that moves or cancels them",
    "crm.users.sessions._revoke": "ends sessions within the operation that takes the access away",
    "crm.users.availability.accept": "follows from the account, within the operation that changes it",
    "crm.users.availability.join": "follows from the account, within the operation that makes or moves it",
    "crm.users.operations.insert": "stores the account within the operation that creates it or accepts an invitation",
    "crm.users.sessions._count_failure": "counts a wrong password within the operation that asked for it",
    "crm.users.memberships.move": "notes who is in which team within the operation that changes it",
    "crm.calls.history._write": "stores calls of another system within the operation that imports them, with events",
    "crm.calls.wrapping.begin": "begins what follows from a call's end, within the hearing of it, with its event",
    "crm.queues.history.replace": "stores stays of another system's calls within the operation that imports them",
    "crm.queues.history._ensure": "makes the retired queues of those stays",
    "crm.dialling.attempts.begin": "notes an attempt within the operation that dials, with its event",
    "crm.dialling.attempts.block": "notes a blocked attempt within the operation that did not dial, with its event",
    "crm.dialling.attempts._insert": "the row of either",
    "crm.dialling.budgets.add": "counts an attempt within the operation that notes or settles it",
    "crm.recordings.operations.forget_links": "forgets links that are good for nothing; who listened stays audited",
    "crm.imports.runs.reject": "keeps rejected rows for the operation that takes their chunk",
    "crm.imports.runs.insert": "stores the run within the operation that starts or queues it",
    "crm.imports.runs.advance": "notes how far a run has come, with its event; the run was permitted when it began",
    "crm.inbox.operations.claim": "leases messages to one worker; nothing of the business changes",
    "crm.duplicates.candidates.settle": "settles a possible duplicate within the merge",
    "crm.duplicates.candidates.unsettle": "settles it again within the undoing of the merge",
    "crm.duplicates.merges.keep": "keeps what a merge did, within the merge",
    "crm.duplicates.merges.write": "sets the values that a merge or its undoing decides, within it",
    "crm.duplicates.refusals._say": "repeats what was said within the merge or the undoing that would lose it",
    "crm.sla.clocks._keep": "clocks follow from the log alone; what changed them is recorded there",
    "crm.inbox.versions.replace": "puts another body in a message's place within the operation that got or mended it",
    "crm.inbox.clicks.want": "notes clicks to look up for the operation that settles their message",
    "crm.inbox.clicks.due": "leases clicks to one worker; nothing of the business changes",
    "crm.inbox.health.unblock": "ends a pause for the operation that replaces a connection's secrets",
    "crm.routing.runs.hold": "notes what leads wait for within the run that decided about them",
    "crm.routing.runs.keep": "keeps what a run was decided on, within the run",
    "crm.routing.runs._store_decisions": "keeps the decisions of a run, within the run",
    "crm.routing.runs.give": "puts leads into the hands that the run decided on, by the operation of leads",
    "crm.health.note_probe": "a measurement, by the minute",
    "crm.health.keep_lags": "a measurement, by the minute",
    "crm.health.forget": "housekeeping: measurements past their time",
    "crm.requests.write": "the log of requests",
    "crm.requests.forget": "housekeeping: the log of requests past its time",
    "crm.idempotency.once": "keeps the answer beside the operation it belongs to",
    "crm.idempotency.forget": "housekeeping: keys past their time, of no business meaning",
}
"""Writers that are no operations, and why."""

ELSEWHERE = ("crm.migrations",)
"""Schema, not business."""


@dataclass
class Function:
    """One function of a module: whether it writes, whether it is an operation, and the names it uses."""

    name: str
    writes: bool = False
    is_operation: bool = False
    uses: set[str] = field(default_factory=set)


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Yield every module of `crm` with its syntax tree."""
    for path in sorted(ROOT.rglob("*.py")):
        name = ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")
        if not name.startswith(ELSEWHERE):
            yield name, ast.parse(path.read_text())


def has_writing_text(node: ast.AST) -> bool:
    """Tell whether a text inside (f-strings too) is SQL that changes rows. Docstrings are not looked at."""
    docstrings = {
        id(each.body[0].value)
        for each in ast.walk(node)
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module)
        and each.body
        and isinstance(each.body[0], ast.Expr)
    }
    return any(
        isinstance(each, ast.Constant)
        and isinstance(each.value, str)
        and id(each) not in docstrings
        and WRITES.search(each.value)
        for each in ast.walk(node)
    )


def calls_a_writing_method(node: ast.AST) -> bool:
    """Tell whether rows are written through the ORM's session or by COPY."""
    return any(
        isinstance(each, ast.Call)
        and isinstance(each.func, ast.Attribute)
        and each.func.attr in METHODS
        and re.search(r"\b(session|driver|copy)\b", ast.unparse(each.func))
        for each in ast.walk(node)
    )


def writing_constants(tree: ast.Module) -> set[str]:
    """Return the module's names for SQL that changes rows."""
    return {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None and has_writing_text(node.value)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }


def functions(tree: ast.Module) -> Iterator[Function]:
    """Yield the functions and methods of a module."""
    constants = writing_constants(tree)

    def visit(body: list[ast.stmt], prefix: str) -> Iterator[Function]:
        for node in body:
            if isinstance(node, ast.ClassDef):
                yield from visit(node.body, f"{prefix}{node.name}.")
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            uses = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
            uses |= {each.attr for each in ast.walk(node) if isinstance(each, ast.Attribute)}
            yield Function(
                prefix + node.name,
                writes=bool(uses & constants) or has_writing_text(node) or calls_a_writing_method(node),
                is_operation=any("operation(" in ast.unparse(each) for each in node.decorator_list),
                uses=uses - {node.name},
            )

    yield from visit(tree.body, "")


def is_behind_an_operation(function: Function, there: list[Function], seen: frozenset[str] = frozenset()) -> bool:
    """Tell whether a private function is used by operations of its module only, directly or through others like it."""
    if function.is_operation:
        return True
    short = function.name.rsplit(".", 1)[-1]
    callers = [each for each in there if short in each.uses and each.name not in seen]
    return (
        short.startswith("_")
        and bool(callers)
        and all(is_behind_an_operation(each, there, seen | {function.name}) for each in callers)
    )


def loose_writers() -> set[str]:
    """Return every function that writes and is neither an operation nor hidden behind one."""
    loose = set()
    for name, tree in modules():
        there = list(functions(tree))
        loose |= {f"{name}.{each.name}" for each in there if each.writes and not is_behind_an_operation(each, there)}
    return loose


def test_only_operations_and_named_plumbing_write():
    loose = loose_writers()

    assert loose - set(PLUMBING) == set(), "make it an @operation, or name it in PLUMBING with its reason"
    assert set(PLUMBING) - loose == set(), "this plumbing is gone, or became an operation"


def test_the_scan_finds_the_operations_we_know():
    found = {f"{name}.{each.name}" for name, tree in modules() for each in functions(tree) if each.is_operation}

    assert {"crm.leads.intake.store", "crm.leads.assigning.assign_many", "crm.contacts.revealing.reveal"} <= found


@pytest.mark.parametrize(
    ("source", "writers"),
    [
        ('SQL = "insert into crm.a values (1)"\nasync def f(tx): await tx.execute(SQL)', {"f"}),
        ("async def f(tx): await tx.execute(f'update crm.a set b = {1}')", {"f"}),
        ("async def f(tx): tx.session.add(1)", {"f"}),
        ('async def f(tx):\n    """delete from crm.a"""\n    return await tx.fetch("select 1")', set()),
    ],
)
def test_the_scan_sees_writers(source, writers):
    assert {each.name for each in functions(ast.parse(source)) if each.writes} == writers


OF_THE_SYSTEM = {
    "session.open": "signing in and out: nobody has a permission before",
    "password.change": "one's own: the old password is the permission",
    "user.register": "by invitation: the token is the permission",
    "tenant.create": "the command of whoever runs the installation",
    "inbox.receive": "the sender's signature is the permission",
    "inbox.process": "background work",
    "call.hear": "what the exchange tells the bridge",
    "call.send": "what the bridge asks of the exchange, each wish with the permission of whoever wished it",
    "call.dial": "calls of campaigns and callbacks, begun by whoever may run those",
    "routing.route": "background work",
    "sla.begin": "background work",
    "check_in.sweep": "background work",
    "agent.watch": "background work",
    "agent.mirror": "the exchange's own word",
    "callback.fire": "background work",
    "dialling.run": "background work: the hopper, the dialer's own calls, what came of them",
    "recording.store": "background work",
    "recording.expire": "background work",
    "duplicate.propose": "background work",
}
"""What no role holds: only the system does these."""


def test_every_operation_needs_a_permission_there_is():
    for found in pkgutil.walk_packages(crm.__path__, "crm."):
        if not found.name.startswith("crm.migrations"):
            importlib.import_module(found.name)

    ours = {name: permission for name, permission in REGISTRY.items() if name.startswith("crm.")}
    needed = set(ours.values())
    assert len(ours) >= 20
    assert needed - set(rules.PERMISSIONS) == set(OF_THE_SYSTEM), "add the permission to crm/users/rules.py"


@operation("lead.edit")
async def forgetful(tx, *, now):
    """Change a lead and tell nobody."""
    await tx.execute("update crm.lead set updated_at = $1::timestamptz", now)


async def test_a_change_that_leaves_no_trace_is_refused(tenant, now):
    with pytest.raises(UnrecordedChange, match="no event"):
        await db.run(tenant.admin, lambda tx: forgetful(tx, now=now))


@operation("lead.edit")
async def unaudited(tx, *, now):
    """Change a lead, write the event, and forget the audit row."""
    from crm import events, ids

    await events.record(tx, "lead", ids.new(), "lead.updated", at=now)


async def test_a_persons_change_without_audit_row_is_refused(tenant, now):
    with pytest.raises(UnrecordedChange, match="audit"):
        await db.run(tenant.admin, lambda tx: unaudited(tx, now=now))
    await db.run(tenant.system, lambda tx: unaudited(tx, now=now))
