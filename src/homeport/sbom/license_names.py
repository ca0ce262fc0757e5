"""License names of Debian's copyright files and what they are called by SPDX.

``SPDX_IDS`` are identifiers of the SPDX license list 3.27 that copyright files use; only names
of this set, and names that ``spdx_id`` derives, become identifiers. ``MIT`` is not in it:
Debian's files use the word for several texts (docs/formats/sbom.md).
"""

from __future__ import annotations

import re

_IDS = """
0BSD AFL-1.1 AFL-1.2 AFL-2.0 AFL-2.1 AFL-3.0 APAFML Apache-1.0 Apache-1.1 Apache-2.0
Artistic-1.0 Artistic-1.0-Perl Artistic-2.0 Beerware BSD-1-Clause BSD-2-Clause
BSD-2-Clause-Patent BSD-2-Clause-Views BSD-3-Clause BSD-3-Clause-Clear BSD-3-Clause-LBNL
BSD-3-Clause-Modification BSD-4-Clause BSD-4-Clause-UC BSD-4.3RENO BSD-4.3TAHOE
BSD-Protection BSD-Source-Code BSL-1.0 bzip2-1.0.6 CC-BY-1.0 CC-BY-2.0 CC-BY-2.5 CC-BY-3.0
CC-BY-4.0 CC-BY-SA-1.0 CC-BY-SA-2.0 CC-BY-SA-2.5 CC-BY-SA-3.0 CC-BY-SA-4.0 CC0-1.0 CDDL-1.0
CDDL-1.1 CECILL-1.0 CECILL-2.0 CECILL-2.1 CECILL-B CECILL-C ClArtistic CNRI-Python CPL-1.0
curl EFL-2.0 EPL-1.0 EPL-2.0 EUPL-1.1 EUPL-1.2 FSFAP FSFUL FSFULLR FSFULLRWD FTL HPND
HPND-sell-variant ICU IJG Imlib2 Info-ZIP Intel IPL-1.0 ISC JasPer-2.0 JPNIC Latex2e
libpng-2.0 Libpng libtiff LPPL-1.0 LPPL-1.1 LPPL-1.2 LPPL-1.3a LPPL-1.3c MirOS MIT-0
MIT-CMU MIT-Modern-Variant MIT-open-group MPL-1.0 MPL-1.1 MPL-2.0 MS-PL MulanPSL-2.0
NAIST-2003 NCSA Net-SNMP NetCDF NGPL NLOD-1.0 NTP OFL-1.0 OFL-1.1 OGL-UK-3.0 OLDAP-2.8
OpenSSL OPL-1.0 OSL-1.0 OSL-2.0 OSL-2.1 OSL-3.0 PHP-3.0 PHP-3.01 PostgreSQL PSF-2.0
Python-2.0 Python-2.0.1 QPL-1.0 Ruby Sendmail SGI-B-2.0 SISSL Sleepycat SMLNJ Spencer-86
Spencer-94 Spencer-99 SSH-OpenSSH SSH-short TCL TCP-wrappers TU-Berlin-1.0 TU-Berlin-2.0
UCD Unicode-3.0 Unicode-DFS-2015 Unicode-DFS-2016 Unlicense UPL-1.0 Vim W3C W3C-20150513
Watcom-1.0 WTFPL X11 XFree86-1.1 Xnet ZPL-1.1 ZPL-2.0 ZPL-2.1 Zed Zend-2.0 Zlib
zlib-acknowledgement
"""
#: Names that are identifiers already, whatever their case.
SPDX_IDS = frozenset(_IDS.split())

_BY_LOWER = {name.lower(): name for name in SPDX_IDS}

#: Debian's other names for a license that SPDX lists.
_SYNONYMS = {
    "expat": "MIT",
    "apache-2": "Apache-2.0",
    "apache2": "Apache-2.0",
    "apache-2.0+": "Apache-2.0",
    "artistic": "Artistic-1.0-Perl",
    "artistic-1": "Artistic-1.0-Perl",
    "artistic-2": "Artistic-2.0",
    "boost-1.0": "BSL-1.0",
    "bsd-1": "BSD-1-Clause",
    "bsd-2": "BSD-2-Clause",
    "bsd-2-clauses": "BSD-2-Clause",
    "bsd-3": "BSD-3-Clause",
    "bsd-3-clauses": "BSD-3-Clause",
    "bsd-3clause": "BSD-3-Clause",
    "bsd-4": "BSD-4-Clause",
    "cc0": "CC0-1.0",
    "cc-0": "CC0-1.0",
    "epl-1": "EPL-1.0",
    "epl-2": "EPL-2.0",
    "freetype": "FTL",
    "mpl-2": "MPL-2.0",
    "mpl-1": "MPL-1.0",
    "ofl": "OFL-1.1",
    "openldap-2.8": "OLDAP-2.8",
    "psf": "PSF-2.0",
    "psf-2": "PSF-2.0",
    "python-2": "Python-2.0",
    "w3c-software": "W3C",
    "zlib/libpng": "Zlib",
}

#: Exceptions of the SPDX list, by Debian's words before "exception".
_EXCEPTIONS = {
    "autoconf": "Autoconf-exception-2.0",
    "autoconf-data": "Autoconf-exception-generic",
    "bison": "Bison-exception-2.2",
    "classpath": "Classpath-exception-2.0",
    "font": "Font-exception-2.0",
    "gcc": "GCC-exception-3.1",
    "gcc-runtime-library": "GCC-exception-3.1",
    "libtool": "Libtool-exception",
    "linux-syscall-note": "Linux-syscall-note",
    "llvm": "LLVM-exception",
    "openssl": "cryptsetup-OpenSSL-exception",
}

_GNU = re.compile(
    r"(?P<family>AGPL|LGPL|GPL|GFDL|GFDL-NIV)-?v?(?P<version>[1-3](?:\.[0-9])?)(?P<later>\+)?",
    re.IGNORECASE,
)
_GNU_VERSIONS = {
    "GPL": {"1": "1.0", "2": "2.0", "3": "3.0", "1.0": "1.0", "2.0": "2.0", "3.0": "3.0"},
    "LGPL": {"2": "2.0", "2.0": "2.0", "2.1": "2.1", "3": "3.0", "3.0": "3.0"},
    "AGPL": {"1": "1.0", "1.0": "1.0", "3": "3.0", "3.0": "3.0"},
    "GFDL": {"1.1": "1.1", "1.2": "1.2", "1.3": "1.3"},
}


def spdx_id(name: str) -> str | None:
    """The SPDX identifier of one of Debian's short names; ``None`` if there is none."""
    lower = name.lower()
    if lower in _BY_LOWER:
        return _BY_LOWER[lower]
    if lower in _SYNONYMS:
        return _SYNONYMS[lower]
    found = _GNU.fullmatch(name)
    if found is None:
        return None
    family = found["family"].upper()
    version = _GNU_VERSIONS[family.removesuffix("-NIV")].get(found["version"])
    if version is None:
        return None
    middle = "-no-invariants" if family.endswith("-NIV") else ""
    ending = "or-later" if found["later"] else "only"
    return f"{family.removesuffix('-NIV')}-{version}{middle}-{ending}"


def spdx_exception(words: str) -> str | None:
    """The SPDX identifier of an exception, by the words before ``exception``."""
    return _EXCEPTIONS.get("-".join(words.lower().split()))
