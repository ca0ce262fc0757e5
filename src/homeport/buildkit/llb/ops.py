"""LLB as it travels: the messages of BuildKit's solver/pb/ops.proto, by field number.

An operation's name is the sha256 of its encoded bytes, so encoding must be canonical
(``homeport.buildkit.protobuf``). Building graphs is ``homeport.buildkit.llb.state``.
"""

from __future__ import annotations

from collections.abc import Mapping

from homeport.buildkit.protobuf import (
    choice,
    flag,
    flag_map,
    message,
    number,
    numbers,
    part,
    part_map,
    parts,
    raw,
    raws,
    text,
    text_map,
    texts,
)


@message
class Platform:
    architecture: str = text(1)
    os: str = text(2)
    variant: str = text(3)
    os_version: str = text(4)
    os_features: tuple[str, ...] = texts(5)


@message
class Input:
    digest: str = text(1)
    index: int = number(2)


@message
class HostIP:
    host: str = text(1)
    ip: str = text(2)


@message
class Meta:
    args: tuple[str, ...] = texts(1)
    env: tuple[str, ...] = texts(2)
    cwd: str = text(3)
    user: str = text(4)
    extra_hosts: tuple[HostIP, ...] = parts(6, lambda: HostIP)
    hostname: str = text(7)
    cgroup_parent: str = text(10)
    valid_exit_codes: tuple[int, ...] = numbers(12)


@message
class TmpfsOpt:
    size: int = number(1)


@message
class CacheOpt:
    id: str = text(1)
    sharing: int = number(2)


@message
class SecretOpt:
    """Of secrets and of agent sockets alike."""

    id: str = text(1)
    uid: int = number(2)
    gid: int = number(3)
    mode: int = number(4)
    optional: bool = flag(5)


@message
class Mount:
    input: int = number(1)
    selector: str = text(2)
    dest: str = text(3)
    output: int = number(4)
    readonly: bool = flag(5)
    mount_type: int = number(6)
    tmpfs: TmpfsOpt | None = part(19, lambda: TmpfsOpt)
    cache: CacheOpt | None = part(20, lambda: CacheOpt)
    secret: SecretOpt | None = part(21, lambda: SecretOpt)
    ssh: SecretOpt | None = part(22, lambda: SecretOpt)


@message
class SecretEnv:
    id: str = text(1)
    name: str = text(2)
    optional: bool = flag(3)


@message
class ExecOp:
    meta: Meta | None = part(1, lambda: Meta)
    mounts: tuple[Mount, ...] = parts(2, lambda: Mount)
    network: int = number(3)
    security: int = number(4)
    secretenv: tuple[SecretEnv, ...] = parts(5, lambda: SecretEnv)


@message
class SourceOp:
    identifier: str = text(1)
    attrs: Mapping[str, str] = text_map(2)


@message
class NamedUser:
    name: str = text(1)
    input: int = number(2)


@message
class UserOpt:
    by_name: NamedUser | None = part(1, lambda: NamedUser)
    by_id: int | None = choice(2)


@message
class ChownOpt:
    user: UserOpt | None = part(1, lambda: UserOpt)
    group: UserOpt | None = part(2, lambda: UserOpt)


@message
class FileActionCopy:
    src: str = text(1)
    dest: str = text(2)
    owner: ChownOpt | None = part(3, lambda: ChownOpt)
    mode: int = number(4)
    follow_symlink: bool = flag(5)
    dir_copy_contents: bool = flag(6)
    attempt_unpack: bool = flag(7)
    create_dest_path: bool = flag(8)
    allow_wildcard: bool = flag(9)
    allow_empty_wildcard: bool = flag(10)
    timestamp: int = number(11)
    include: tuple[str, ...] = texts(12)
    exclude: tuple[str, ...] = texts(13)


@message
class FileActionMkFile:
    path: str = text(1)
    mode: int = number(2)
    data: bytes = raw(3)
    owner: ChownOpt | None = part(4, lambda: ChownOpt)
    timestamp: int = number(5)


