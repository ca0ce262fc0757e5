"""Recipes of ``examples/images`` are built from Debian's archive and used for what they are for.

In podman without a network: the commands that a recipe's ``tests`` run, and here the work of
images that serve or that need files of a user. Foreign platforms are run by ``homeport test``
with qemu-user. A few images in every run, all of them with HOMEPORT_FULL (.ci/run --full).
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from homeport.imagetests.checking import text_difference
from homeport.oci.platform import native_platform
from homeport.recipe.loading import find_and_load
from peers.engines import Podman, podman_limits
from peers.test_built_image import QEMU, homeport

pytestmark = [pytest.mark.network, pytest.mark.root]

EXAMPLES = Path(__file__).parents[2] / "examples" / "images"
FULL = bool(os.environ.get("HOMEPORT_FULL"))
_SECONDS = 90


class Work(msgspec.Struct, frozen=True):
    """What an image is used for, beyond the tests in its recipe.

    run:     a command in a container of its own, in /w, a folder with ``files``
    serve:   arguments of the container that is started as the image says; ``None``: none is
    url:     fetched in the network of that container
    inside:  a command there; ``python:`` and a program that this machine runs in its network;
             ``log:`` is what the container printed
    sent:    a program of Python that this machine runs there before ``inside`` is asked
    said:    part of what is printed; asked again until a service is ready
    """

    said: str
    run: str = ""
    serve: str | None = None
    url: str = ""
    inside: str = ""
    sent: str = ""
    files: dict[str, str] = {}


_DNS = (
    "import socket;s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM);s.settimeout(1);"
    "s.sendto(bytes.fromhex('000701000001000000000000')+b'\\x06answer\\x04test\\0\\0\\1\\0\\1',"
    "('127.0.0.1',53));print('.'.join(map(str,s.recv(512)[-4:])))"
)
_REDIS = (
    "import socket;s=socket.create_connection(('127.0.0.1',6379));f=s.makefile('rb');"
    "s.sendall(b'SET a 42\\r\\nGET a\\r\\n');print(*[f.readline() for _ in range(3)])"
)
_MAIL = (
    "import smtplib;smtplib.SMTP('127.0.0.1',25).sendmail("
    "'a@example.org','root@example.org','Subject: hello\\n\\nfrom postfix')"
)
_INITDB = "initdb -A trust --locale=C.UTF-8 >/dev/null && exec postgres"
_JAVA = """\
import javax.net.ssl.*;
import java.security.KeyStore;
public class T {
  public static void main(String[] a) throws Exception {
    var t = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    t.init((KeyStore) null);
    int n = ((X509TrustManager) t.getTrustManagers()[0]).getAcceptedIssuers().length;
    System.out.println(n > 100 ? "trusts authorities" : "trusts " + n);
  }
}
"""
_C = '#include <stdio.h>\nint main(void) { puts("hello from C"); }\n'
_CXX = '#include <iostream>\nint main() { std::cout << "hello from C++" << std::endl; }\n'
_CMAKE = "cmake_minimum_required(VERSION 3.10)\nproject(x C CXX)\nadd_executable(x a.cc)\n"
_GO = 'package main\n\nimport "fmt"\n\nfunc main() { fmt.Println("hello from Go") }\n'
_RUST = 'fn main() { println!("hello from Rust"); }\n'
_SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="99" height="20"><text>Ω</text></svg>'
_SIGN = (
    "gpg --batch --passphrase '' --quick-gen-key a@example default default never "
    "&& echo text > a && gpg --batch -e -r a@example --trust-model always a && gpg -d a.gpg"
)

WORK: dict[str, Work] = {
    "nginx": Work("hello from nginx", serve="", url="http://127.0.0.1/"),
    "apache": Work("hello from apache", serve="", url="http://127.0.0.1/"),
    "haproxy": Work("hello from haproxy", serve="", url="http://127.0.0.1:8080/"),
    "redis": Work("b'42", serve="", inside=f"python:{_REDIS}"),
    "tomcat": Work("It works !", serve="", url="http://127.0.0.1:8080/"),
    "postfix": Work("status=sent (delivered to mailbox)", serve="", inside="log:", sent=_MAIL),
    "memcached": Work(
        "STORED", serve="",
        inside="python:import socket;s=socket.create_connection(('127.0.0.1',11211));"
        "s.sendall(b'set a 0 0 2\\r\\n42\\r\\n');print(s.recv(99))",
    ),
    "postgres": Work(
        "42", serve=f"--entrypoint=/bin/sh IMAGE -c {shlex.quote(_INITDB)}",
        inside="psql -h /var/run/postgresql -U postgres -Atc 'select 6*7'",
    ),
    "mariadb": Work(
        "42",
        serve="--entrypoint=/bin/sh IMAGE -c "
        "'mariadb-install-db --user=mysql >/dev/null && exec mariadbd'",
        inside="mariadb -Ne 'select 6*7'",
    ),
    "sshd": Work(
        "OpenSSH",
        serve="--entrypoint=/bin/sh IMAGE -c "
        "'ssh-keygen -q -t ed25519 -N \"\" -f /tmp/h && exec /usr/sbin/sshd -D -e -h /tmp/h'",
        inside="/bin/sh -c 'mkdir -p -m 700 /root/.ssh; [ -f /tmp/u ] || "
        "ssh-keygen -q -t ed25519 -N \"\" -f /tmp/u; cp /tmp/u.pub /root/.ssh/authorized_keys; "
        "ssh -i /tmp/u -o StrictHostKeyChecking=no root@127.0.0.1 ssh -V'",
    ),
    "cron": Work("20", serve="", inside="/usr/bin/cat /tmp/ran"),
    "dbus": Work(
        "org.freedesktop.DBus", serve="",
        inside="dbus-send --system --print-reply --dest=org.freedesktop.DBus / "
        "org.freedesktop.DBus.ListNames",
    ),
    "rabbitmq": Work("Starting broker... completed", serve="", inside="log:"),
    "rsyslog": Work("rsyslogd", serve="", inside="log:"),
    "node": Work(
        "found", files={"p/package.json": '{"name": "p", "scripts": {"t": "echo found"}}'},
        run="/usr/bin/npm --prefix /w/p run t",
    ),
    "php-fpm": Work("ready to handle connections", serve="", inside="log:"),
    "java": Work("trusts authorities", run="/usr/bin/java T.java", files={"T.java": _JAVA}),
    "gcc": Work(
        "hello from C\nhello from C++\n", files={"a.c": _C, "a.cc": _CXX, "CMakeLists.txt": _CMAKE},
        run="/bin/sh -c 'cc a.c -o a && ./a && (cmake -B b . && make -C b) >/dev/null && b/x'",
    ),
    "golang": Work("hello from Go", files={"a.go": _GO}, run="/usr/bin/go run a.go"),
    "rust": Work("hello from Rust", files={"a.rs": _RUST}, run="/bin/sh -c 'rustc a.rs && ./a'"),
    "git": Work(
        "alias",
        run="/bin/sh -c 'git init -q r && cd r && echo a > f && git add f && "
        "git -c user.name=a -c user.email=a@example commit -qm a && "
        "git clone -q file:///w/r /tmp/c && git -C /tmp/c submodule status && "
        "git -c alias.x=\"!echo alias\" x'",
    ),
    "imagemagick": Work(
        "PNG 72x72",
        run="/bin/sh -c 'convert -size 72x72 xc:white -annotate +9+40 Hi a.pdf && "
        "convert -density 72 a.pdf b.png && identify b.png'",
    ),
    "fonts": Work("PNG", files={"a.svg": _SVG}, run="/usr/bin/rsvg-convert a.svg"),
    "chromium": Work(
        "<h1>Ω</h1>", files={"a.html": "<meta charset=utf-8><h1>Ω</h1>"},
        run="/usr/bin/chromium-headless-shell --no-sandbox --disable-gpu --dump-dom "
        "file:///w/a.html",
    ),
    "toolbox": Work(
        "42",
        run="/bin/bash -c 'set -e; vi --version; editor --version; which less; ps aux; ip a; "
        "ping -c1 127.0.0.1; dig -v; awk \"BEGIN{print 6*7}\"'",
    ),
    "slim": Work(
        "install ok installed",
        run="/bin/bash -c 'apt-get check && dpkg --audit && dpkg-query -Wf \"\\${Status}\" apt'",
    ),
    "locales": Work("jeudi", run="/usr/bin/env LC_ALL=fr_FR.UTF-8 date -d @0 +%A"),
    "systemd": Work("loaded active", serve="--systemd=always",
        inside="systemctl list-units --no-legend --plain dbus.socket"),
    "dnsmasq": Work("192.0.2.1", serve="", inside=f"python:{_DNS}"),
    "unbound": Work("192.0.2.1", serve="", inside=f"python:{_DNS}"),
    "squid": Work("squid", serve="", inside="python:import urllib.request as u,urllib.error;"
        "r=u.Request('http://127.0.0.1:1/');r.set_proxy('127.0.0.1:3128','http')\n"
        "try:u.urlopen(r)\nexcept urllib.error.HTTPError as e:print(e.headers['Via'])"),
    "gnupg": Work("text", run=f"/bin/sh -c {shlex.quote(_SIGN)}"),
    "ansible": Work("SUCCESS", run="/usr/bin/ansible localhost -m ping"),
    "podman": Work("graphDriverName", run="/usr/bin/podman info"),
    "pyapp": Work("hello from gunicorn", serve="", url="http://127.0.0.1:8000/"),
    "shellcheck": Work("SC2086", files={"a.sh": "#!/bin/sh\nrm $1\n"},
        run="/usr/bin/shellcheck a.sh"),
}  # fmt: skip
#: What runs in every test run; each in a minute or less.
SOME = ["apache", "curl", "haproxy", "imagemagick", "nginx", "postgres", "redis", "sshd"]
#: Two images that are one process each, so that qemu-user in front of it suffices.
FOREIGN = ["curl", "python"]


def test_every_example_does_something() -> None:
    for folder in sorted(EXAMPLES.iterdir()):
        recipe = find_and_load(str(folder))
        assert recipe.name == folder.name
        assert folder.name in WORK or recipe.tests, folder.name
    assert set(WORK) <= {folder.name for folder in EXAMPLES.iterdir()}


@pytest.mark.peer("podman", "runc", "nsenter")
@pytest.mark.parametrize("name", sorted(each.name for each in EXAMPLES.iterdir()) if FULL else SOME)
def test_an_image_does_its_job(name: str, podman: Podman, tmp_path: Path) -> None:
    image = built(name, podman, tmp_path)
    tests = find_and_load(str(EXAMPLES / name)).tests
    for test in tests:
        if test.kind == "run":
            program, *arguments = test.command
            ended = once(podman, f"--entrypoint={program}", image, *arguments)
            assert ended.returncode == test.exit, ended.stdout
            assert text_difference(test, ended.stdout, "it") == ""
    if tests:
        own = ("--tests", str(EXAMPLES / name), "--no-run")
        homeport("test", f"oci:{tmp_path}/image", *own, cwd=tmp_path)
    if name in WORK:
        done = (
            serving(WORK[name], image, podman)
            if WORK[name].serve is not None
            else working(WORK[name], image, podman, tmp_path)
        )
        assert WORK[name].said in done, done


@pytest.mark.parametrize(
    "platform",
    [
        pytest.param(f"linux/{name}", marks=pytest.mark.peer(f"qemu-{QEMU[name]}-static"))
        for name in (QEMU if FULL else ["arm64"])
    ],
)
@pytest.mark.parametrize("name", FOREIGN)
def test_an_image_does_its_job_on_other_machines(name: str, platform: str, tmp_path: Path) -> None:
    recipe = for_platform(name, platform, tmp_path)
    said = homeport("test", recipe, "--tests", f"./{name}.yaml", "--no-progress", cwd=tmp_path)
    assert "not run" not in said


def built(name: str, podman: Podman, folder: Path) -> str:
    """The image of this machine's platform, known to podman; its name there."""
    recipe = for_platform(name, str(native_platform()), folder)
    homeport("build", recipe, "--no-progress", "--no-attest", "-o", "oci:image", cwd=folder)
    return podman.run("pull", "--quiet", f"oci:{folder}/image:latest").strip()


