"""Will this image run programs of other machines here, as ``tonistiigi/binfmt`` does?

Emulators are tried one by one on programs of their machine, without any privilege. What the
image is for, registering them with the kernel, is tried where the user allows it: it changes
the engine's machine for a moment, so every case ends with what it registered removed again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec

from homeport.binfmt.machine_programs import MACHINES, Machine, runs_itself
from homeport.buildkit.engine import describe
from homeport.buildkit.helper.steps import Ended, run_step
from homeport.buildkit.helper.trial import Kind, Row, Trial, not_tried, row
from homeport.buildkit.llb.files import mkfile
from homeport.buildkit.llb.mounts import bind
from homeport.buildkit.llb.sources import image, scratch
from homeport.buildkit.llb.state import State

_ALLOW = (
    "the engine gives no privileges; allow security.insecure (buildkitd:"
    " --allow-insecure-entitlement security.insecure; dockerd: builder.entitlements)"
)
_ASK = "registers emulators on the engine's machine for a moment: add --register"
_Decide = Callable[["_Machine"], tuple[str, str]]


class _NotTried(Exception):
    """Why a case cannot be decided here."""


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A name, and what decides it: why it failed, and a note if it did not.

    registers: whether it changes the engine's machine for a moment
    """

    name: str
    decide: _Decide
    registers: bool = False


class _Machine(msgspec.Struct, frozen=True):
    """The image, as a program, on the engine's machine, whose own architecture is ``host``."""

    trial: Trial
    root: State
    host: str

    def decide(self, case: Case) -> Row:
        if case.registers and not self.trial.register:
            return not_tried(case.name, _ASK)
        try:
            return row(case.name, *case.decide(self))
        except _NotTried as reason:
            return not_tried(case.name, str(reason))

    def call(self, *words: str, privileged: bool = False) -> Ended:
        """The image's own program."""
        helper = self.trial.helper
        ended = run_step(
            self.trial, self.root, [*(helper.entrypoint or ("/usr/bin/binfmt",)), *words],
            environment=helper.environment, privileged=privileged,
        )  # fmt: skip
        if privileged and ended.forbidden:
            raise _NotTried(_ALLOW)
        return ended

    def emulate(self, emulator: Machine, program: Machine) -> Ended:
        """A program under an emulator that is named, without the kernel's help."""
        environment = self.trial.helper.environment
        folder = environment.get("QEMU_BINARY_PATH") or "/usr/bin"
        prefix = environment.get("QEMU_BINARY_PREFIX", "")
        return run_step(
            self.trial, self.root, [f"{folder}/{prefix}qemu-{emulator.emulator}", "/t/program"],
            mounts=[bind(_holding(program), "/t")],
        )  # fmt: skip

    def runs(self, program: Machine) -> str:
        """Why the kernel does not run a program of another machine by itself, or nothing."""
        return run_step(self.trial, _holding(program), ["/program"]).why

    def foreign(self) -> list[Machine]:
        """Machines that this one needs emulators for, and that QEMU has them for."""
        return [each for each in MACHINES if not self.reason_against(each)]

    def reason_against(self, guest: Machine) -> str:
        if runs_itself(self.host, guest.name):
            return f"the engine's machine ({self.host}) runs these programs itself"
        host = next((each for each in MACHINES if each.name == self.host), None)
        if host is not None and host.bits < guest.bits:
            return f"QEMU has no emulators of 64-bit machines for {self.host}"
        return ""

    @contextmanager
    def registered(self) -> Iterator[Ended]:
        """``--install all`` for the length of the block; what was there before stays."""
        before = self.emulators()
        installed = self.call("--install", "all", privileged=True)
        try:
            yield installed
        finally:
            if new := sorted(set(self.emulators()) - set(before)):
                self.call("--uninstall", ",".join(new), privileged=True)

    def emulators(self) -> list[str]:
        """Names of the entries that the kernel has."""
        report = report_of(self.call(privileged=True))
        return [] if isinstance(report, str) else list(report.emulators or ())


def _holding(program: Machine) -> State:
    return scratch().file(mkfile("/program", program.program, mode=0o755))


class Report(msgspec.Struct, frozen=True):
    """What the image's program prints: platforms, and names of the kernel's entries."""

    supported: list[str]
    emulators: list[str] | None


_REPORT = msgspec.json.Decoder(Report)


