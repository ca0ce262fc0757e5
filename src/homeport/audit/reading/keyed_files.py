"""Structured files (YAML, JSON, TOML) whose images stand under known keys: a row for each kind.

A path of keys looks like ``services[0].image.url``. Adding a kind is adding a row and a case
in ``tests/data/audit-corpus/keyed``.
"""

from __future__ import annotations

import msgspec


class KeyedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of file.

    path:      regular expression over the path as shown (``/`` before the first part)
    words:     the bytes hold one of these (lower case); ``pattern``: and this, as in ``Kind``
    images:    regular expression for whole paths of keys whose text is an image
    commands:  the same for shell text, ``dockerfiles`` for names of Dockerfiles, ``values`` for
               maps of Helm values
    likely:    the same for images that are ones by convention only
    first_word: the image is the first word of the text
    hint:      text that every such path holds, in lower case; the name if not given
    """

    name: str
    path: str
    words: tuple[bytes, ...] = (b"image",)
    pattern: bytes = b""
    images: str = ""
    likely: str = ""
    commands: str = ""
    dockerfiles: str = ""
    values: str = ""
    first_word: bool = False
    interpolated: bool = False
    hint: str | None = None


_N = r"\[\d+\]"
_ANY = r"(?:.*\.)?"
_YAML = r"\.ya?ml$"

KEYED_FILES: tuple[KeyedFile, ...] = (
    KeyedFile(name="ddev", path=rf"/\.ddev/(?:config[^/]*|providers/.*){_YAML}",
              images=r"(?:web|db|dba|ssh|router)?image", words=(b"image",)),
    KeyedFile(name="gitpod", path=rf"/\.gitpod{_YAML}", images="image", dockerfiles=r"image\.file",
              commands=rf"tasks{_N}\.(?:before|init|command|prebuild)", words=()),
    KeyedFile(name="fly", path=r"/fly(?:\.[^/]*)?\.toml$", words=(b"image", b"builder"),
              images=r"build\.(?:image|builder)|image", dockerfiles=r"build\.dockerfile"),
    KeyedFile(name="render", path=rf"/render{_YAML}",
              images=rf"{_ANY}services{_N}\.image(?:\.url)?",
              dockerfiles=rf"{_ANY}services{_N}\.dockerfilePath"),
    KeyedFile(name="dockerrun", path=r"/[^/]*Dockerrun\.aws\.json$", words=(b"image",),
              images=rf"Image\.Name|containerDefinitions{_N}\.image"),
    KeyedFile(name="molecule", path=rf"/molecule/.*molecule[^/]*{_YAML}",
              images=rf"platforms{_N}\.image", interpolated=True),
    KeyedFile(name="pre-commit", path=rf"/\.pre-commit-(?:config|hooks){_YAML}",
              words=(b"docker_image",),
              images=rf"(?:repos{_N}\.hooks)?{_N}\.entry",
              first_word=True),
    # Wikimedia's pipelines, beside blubber.yaml; an image that a stage made is a variable.
    KeyedFile(name="pipelinelib", hint=".pipeline/", path=rf"/\.pipeline/config{_YAML}",
              words=(b"pipelines",),
              likely=rf"pipelines\.[^.]+\.stages{_N}\.run(?:{_N})?\.image"),
    KeyedFile(name="buildspec", path=rf"/[^/]*buildspec[^/]*{_YAML}",
              words=(b"image", b"docker", b"commands"),
              images=rf"batch\.build-(?:graph|list|matrix)(?:{_N}|\.static)\.env\.image",
              commands=rf"phases\.\w+\.(?:commands|finally){_N}"),
    KeyedFile(name="semaphore", path=rf"/\.semaphore/.*{_YAML}", words=(b"image", b"docker"),
              images=rf"{_ANY}containers{_N}\.image",
              commands=rf"{_ANY}commands{_N}"),
    KeyedFile(name="cirrus", path=rf"/\.cirrus{_YAML}", words=(b"container", b"docker"),
              images=rf"{_ANY}(?:\w+_)?container\.image|{_ANY}(?:linux|windows|arm)_container\.i"
                     rf"mage",
              dockerfiles=rf"{_ANY}(?:\w+_)?container\.dockerfile",
              commands=rf"{_ANY}\w*script(?:{_N})?"),
    KeyedFile(name="helmfile", path=rf"/helmfile[^/]*{_YAML}|/helmfile\.d/.*{_YAML}",
              words=(b"releases", b"image"),
              values=rf"releases{_N}\.values{_N}|values{_N}|environments\.\w+\.values{_N}"),
    KeyedFile(name="devfile", path=rf"/\.?devfile{_YAML}", words=(b"schemaversion",),
              images=rf"components{_N}\.container\.image",
              dockerfiles=rf"components{_N}\.image\.dockerfile\.uri",
              commands=rf"commands{_N}\.exec\.commandLine"),
    KeyedFile(name="batect", path=rf"/[^/]*batect[^/]*{_YAML}", images=r"containers\.[^.]+\.image"),
    KeyedFile(name="vendir", path=rf"/vendir{_YAML}",
              images=rf"{_ANY}contents{_N}\.(?:image\.url|imgpkgBundle\.image)"),
    KeyedFile(name="devspace", path=rf"/devspace{_YAML}", words=(b"image",),
              images=rf"dev\.[^.]+\.(?:devImage|imageSelector)|{_ANY}containers{_N}\.image",
              dockerfiles=r"images\.[^.]+\.dockerfile", values=r"deployments\.[^.]+\.helm\.values"),
    KeyedFile(name="codeship", path=rf"/codeship-services{_YAML}", images=r"[^.]+\.image"),
    KeyedFile(name="wercker", path=rf"/wercker{_YAML}", words=(b"box", b"image"),
              images=rf"box(?:\.id)?|(?:\w+\.)?box(?:\.id)?|services{_N}(?:\.id)?"),
    KeyedFile(name="copilot", hint="copilot/", path=rf"/copilot/.*/manifest{_YAML}",
              images=r"image\.location|sidecars\.[^.]+\.image",
              dockerfiles=r"image\.build(?:\.dockerfile)?"),
    KeyedFile(name="serverless", path=rf"/serverless[^/]*{_YAML}",
              images=r"provider\.ecr\.images\.[^.]+\.uri|functions\.[^.]+\.image(?:\.uri)?"),
    KeyedFile(name="app-platform", hint=".do/", path=rf"/\.do/[^/]*{_YAML}", words=(b"registry",),
              images=rf"(?:spec\.)?(?:services|workers|jobs){_N}\.image\.repository"),
    KeyedFile(name="goreleaser", path=rf"/\.?goreleaser[^/]*{_YAML}",
              words=(b"image", b"docker", b"ko"),
              images=rf"kos{_N}\.base_image", dockerfiles=rf"dockers(?:_v2)?{_N}\.dockerfile",
              commands=rf"(?:before\.)?hooks{_N}(?:\.cmd)?"),
    KeyedFile(name="talos", hint="", path=rf"/[^/]*{_YAML}",
              words=(b"machine:",), pattern=rb"(?m)^machine[ \t]{0,9}:",
              images=r"machine\.(?:install|kubelet)\.image|cluster\.(?:apiServer|controllerManager"
                     r"|scheduler|proxy|etcd|coreDNS)\.image"),
    KeyedFile(name="prow", hint="", path=_YAML,
              words=(b"submits:", b"periodics:"),
              pattern=rb"(?m)^(?:presubmits|postsubmits|periodics)[ \t]{0,9}:",
              images=rf"{_ANY}spec\.(?:init[cC]ontainers|containers){_N}\.image"),
    KeyedFile(name="cloudformation", hint="", path=r"\.(?:ya?ml|json|template)$",
              words=(b"aws::",),
              images=rf"Resources\.[^.]+\.Properties\.(?:{_ANY}ContainerDefinitions{_N}\.Image"
                     r"|Environment\.Image|ContainerProperties\.Image|(?:Code\.)?ImageUri"
                     r"|SourceConfiguration\.ImageRepository\.ImageIdentifier"
                     rf"|(?:Containers{_N}|PrimaryContainer)\.Image)",
              likely=r"Parameters\.\w*[iI]mage\w*\.Default"),
    KeyedFile(name="ecs", hint="", path=r"\.json$", words=(b'"containerdefinitions"',),
              images=rf"{_ANY}containerDefinitions{_N}\.image"),
    KeyedFile(name="pulumi", path=rf"/Pulumi[^/]*{_YAML}",
              images=rf"{_ANY}(?:containers{_N}\.image|image)|resources\.[^.]+\.properties\.name",
              words=(b"docker:", b"kubernetes:", b"image")),
    KeyedFile(name="cloud-init", hint="", path=rf"/user-data$|{_YAML}",
              words=(b"#cloud-config",),
              pattern=rb"\A#cloud-config",
              commands=rf"(?:runcmd|bootcmd){_N}(?:{_N})?|write_files{_N}\.content"),
    KeyedFile(name="lima", hint="", path=_YAML, words=(b"provision",), pattern=rb"(?m)^provision"
                                                                               rb"[ \t]{0,9}:",
              commands=rf"(?:provision|probes){_N}\.script"),
    KeyedFile(name="dagger", path=r"/dagger\.json$", words=(b"engineversion",)),
    KeyedFile(name="npm", hint="package.json", path=r"/package\.json$", words=(b'"scripts"',),
              commands=r"scripts\..+"),
    KeyedFile(name="appveyor", path=rf"/\.?appveyor{_YAML}", words=(b"docker", b"podman"),
              commands=rf"(?:for{_N}\.)?(?:init|install|\w+_(?:script|build|test|deploy))(?:{_N}"
                       rf"(?:\.\w+)?)?"),
    KeyedFile(name="spring", hint="", path=rf"/(?:application|bootstrap)[^/]*{_YAML}",
              words=(b"image-name", b"-image", b"devservices"),
              images=r"(?:.*\.)?(?:image-name|builder-image|base-(?:jvm|native)-image)"),
    KeyedFile(name="cwl", hint=".cwl", path=r"\.cwl$", words=(b"dockerpull",), images=rf"{_ANY}dock"
                                                                                   rf"erPull"),
)  # fmt: skip

BY_NAME = {row.name: row for row in KEYED_FILES}