def for_platform(name: str, platform: str, folder: Path) -> str:
    """A recipe that adds nothing to the example; only this platform is locked."""
    (folder / f"{name}.yaml").write_text((EXAMPLES / name / "homeport.yaml").read_text())
    (folder / "homeport.yaml").write_text(
        f"homeport: 1\nname: example\nextends: ./{name}.yaml\nplatforms: [{platform}]\n"
    )
    return "."


def once(podman: Podman, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A container that ends by itself: its code, and both of its streams as one."""
    return subprocess.run(
        [*podman.argv, "run", "--rm", "--network", "none", *podman_limits(), *arguments],
        env={**os.environ, **podman.environ}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        timeout=300, check=False, encoding="utf-8", errors="replace",
    )  # fmt: skip


def working(work: Work, image: str, podman: Podman, folder: Path) -> str:
    files = folder / "w"
    files.mkdir(mode=0o777)
    for path, text in work.files.items():
        (files / path).parent.mkdir(exist_ok=True)
        (files / path).write_text(text)
    program, *arguments = shlex.split(work.run)
    return once(
        podman, "--privileged", "-v", f"{files}:/w", "-w", "/w", "--env", "HOME=/tmp", "-u", "0",
        f"--entrypoint={program}", image, *arguments,
    ).stdout  # fmt: skip


def serving(work: Work, image: str, podman: Podman) -> str:
    """What a service answers, at the latest after a while."""
    arguments = shlex.split(work.serve or "")
    if "IMAGE" not in arguments:
        arguments.append("IMAGE")
    arguments = [image if each == "IMAGE" else each for each in arguments]
    container = podman.run("run", "-d", "--network", "none", *podman_limits(), *arguments).strip()
    try:
        said = ""
        for _ in range(_SECONDS):
            format = "{{.State.Status}} {{.State.Pid}}"
            status, process = podman.run("inspect", "-f", format, container).split()
            if status == "running":
                said = asked(work, podman, container, process)
            if work.said in said:
                return said
            if status == "exited":
                break
            time.sleep(1)  # it starts at its own pace, and cron wakes up once a minute
        state = podman.run("inspect", "-f", "{{json .State}}", container)
        return f"{said}\n{logged(podman, container)}\n{state}"
    finally:
        # What it leaves while it ends is removed with podman's storage.
        command = [*podman.argv, "rm", "-f", "-t", "2", container]
        subprocess.run(command, env={**os.environ, **podman.environ}, check=False, timeout=60)


def asked(work: Work, podman: Podman, container: str, process: str) -> str:
    here = ["nsenter", "-t", process, "-n"]
    program = work.inside.removeprefix("python:")
    if work.url:
        program = f"import urllib.request as u;print(u.urlopen({work.url!r}, timeout=9).read())"
    elif work.inside == "log:":
        if work.sent:
            there = [*here, sys.executable, "-c", work.sent]
            subprocess.run(there, capture_output=True, timeout=60, check=False)
        return logged(podman, container)
    elif program == work.inside:
        here = [*podman.argv, "exec", container]
    command = [*here, *shlex.split(work.inside)]
    if work.url or program != work.inside:
        command = [*here, sys.executable, "-c", program]
    done = subprocess.run(
        command, capture_output=True, timeout=60, check=False,
        env={key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
        | podman.environ,
    )  # fmt: skip
    return (done.stdout + done.stderr).decode("utf-8", "replace")


def logged(podman: Podman, container: str) -> str:
    done = subprocess.run(
        [*podman.argv, "logs", container], capture_output=True, timeout=60, check=False,
        env={**os.environ, **podman.environ},
    )  # fmt: skip
    return (done.stdout + done.stderr).decode("utf-8", "replace")
