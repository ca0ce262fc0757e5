"""What apt makes of packages, their scripts included, and what Homeport makes of them.

Every difference is made, stands in ``data/differences-from-apt.yaml`` with its reason, or
fails the test with its path.
"""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import msgspec
import pytest

from builders.runtime import runtime
from homeport.images.address import LayoutAddress
from homeport.images.image import Image, digest_of
from homeport.images.platforms import select
from homeport.images.transports.oci_layout import OciLayout
from homeport.oci.platform import native_platform
from peers.apt_difference import (
    Reason,
    accounts_of,
    differences,
    diversions_of,
    entries_of,
    installed_by_apt,
    packages_of,
    write_recipe,
)
from peers.test_built_image import homeport

pytestmark = [pytest.mark.network, pytest.mark.root]

TABLE = Path(__file__).parent.parent / "data/differences-from-apt.yaml"
SETS = {
    "servers": ["nginx", "redis-server", "openssh-server", "python3-django"],
    "data": ["postgresql", "imagemagick", "default-jre-headless", "cron", "haproxy"],
    "web": ["apache2", "libapache2-mod-php", "php-fpm", "php-curl", "postfix", "dbus", "tomcat10"],
    "daemons": ["bind9", "chrony", "squid", "dovecot-imapd", "tor", "fail2ban"],
    "diverting": [
        "vim",
        "vim-tiny",
        "libpq-dev",
        "postgresql-common",
        "molly-guard",
        "systemd-sysv",
    ],
    "watching": [
        "amavisd-new",
        "icinga2-bin",
        "nagios-nrpe-server",
        "ntpsec",
        "unattended-upgrades",
        "screen",
        *(["sse3-support"] if native_platform().architecture == "amd64" else []),
    ],
    "small": [
        "lighttpd",
        "mumble-server",
        "polkitd",
        "poppler-data",
        "tftpd-hpa",
        "libapache2-mod-wsgi-py3",
    ],
}
#: What is compared in every run; the others with HOMEPORT_FULL (.ci/run --full).
COMPARED = list(SETS) if os.environ.get("HOMEPORT_FULL") else ["servers"]


def built_by_homeport(folder: Path, packages: list[str]) -> Path:
    write_recipe(folder, packages)
    homeport("build", ".", "--no-progress", "--no-attest", "-o", "oci:image", cwd=folder)
    tar = folder / "homeport.tar"
    with OciLayout(LayoutAddress(path=folder / "image")).open(runtime()) as value:
        image = value if isinstance(value, Image) else select(value, [native_platform()])
        assert isinstance(image, Image)
        (layer,) = image.document.parsed.layers
        with image.blobs[digest_of(layer)].open() as stream:
            tar.write_bytes(gzip.decompress(stream.read()))
    return tar


@pytest.mark.peer("mmdebstrap", "chroot")
@pytest.mark.parametrize("name", COMPARED)
def test_every_difference_from_apt_has_its_reason(name: str, tmp_path: Path) -> None:
    ours = built_by_homeport(tmp_path, SETS[name])
    apt = tmp_path / "apt.tar"
    # By name, because of alternative dependencies each takes another one.
    installed_by_apt(packages_of(ours), apt)
    reasons = msgspec.yaml.decode(TABLE.read_bytes(), type=list[Reason])
    found = [
        each for each in differences(entries_of(apt), entries_of(ours))
        if not any(reason.covers(each) for reason in reasons)
    ]  # fmt: skip
    assert found == []
    assert accounts_of(ours) == accounts_of(apt)
    assert diversions_of(ours) == diversions_of(apt)