def report_of(ended: Ended) -> Report | str:
    """The report on standard output, or why there is none."""
    if ended.error:
        return ended.why
    try:
        return _REPORT.decode("\n".join(ended.out))
    except msgspec.ValidationError:
        return 'the JSON document has no lists "supported" and "emulators"'
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return f"standard output is not one JSON document: {' '.join(ended.out)[:200]!r}"


def _prints_its_version(machine: _Machine) -> tuple[str, str]:
    ended = machine.call("--version")
    if ended.error:
        return ended.why, ""
    if ended.out or not ended.err:
        return "the version must be on standard error, and nothing on standard output", ""
    return "", ended.err[0]


def _fails_without_privileges(machine: _Machine) -> tuple[str, str]:
    ended = machine.call("--install", "all")
    if not ended.ran:
        return ended.why, ""
    if not ended.error:
        return "exits with 0 though nothing could be registered", ""
    if ended.out:
        return "prints on standard output though nothing could be registered", ""
    return "", ended.why


def _runs(guest: Machine) -> _Decide:
    def decide(machine: _Machine) -> tuple[str, str]:
        if reason := machine.reason_against(guest):
            raise _NotTried(reason)
        return machine.emulate(guest, guest).why, ""

    return decide


def _refuses_other_programs(machine: _Machine) -> tuple[str, str]:
    """Otherwise a program that does nothing would pass for every emulator."""
    first, second = machine.foreign()[:2]
    ended = machine.emulate(first, second)
    if not ended.ran:
        return ended.why, ""
    if not ended.error:
        return f"qemu-{first.emulator} does not read the program: it ran one of {second.name}", ""
    return "", ""


def _reports_alone(machine: _Machine) -> tuple[str, str]:
    report = report_of(machine.call(privileged=True))
    if isinstance(report, str):
        return report, ""
    supported = report.supported
    if not supported or supported[0].split("/")[:2] != ["linux", machine.host]:
        return f"the list of platforms must begin with linux/{machine.host}: {supported}", ""
    return "", "supported: " + ", ".join(supported)


def _outlives_the_container(machine: _Machine) -> tuple[str, str]:
    with machine.registered() as installed:
        report = report_of(installed)
        if isinstance(report, str):
            return report, ""
        lost = [each.name for each in machine.foreign() if machine.runs(each)]
    if lost:
        return f"reported success, but programs do not run afterwards: {', '.join(lost)}", ""
    return "", f"{len(machine.foreign())} architectures run"


def _installs_twice(machine: _Machine) -> tuple[str, str]:
    with machine.registered() as installed:
        if installed.error:
            return installed.why, ""
        again = machine.call("--install", "all", privileged=True)
    report = report_of(again)
    return (report, "") if isinstance(report, str) else ("", "")


def _removes_what_it_registered(machine: _Machine) -> tuple[str, str]:
    before = machine.emulators()
    with machine.registered() as installed:
        if installed.error:
            return installed.why, ""
    left = sorted(set(machine.emulators()) - set(before))
    return f"entries are left after --uninstall: {', '.join(left)}" if left else "", ""


CASES: tuple[Case, ...] = (
    Case(name="--version is printed on standard error", decide=_prints_its_version),
    Case(name="without privileges it fails and prints nothing on standard output",
         decide=_fails_without_privileges),
    *(Case(name=f"its emulator runs a program of linux/{each.name}", decide=_runs(each))
      for each in MACHINES),
    Case(name="an emulator refuses a program of another machine",
         decide=_refuses_other_programs),
    Case(name="without words it prints the JSON document alone, native platform first",
         decide=_reports_alone, registers=True),
    Case(name="what --install all registers outlives the container and runs programs",
         decide=_outlives_the_container, registers=True),
    Case(name="--install all succeeds a second time", decide=_installs_twice, registers=True),
    Case(name="--uninstall removes what was registered", decide=_removes_what_it_registered,
         registers=True),
)  # fmt: skip


@contextmanager
def deciding(trial: Trial) -> Iterator[Callable[[Case], Row]]:
    """Run the image's programs on the engine, one by one."""
    workers = describe(trial.engine, trial.runtime.cancel).workers
    host = workers[0].platforms[0].architecture
    yield _Machine(trial, image(trial.helper.reference), host).decide


KIND = Kind(name="binfmt", cases=CASES, deciding=deciding)
