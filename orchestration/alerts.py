"""Telling the person on duty: once for a streak of failures, again when something new joins it, once when it is over.

A streak is kept in `ops.alert`, so that no restart forgets or repeats it. It is told after `AFTER` failures in a row
(of something that runs once a day: after the first) to the owner of what fails: in the log, by e-mail where a mail
server is set, and on screen.
"""

import smtplib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from urllib.parse import urlsplit

import psycopg
import structlog

from crm.alerts import sentences as in_words
from crm.settings import settings

log = structlog.get_logger("orchestration.alerts")

AFTER = 3
"""Failures in a row before anybody is told of what is tried again within minutes."""
LONGEST = 1000
"""Characters of a reason that are kept."""

KNOWN = """
select causes from ops.alert where subject = %(subject)s and severity = %(severity)s and recovered_at is null for update
"""
FAILED = """
insert into ops.alert as a (subject, owner, severity, failures, causes, said, run_id, first_at, last_at)
values (%(subject)s, %(owner)s, %(severity)s, 1, %(causes)s, %(said)s, %(run_id)s, %(now)s, %(now)s)
on conflict (subject, severity) where recovered_at is null do update
   set failures = a.failures + case when a.run_id is distinct from excluded.run_id then 1 else 0 end,
       causes = array(select distinct c from unnest(a.causes || excluded.causes) c order by c),
       said = excluded.said, run_id = excluded.run_id, last_at = excluded.last_at
returning id, failures, told_at is not null as is_told, first_at
"""
"""A run that is told of twice counts once: a sensor may see it again after a restart."""

TOLD = "update ops.alert set told_at = coalesce(told_at, %(now)s) where id = %(id)s"
RECOVERED = """
update ops.alert set recovered_at = %(now)s
 where recovered_at is null and (subject, severity) in (select * from unnest(%(subjects)s::text[], %(kinds)s::text[]))
returning subject, owner, severity, failures, first_at, told_at is not null as is_told
"""


@dataclass(frozen=True, slots=True)
class Message:
    """What is told to an owner."""

    owner: str
    subject: str
    text: str


def failed(
    connection: psycopg.Connection,
    subject: str,
    *,
    owner: str,
    said: str,
    said_tr: str = "",
    run_id: str,
    severity: str = "error",
    causes: Sequence[str] = (),
    after: int = AFTER,
    now: datetime,
) -> Message | None:
    """Count a failure of a thing; return what is to be told: once when the streak is long enough, and again when a
    cause joins it that was not there.

    `said`: why, in words that hold nothing of a person; `causes`: the same in codes. `said_tr`: in Turkish; without it
    the codes are put into words.
    """
    now = now.astimezone(UTC)
    told = {"subject": subject, "owner": owner, "said": said[:LONGEST], "run_id": run_id, "now": now}
    told |= {"severity": severity, "causes": list(causes)}
    with connection.transaction():
        known = connection.execute(KNOWN, told).fetchone()
        row = connection.execute(FAILED, told).fetchone()
        assert row is not None
        alert_id, failures, is_told, since = row
        has_news = not is_told or known is None or not set(causes) <= set(known[0])
        if failures < after or not has_news:
            return None
        connection.execute(TOLD, {"id": alert_id, "now": now})
    streak = Streak(subject, severity, failures, since)
    return Message(owner, f"Santral: {subject} {SHORT[severity]}", streak.told(said, said_tr or in_words(causes)[1]))


SHORT = {"error": "fails", "warning": "is to be looked at"}
WORDS = {
    "error": ("failed", "Readers concerned keep the last good numbers meanwhile.",
              "başarısız oldu", "İlgili okuyanlar bu sırada son doğru sayıları görmeye devam ediyor."),
    "warning": ("was found wanting", "Numbers go on meanwhile.",
                "incelemeye değer bulundu", "Sayılar bu sırada güncellenmeye devam ediyor."),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Streak:
    """How often in a row something did not go well, and since when (UTC)."""

    subject: str
    severity: str
    failures: int
    since: datetime

    def told(self, said: str, said_tr: str) -> str:
        """Return what is told of it while it lasts, in English and in Turkish."""
        did, meanwhile, did_tr, meanwhile_tr = WORDS[self.severity]
        times = "once" if self.failures == 1 else f"{self.failures} times in a row"
        times_tr = "bir kez" if self.failures == 1 else f"art arda {self.failures} kez"
        return (
            f"{self.subject} {did} {times} since {self.since:%Y-%m-%d %H:%M} UTC: {said[:LONGEST]}\n{meanwhile}\n\n"
            f"{self.subject}, {self.since:%d.%m.%Y %H.%M} (UTC) anından beri {times_tr} {did_tr}: {said_tr[:LONGEST]}\n"
            f"{meanwhile_tr}"
        )

    def told_when_over(self) -> str:
        """Return what is told of it when it is over, in English and in Turkish."""
        did, _, did_tr, _ = WORDS[self.severity]
        return (
            f"{self.subject} went well after {self.failures} times when it {did},"
            f" since {self.since:%Y-%m-%d %H:%M} UTC.\n\n"
            f"{self.subject} yeniden yolunda: {self.since:%d.%m.%Y %H.%M} (UTC) anından beri"
            f" {self.failures} kez {did_tr}."
        )


def recovered(connection: psycopg.Connection, well: Sequence[tuple[str, str]], *, now: datetime) -> list[Message]:
    """End the streaks of things (subject and severity) that went well; return what is to be told: of those only that
    were told of."""
    told = {"subjects": [each for each, _ in well], "kinds": [kind for _, kind in well], "now": now.astimezone(UTC)}
    rows = connection.execute(RECOVERED, told).fetchall()
    return [
        Message(owner, f"Santral: {subject} is well again", Streak(subject, severity, failures, since).told_when_over())
        for subject, owner, severity, failures, since, is_told in rows
        if is_told
    ]


def tell(message: Message) -> None:
    """Write a message to the log, and mail it to its owner, where the settings name a mail server and an address.

    A mail server that does not answer is told of in the log, too: the alert is on record whatever happens.
    """
    log.warning("pipeline_alert", owner=message.owner, subject=message.subject, text=message.text)
    config = settings()
    to = config.alert_emails.get(message.owner, config.alert_email)
    if not (config.smtp_url and to):
        return
    mail = EmailMessage()
    mail["Subject"], mail["To"], mail["From"] = message.subject, to, config.alert_from
    mail.set_content(f"{message.text}\n\nOwner: {message.owner}\n")
    place = urlsplit(config.smtp_url)
    try:
        kind = smtplib.SMTP_SSL if place.scheme == "smtps" else smtplib.SMTP
        with kind(place.hostname or "", place.port or 0, timeout=10) as server:
            if place.username:
                server.login(place.username, place.password or "")
            server.send_message(mail)
    except (OSError, smtplib.SMTPException) as error:
        log.error("alert_not_mailed", subject=message.subject, error=type(error).__name__)
