"""Jobs for what runs on a machine of yours: Jenkins, cron, systemd."""

from __future__ import annotations

from homeport.pipelines.request import PipelineRequest, build_commands, check_plain

#: Where pip and pipx put programs; cron and systemd look there by themselves no more than ssh does.
_SECRETS = ".config/homeport/environment"
_PATH = ("/.local/bin", "/usr/local/bin", "/usr/bin", "/bin")


def jenkins(request: PipelineRequest) -> str:
    """A declarative pipeline."""
    names = request.names

    def stage(name: str, when: str, steps: str) -> str:
        return (
            f"    stage('homeport {name}') {{\n      when {{ {when} }}\n"
            f"      steps {{\n{steps}      }}\n    }}\n"
        )

    def secret(kind: str, id: str, variable: str, command: str) -> str:
        return (
            f"        withCredentials([{kind}(credentialsId: '{id}', variable: '{variable}')]) {{\n"
            f"          sh {_groovy(command)}\n        }}\n"
        )

    outdated = _groovy(f"homeport outdated {names} --junit homeport.xml")
    text = (
        "pipeline {\n"
        f"  agent {{ docker {{ image '{request.image}' }} }}\n"
        "  triggers { cron('H 4 * * *') }\n"
        "  options { disableConcurrentBuilds() }\n"
        # The user of the job may have no home in the image.
        "  environment { HOMEPORT_CACHE_DIR = '.cache/homeport' }\n"
        "  stages {\n"
    )
    text += stage(
        "outdated", "triggeredBy 'TimerTrigger'",
        "        catchError(buildResult: 'UNSTABLE', stageResult: 'UNSTABLE') {\n"
        f"          sh {outdated}\n        }}\n"
        "        junit allowEmptyResults: true, testResults: 'homeport.xml'\n",
    )  # fmt: skip
    text += stage(
        "update", "triggeredBy 'TimerTrigger'",
        secret("string", "homeport-forge-token", "HOMEPORT_FORGE_TOKEN",
               request.update),
    )  # fmt: skip
    builds = "".join(f"        sh {_groovy(command)}\n" for command in build_commands(request))
    text += stage("build", "changeRequest()", builds)
    if request.repository:
        text += stage(
            "publish", "expression { env.BRANCH_IS_PRIMARY == 'true' }",
            secret("string", "homeport-creds", "HOMEPORT_CREDS",
                   request.publish),
        )  # fmt: skip
    return text + "  }\n}\n"


def _groovy(text: str) -> str:
    """A string of Groovy in which nothing is put in: single quotes."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def cron(request: PipelineRequest) -> str:
    """Lines of a user's crontab; a run waits for none that still goes on."""
    alone = "flock -n .homeport.lock"
    commands = [f"homeport outdated {request.names} --metrics homeport.prom"]
    if request.repository:
        commands.append(f"{alone} {request.publish}")
    commands.append(f"{alone} {request.update}")
    times = ("17 4", "47 4", "17 5")
    return "".join(
        f"{time} * * * {_in(request)} && {command}\n"
        for time, command in zip(times, commands, strict=False)
    )


def _in(request: PipelineRequest) -> str:
    """In the directory, as it is on the server now."""
    check_plain([str(request.directory).removeprefix("/")])
    path = ":".join(["$HOME" + _PATH[0], *_PATH[1:]])
    secrets = f"$HOME/{_SECRETS}"
    return (
        f"cd {request.directory} && PATH={path} && {{ [ ! -r {secrets} ] || {{ set -a;"
        f" . {secrets}; set +a; }}; }} && git pull --quiet --ff-only"
    )


def service(request: PipelineRequest) -> str:
    """A unit that runs once; the timer starts it."""
    check_plain([str(request.directory).removeprefix("/")])
    path = ":".join(["%h" + _PATH[0], *_PATH[1:]])
    publish = f"ExecStart=/usr/bin/env {request.publish}\n" if request.repository else ""
    return f"""\
[Unit]
Description=Homeport: keep images fresh
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
WorkingDirectory={request.directory}
Environment=PATH={path}
# HOMEPORT_FORGE_TOKEN=… and HOMEPORT_CREDS=…; make the file readable by yourself alone.
EnvironmentFile=-%h/{_SECRETS}
NoNewPrivileges=yes
ExecStart=/usr/bin/env git pull --quiet --ff-only
# What is newer is no failure of the unit: the metrics say so.
ExecStart=-/usr/bin/env homeport outdated {request.names} --metrics homeport.prom
{publish}ExecStart=/usr/bin/env {request.update}
"""


def timer(_request: PipelineRequest) -> str:
    """Starts the service of the same name each day."""
    return """\
[Unit]
Description=Homeport: keep images fresh, daily

[Timer]
OnCalendar=*-*-* 04:17:00
RandomizedDelaySec=30min
Persistent=true

[Install]
WantedBy=timers.target
"""