@message
class FileActionMkDir:
    path: str = text(1)
    mode: int = number(2)
    make_parents: bool = flag(3)
    owner: ChownOpt | None = part(4, lambda: ChownOpt)
    timestamp: int = number(5)


@message
class FileActionRm:
    path: str = text(1)
    allow_not_found: bool = flag(2)
    allow_wildcard: bool = flag(3)


@message
class FileActionSymlink:
    oldpath: str = text(1)
    newpath: str = text(2)
    owner: ChownOpt | None = part(3, lambda: ChownOpt)
    timestamp: int = number(4)


@message
class FileAction:
    input: int = number(1)
    secondary_input: int = number(2)
    output: int = number(3)
    copy: FileActionCopy | None = part(4, lambda: FileActionCopy)
    mkfile: FileActionMkFile | None = part(5, lambda: FileActionMkFile)
    mkdir: FileActionMkDir | None = part(6, lambda: FileActionMkDir)
    rm: FileActionRm | None = part(7, lambda: FileActionRm)
    symlink: FileActionSymlink | None = part(8, lambda: FileActionSymlink)


@message
class FileOp:
    actions: tuple[FileAction, ...] = parts(2, lambda: FileAction)


@message
class BuildInput:
    input: int = number(1)


@message
class BuildOp:
    builder: int = number(1)
    inputs: Mapping[str, BuildInput] = part_map(2, lambda: BuildInput)
    definition: Definition | None = part(3, lambda: Definition)
    attrs: Mapping[str, str] = text_map(4)


@message
class Layer:
    """One input of a merge or a diff."""

    input: int = number(1)


@message
class MergeOp:
    inputs: tuple[Layer, ...] = parts(1, lambda: Layer)


@message
class DiffOp:
    lower: Layer | None = part(1, lambda: Layer)
    upper: Layer | None = part(2, lambda: Layer)


@message
class Constraints:
    filter: tuple[str, ...] = texts(1)


@message
class Op:
    inputs: tuple[Input, ...] = parts(1, lambda: Input)
    exec: ExecOp | None = part(2, lambda: ExecOp)
    source: SourceOp | None = part(3, lambda: SourceOp)
    file: FileOp | None = part(4, lambda: FileOp)
    build: BuildOp | None = part(5, lambda: BuildOp)
    merge: MergeOp | None = part(6, lambda: MergeOp)
    diff: DiffOp | None = part(7, lambda: DiffOp)
    platform: Platform | None = part(10, lambda: Platform)
    constraints: Constraints | None = part(11, lambda: Constraints)


@message
class ExportCache:
    value: bool = flag(1)


@message
class OpMetadata:
    ignore_cache: bool = flag(1)
    description: Mapping[str, str] = text_map(2)
    export_cache: ExportCache | None = part(4, lambda: ExportCache)
    caps: Mapping[str, bool] = flag_map(5)


@message
class Position:
    line: int = number(1)
    character: int = number(2)


@message
class Range:
    start: Position | None = part(1, lambda: Position)
    end: Position | None = part(2, lambda: Position)


@message
class Location:
    source_index: int = number(1)
    ranges: tuple[Range, ...] = parts(2, lambda: Range)


@message
class Locations:
    locations: tuple[Location, ...] = parts(1, lambda: Location)


@message
class SourceInfo:
    filename: str = text(1)
    data: bytes = raw(2)


@message
class Source:
    locations: Mapping[str, Locations] = part_map(1, lambda: Locations)
    infos: tuple[SourceInfo, ...] = parts(2, lambda: SourceInfo)


@message
class Definition:
    """``defs`` are encoded ``Op``s; the last names the result."""

    defs: tuple[bytes, ...] = raws(1)
    metadata: Mapping[str, OpMetadata] = part_map(2, lambda: OpMetadata)
    source: Source | None = part(3, lambda: Source)
