"""Every rule of the gates at the border, in one place: what it looks at, what it asks, what a person is told.

A rule that is critical holds what breaks it; one that warns lets it pass and says so. Rules look at frames that hold
figures, codes and the firm's own words (names of forms and questions), never anything of a person.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a rule asks of a column. No two tools ask the same of one column."""

    present = "present"
    absent = "absent"
    between = "between"
    one_of = "one_of"
    matches = "matches"


class Severity(StrEnum):
    """What follows when a rule is broken."""

    critical = "critical"
    """The set is held."""
    warning = "warning"
    """The set passes, and the person on duty is told."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: `says` (English) and `tr` (Turkish) are what is told of a set that breaks it."""

    id: str
    column: str
    kind: Kind
    says: str
    tr: str
    low: float | None = None
    high: float | None = None
    values: tuple[object, ...] = ()
    pattern: str = ""
    severity: Severity = Severity.critical
    detail: str | None = None
    """The column whose words (the firm's own) are told with the sentence."""


@dataclass(frozen=True, slots=True)
class Suite:
    """The rules of one frame. `asset`: what Dagster calls the data; `frame`: rows of a set, or the sets themselves."""

    asset: str
    frame: str
    rules: Sequence[Rule]


AD_REPORTS = "ad_reports.2"
"""Name and version of the suites for advertising reports; a new version judges every report anew."""

REPORT_ROWS = Suite(
    "raw/ad_reports",
    "rows",
    (
        Rule("ad_reports.spend", "spend", Kind.present,
             "spend is missing or not a number", "harcama yok ya da sayı değil"),
        Rule("ad_reports.spend_sign", "spend", Kind.between, "spend is negative", "harcama eksi", low=0),
        Rule("ad_reports.currency", "currency", Kind.present, "the currency is missing", "para birimi yok"),
        Rule("ad_reports.currency_code", "currency", Kind.matches, "the currency is not an ISO 4217 code",
             "para birimi bir ISO 4217 kodu değil", pattern=r"^[A-Z]{3}$"),
        Rule("ad_reports.campaign", "campaign_id", Kind.present, "the campaign is missing", "kampanya yok"),
        Rule("ad_reports.ad", "names_its_ad", Kind.one_of, "the ad is missing", "reklam yok", values=(True,)),
        Rule("ad_reports.counts", "least_count", Kind.between,
             "a count (impressions, clicks, leads) is negative or not a number",
             "bir sayım (gösterim, tıklama, başvuru) eksi ya da sayı değil", low=0),
        Rule("ad_reports.day", "is_of_its_day", Kind.one_of, "a row is of another day than the report",
             "bir satır raporun gününe ait değil", values=(True,)),
        Rule("ad_reports.repeated", "is_repeated", Kind.one_of, "an ad has more than one row",
             "bir reklamın birden çok satırı var", values=(False,)),
    ),
)  # fmt: skip
REPORT_SETS = Suite(
    "raw/ad_reports",
    "sets",
    (
        Rule("ad_reports.complete", "is_complete", Kind.one_of,
             "the report is not complete: the platform has more pages of it",
             "rapor eksik: platformda devamı var", values=(True,)),
        Rule("ad_reports.volume", "volume_ratio", Kind.between,
             "the report has far fewer or far more rows than the account's reports usually have",
             "raporda hesabın olağan raporlarından çok daha az ya da çok daha fazla satır var", low=0.1, high=10),
        Rule("ad_reports.gap", "days_missing", Kind.between, "days before it have no report",
             "öncesinde raporu olmayan günler var", high=0),
        Rule("ad_reports.future", "days_ahead", Kind.between, "the report is of a day that has not begun",
             "rapor henüz başlamamış bir güne ait", high=1),
    ),
)  # fmt: skip
REPORT_ACCOUNTS = Suite(
    "raw/ad_accounts",
    "accounts",
    (
        Rule("ad_reports.silent", "days_silent", Kind.between, "no report has come for more than two days",
             "iki günden uzun süredir rapor gelmedi", high=2, severity=Severity.warning),
    ),
)  # fmt: skip

