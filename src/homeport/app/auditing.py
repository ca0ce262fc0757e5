"""Methods of ``App`` about the audit of repositories: findings, policy, plan, edits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from homeport.app.attestations import AttestationCommands

if TYPE_CHECKING:
    from homeport.audit.apply_plan import PlanApplied
    from homeport.audit.auditing import AuditRequest, AuditResult
    from homeport.audit.live import LiveImages
    from homeport.audit.plan.planfile import Plan
    from homeport.audit.policy_check import PolicyOptions, PolicyResult
    from homeport.audit.report.writing import ReportFiles


class AuditCommands(AttestationCommands):
    """What ``homeport audit`` does with a repository."""

    def audit(self, request: AuditRequest, *, online: bool = False) -> AuditResult:
        """Every public image that files depend on, explicitly or implicitly.

        online: query the registries for digests, age and platforms. The files may belong to a
                stranger: hosts with private addresses are not connected to, unless they are
                the home, configured as a mirror or in ``HOMEPORT_TRUSTED_HOSTS``
        """
        # 100 ms that other commands save
        from homeport.audit.auditing import audit

        audited = audit(request, check=self.runtime.cancel.check)
        if not online:
            return audited
        # 180 ms that other commands save
        from homeport.audit.registry_lookup import configured_hosts, look_up, named_by_strangers
        from homeport.net.client import Client

        registries = self.registries()
        hosts = configured_hosts(audited.report, registries)
        settings = named_by_strangers(self.client.settings, hosts)
        with Client(settings, cancel=self.runtime.cancel) as client:
            report = look_up(audited.report, registries.with_client(client), self.runtime)
        return msgspec.structs.replace(audited, report=report)

    def audit_live(
        self, *, pods: BinaryIO | None = None, docker: bool = False, engines: Sequence[str] = ()
    ) -> LiveImages:
        """Images that run now and versions of engines, for the request of an audit.

        pods:    what ``kubectl get pods -o json`` prints
        docker:  ask the local Docker engine
        engines: addresses of engines whose versions are asked
        """
        # 12 ms that other commands save
        from homeport.audit.live import read_live

        return read_live(
            pods=pods, docker=docker, cancel=self.runtime.cancel,
            engines=lambda: self.engines(engines) if engines else (),
        )  # fmt: skip

    def audit_policy(self, audited: AuditResult, options: PolicyOptions) -> PolicyResult:
        """The results of an audit, and those that a policy does not allow."""
        # 90 ms that other commands save
        from homeport.audit.policy_check import check_policy

        return check_policy(audited, options)

    def audit_reports(
        self, audited: AuditResult, checked: PolicyResult, files: ReportFiles
    ) -> None:
        """Write the reports of an audit for other programs, as a page, and its baseline."""
        # 110 ms that other commands save
        from homeport.audit.report.writing import write_reports

        write_reports(audited, checked, files)

    def audit_plan(
        self,
        audited: AuditResult,
        request: AuditRequest,
        file: Path | None = None,
        *,
        update: bool = False,
        config: Path | None = None,
    ) -> Plan:
        """The plan that replaces the images of an audit, also written to ``file``.

        update: keep the actions and references of the plan that ``file`` holds
        config: directory for mirror configuration and policies, which the plan then leaves out
        """
        # 80 ms that other commands save
        from homeport.audit.auditing import plan
        from homeport.audit.plan.mirror_config import write_config_files
        from homeport.audit.plan.planfile import read_plan_file, write_plan_file
        from homeport.audit.plan.signature_config import signature_configs

        decisions = None
        if update and file is not None and file.exists():
            decisions = read_plan_file(file)
        made = plan(audited, request, decisions)
        if made.mirror:
            signed = signature_configs(
                made.images, self.emit_policy("containers").files["policy.json"]
            )
            made = msgspec.structs.replace(made, config_files=(*made.config_files, *signed))
        if config is not None:
            made = write_config_files(made, config)
        if file is not None:
            write_plan_file(file, made)
        return made

    def audit_apply(
        self, file: Path, *, root: Path | None = None, make_edits: bool = False
    ) -> PlanApplied:
        """The changes that a plan makes to files below ``root``; ``make_edits`` writes them."""
        # 90 ms that other commands save
        from homeport.audit.apply_plan import apply_plan

        return apply_plan(file, root or Path.cwd(), make_edits=make_edits)
