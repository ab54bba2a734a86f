"""A real Asterisk with our templates, and people behind its lines that do as a test says. It listens on loopback only.

`SANTRAL_ASTERISK` names the root of a file system that holds Asterisk: `/`, or one made by
`debootstrap --variant=minbase sid /opt/sid` and `chroot /opt/sid apt-get install --no-install-recommends asterisk
asterisk-core-sounds-en`. The program must be run as root when it is not `/`.
"""

import shutil
import socket
import subprocess
import tempfile
import time
import wave
from collections.abc import Mapping
from pathlib import Path

from pydantic import SecretStr

from dialer.exchange.people import Answer, Party
from dialer.exchange.ringing import AT_ONCE

TEMPLATES = Path(__file__).parents[3] / "dialer" / "asterisk"
SECRET = SecretStr("lab-secret")
CARRIER = """
[carrier](carrier-line)
aors = carrier
[carrier](carrier-place)
contact = sip:127.0.0.1:{sip}
qualify_frequency = 0
[far](carrier-line)
context = customers
[far](carrier-address)
endpoint = far
match = 127.0.0.1
"""
"""What we dial comes back by SIP as somebody else's call, into the context `customers`."""
PHONE = """
[{name}](agent)
aors = {name}
[{name}](agent-place)
qualify_frequency = 0
contact = sip:{name}@127.0.0.1:{sip}
"""
DIRECTORIES = """
[directories]
astetcdir => {lab}/etc
astmoddir => /usr/lib/x86_64-linux-gnu/asterisk/modules
astvarlibdir => {lab}
astdatadir => {lab}/data
astdbdir => {lab}
astkeydir => {lab}
astagidir => {lab}
astspooldir => {lab}/spool
astrundir => {lab}/run
astlogdir => {lab}/log
"""
CAUSES = {Answer.busy: 17, Answer.rejects: 21, Answer.congestion: 34, Answer.unallocated: 1}
MORE_MODULES = ("app_playtones.so", "res_clioriginate.so")
STARTS_WITHIN_S = 20


class Lab:
    """An Asterisk of its own. `with Lab(root) as lab:` runs it; `people` says who is behind which extension."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = Path(tempfile.mkdtemp(prefix="santral-lab-", dir=root / "tmp"))
        self.inside = Path("/") / self.folder.relative_to(root)
        self.ami, self.sip = _free_port(), _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def recordings(self) -> Path:
        """Where MixMonitor writes."""
        return self.folder / "spool" / "monitor" / "santral"

    def __enter__(self) -> "Lab":
        """Write the configuration and start."""
        self._lay_out()
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        """Stop and clean up."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        """Start, and wait until the manager interface listens."""
        command = ["/usr/sbin/asterisk", "-f", "-C", str(self.inside / "etc" / "asterisk.conf")]
        with (self.folder / "console").open("ab") as console:
            self._process = subprocess.Popen(self._in_root(command), stdout=console, stderr=console)
        end = time.monotonic() + STARTS_WITHIN_S
        while time.monotonic() < end:
            if "fully booted" in self.run("core waitfullybooted"):
                return
            time.sleep(0.2)
        raise TimeoutError((self.folder / "console").read_text()[-2000:])

    def kill(self) -> None:
        """End it without a word."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def run(self, command: str) -> str:
        """Say something to its console."""
        asked = self._in_root(["/usr/sbin/asterisk", "-C", str(self.inside / "etc" / "asterisk.conf"), "-rx", command])
        return subprocess.run(asked, capture_output=True, text=True, timeout=30).stdout

    def people(self, parties: Mapping[str, Party]) -> None:
        """Say who is behind which extension (a number, or the name of an agent's telephone)."""
        lines = ["[customers]", "exten => +902120000000,1,Goto(from-carrier,${EXTEN},1)"]
        for extension, party in parties.items():
            first, *others = steps(party)
            lines += [f"exten => {extension},1,{first}", *(f" same => n,{step}" for step in others)]
        (self.folder / "etc" / "customers.conf").write_text("\n".join(lines) + "\n")
        self.run("dialplan reload")

    def call_in(self, stays_s: float) -> None:
        """Let somebody call the firm's number who hangs up after so many seconds."""
        self.run(f"channel originate PJSIP/+902120000000@carrier application Wait {stays_s}")

    def _in_root(self, command: list[str]) -> list[str]:
        return command if self.root == Path("/") else ["chroot", str(self.root), *command]

    def _lay_out(self) -> None:
        etc = self.folder / "etc"
        shutil.copytree(TEMPLATES, etc)
        for name in ("spool", "run", "log/cdr-csv", "data/moh"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "data" / "sounds").symlink_to("/usr/share/asterisk/sounds")
        (self.folder / "documentation").symlink_to("/usr/share/asterisk/documentation")
        (self.folder / "data" / "documentation").symlink_to("/usr/share/asterisk/documentation")
        _silence(self.folder / "data" / "moh" / "music.wav")
        (etc / "asterisk.conf").write_text(DIRECTORIES.format(lab=self.inside))
        (etc / "manager_secret.conf").write_text(f"secret = {SECRET.get_secret_value()}\n")
        _replace(etc / "manager.conf", "port = 5038", f"port = {self.ami}")
        _replace(etc / "pjsip.conf", "bind = 0.0.0.0:5060", f"bind = 127.0.0.1:{self.sip}")
        (etc / "pjsip_carrier.conf").write_text(CARRIER.format(sip=self.sip))
        phones = (PHONE.format(name=f"agent-{n}", sip=self.sip) for n in (1, 2, 3))
        (etc / "pjsip_agents.conf").write_text("".join(phones))
        (etc / "customers.conf").write_text("[customers]\n")
        with (etc / "extensions.conf").open("a") as extensions:
            extensions.write("\n#include customers.conf\n")
        with (etc / "modules.conf").open("a") as modules:
            modules.writelines(f"load = {name}\n" for name in MORE_MODULES)


def steps(party: Party) -> list[str]:
    """Return what a party does when called, as a dialplan."""
    if party.answer in CAUSES:
        rings = [] if party.answer in AT_ONCE else ["Ringing()", f"Wait({party.rings_s})"]
        return [*rings, f"Hangup({CAUSES[party.answer]})"]
    if party.answer is Answer.silent:
        return ["Ringing()", "Wait(600)"]
    speaks = ["Wait(0.3)", "Playtones(400/700,0/60000)"] if party.answer is Answer.answers else ["Playtones(400/60000)"]
    return ["Ringing()", f"Wait({party.rings_s})", "Answer()", *speaks, f"Wait({party.stays_s})", "Hangup(16)"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1, f"{path.name} has no line {old!r}"
    path.write_text(text.replace(old, new))


def _silence(path: Path) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"\0\0" * 8000)