LEADS = Suite(
    "raw/leads",
    "days",
    (
        Rule("leads.phone", "without_phone_rise", Kind.between,
             "far more leads than usual have no telephone number", "telefonsuz başvurular olağandan çok fazla",
             high=0.3),
        Rule("leads.ad", "without_ad_rise", Kind.between,
             "far more leads than usual have no ad id", "reklam kimliği olmayan başvurular olağandan çok fazla",
             high=0.3),
        Rule("leads.clock", "from_future_share", Kind.between,
             "leads were sent after they arrived: a clock is wrong",
             "başvurular ulaştıktan sonra gönderilmiş görünüyor: bir saat yanlış", high=0.05),
        Rule("leads.volume", "volume_ratio", Kind.between,
             "far fewer or far more leads than the form usually brings",
             "form olağandan çok daha az ya da çok daha fazla başvuru getirdi",
             low=0.2, high=5, severity=Severity.warning),
        Rule("leads.questions", "changed_questions", Kind.absent, "the form asks other questions than before",
             "form öncekinden başka sorular soruyor", severity=Severity.warning, detail="changed_questions"),
    ),
)  # fmt: skip
CALLS = Suite(
    "raw/calls",
    "days",
    (
        Rule("calls.ended", "unended_share", Kind.between,
             "calls of hours ago have no end: the exchange's news was lost",
             "saatler önceki çağrıların sonu yok: santralın haberleri kaybolmuş", high=0.05),
        Rule("calls.clock", "from_future_share", Kind.between,
             "calls are told of before they happen: a clock is wrong",
             "çağrılar olmadan önce bildirilmiş görünüyor: bir saat yanlış", high=0.01),
        Rule("calls.volume", "volume_ratio", Kind.between,
             "far fewer or far more calls than usual: is the exchange connected?",
             "çağrılar olağandan çok daha az ya da çok daha fazla: santral bağlı mı?",
             low=0.2, high=5, severity=Severity.warning),
    ),
)  # fmt: skip
IMPORTS = Suite(
    "raw/imports",
    "files",
    (
        Rule("imports.whole", "is_whole", Kind.one_of, "the import ended before its file did: rows are missing",
             "içe aktarma dosyadan önce bitti: satırlar eksik", values=(True,)),
        Rule("imports.rejected", "rejected_share", Kind.between,
             "a large part of the file was rejected: see the import's report",
             "dosyanın büyük bölümü reddedildi: içe aktarma raporuna bakın", high=0.5),
        Rule("imports.volume", "volume_ratio", Kind.between,
             "the file is far shorter or longer than its source's files usually are",
             "dosya kaynağın olağan dosyalarından çok daha kısa ya da uzun",
             low=0.2, high=5, severity=Severity.warning),
        Rule("imports.doubled", "known_share", Kind.between,
             "nearly every row was known before: the file came twice; nothing was counted twice",
             "satırların neredeyse tümü biliniyordu: dosya ikinci kez geldi; hiçbir şey iki kez sayılmadı",
             high=0.95, severity=Severity.warning),
    ),
)  # fmt: skip

RATES = Suite(
    "raw/fx_rates",
    "tables",
    (
        Rule("rates.readable", "is_readable", Kind.one_of,
             "what the bank sent is no table of rates of its day", "bankanın gönderdiği o günün kur tablosu değil",
             values=(True,)),
        Rule("rates.future", "days_ahead", Kind.between, "the rates are of a day that has not begun",
             "kurlar henüz başlamamış bir güne ait", high=1),
        Rule("rates.move", "largest_move", Kind.between,
             "a rate differs by more than a fifth from the one before", "bir kur öncekinden beşte birden fazla farklı",
             high=0.2),
    ),
)  # fmt: skip

SUITES = (REPORT_ROWS, REPORT_SETS, REPORT_ACCOUNTS, LEADS, CALLS, IMPORTS, RATES)
BY_ID = {rule.id: rule for suite in SUITES for rule in suite.rules}
"""Every rule by its id."""
