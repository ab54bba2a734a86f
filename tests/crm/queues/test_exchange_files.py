"""What an Asterisk is told of the queues."""

from configparser import RawConfigParser
from typing import Any
from uuid import UUID

from crm.queues import exchange_files
from crm.queues.rules import Settings
from crm.queues.settings import Standing


def queue(code: str = "sales", **changed: Any) -> Standing:
    settings = Settings.model_validate({"labels": {"tr": "Satış", "en": "Sales"}, **changed})
    return Standing(UUID(int=1), code, settings, 20, 5, 0.8)


def sections(text: str) -> dict[str, dict[str, str]]:
    parser = RawConfigParser(comment_prefixes=(";",), delimiters=("=",))
    parser.read_string(text.replace("](queue)", "]"))
    return {name: dict(parser[name]) for name in parser.sections()}


class TestQueuesConf:
    def test_says_what_callers_hear(self) -> None:
        said = {"periodic": "patience", "every_s": 45, "says_wait": True, "music": "jazz"}

        found = sections(exchange_files.queues_conf([queue(announcements=said), queue("support")]))

        assert found["sales"] == {
            "musicclass": "jazz", "announce-frequency": "45", "announce-position": "no", "announce-holdtime": "yes",
            "periodic-announce-frequency": "45", "periodic-announce": "santral/patience",
        }  # fmt: skip
        assert found["support"]["announce-frequency"] == "0"
        assert "periodic-announce" not in found["support"]


class TestExtensionsConf:
    def test_has_an_extension_for_each_queue_and_each_message(self) -> None:
        welcomed = queue(
            "support", announcements={"welcome": "hello"}, when_closed={"to": "message", "prompt": "night"}
        )

        text = exchange_files.extensions_conf([queue(), welcomed])

        assert "exten => sales,1,Gosub(${CONTEXT}-queue,s,1(${EXTEN}))" in text
        assert "?Playback(santral/hello))\n same => n,Gosub(${CONTEXT}-queue,s,1(${EXTEN}))" in text
        messages = text[text.index("[announce]") :]
        assert [line.split()[2].split(",")[0] for line in messages.splitlines()[1:]] == ["all-busy", "closed", "night"]
