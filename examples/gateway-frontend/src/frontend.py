"""A BuildKit frontend in one file: reads a list of steps and asks the engine to run them.

    # syntax=registry.example/gateway-frontend:1
    [hello]                        a variant; --target chooses it, the last one is the default
    copy greeting /greeting        a file of the build context
    copy more:extra /extra         ... of the named context "more"
    write /name Hello, $NAME       a line; $WORD is a build argument, $TARGETARCH the platform's
    run busybox cat /run/secrets/token
    secret token                   for the commands that follow

An engine starts this program with the build's options in its environment, and answers gRPC on
standard input and output (BuildKit's gateway.proto). HTTP/2 and protocol buffers are small enough
here to be written by hand: what an answer's headers say is not needed.
"""

import os

BRIDGE = "/moby.buildkit.v1.frontend.LLBBridge/"


# --- protocol buffers: what is sent and read of them ---


def varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number, value):
    """A number, a text, bytes, or a message that is encoded already."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def mapped(number, items):
    pairs = sorted(items.items())
    return b"".join(field(number, field(1, key) + field(2, value)) for key, value in pairs)


def fields(data):
    """Number and value of each field of a message."""
    at = 0

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        key = number()
        value = number()
        if key & 7 == 2:
            at += value
            value = data[at - value : at]
        yield key >> 3, value


# --- gRPC over HTTP/2 on standard input and output ---

DATA, HEADERS, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 4, 6, 7, 8
END_STREAM, ACK, END_HEADERS = 1, 1, 4
_streams = []  # numbers of the calls so far, odd ones as a client's are


def send(kind, flags, stream, payload=b""):
    head = len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big")
    view = memoryview(head + payload)
    while view:
        view = view[os.write(1, view) :]


def receive():
    head = exactly(9)
    payload = exactly(int.from_bytes(head[:3], "big"))
    return head[3], head[4], int.from_bytes(head[5:], "big"), payload


def exactly(size):
    data = b""
    while len(data) < size:
        part = os.read(0, size - len(data))
        if not part:
            raise SystemExit("the engine went away")
        data += part
    return data


def header(name, value):
    """A header as it is, without compression (RFC 7541, 6.2.2)."""

    def text(word):
        data = word.encode()
        size = bytes((len(data),)) if len(data) < 127 else b"\x7f" + varint(len(data) - 127)
        return size + data

    return b"\0" + text(name) + text(value)


def call(method, request):
    """The answer to a call; the engine closes the stream of one that it refuses."""
    if not _streams:
        os.write(1, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        send(SETTINGS, 0, 0)
    mine = 2 * len(_streams) + 1
    _streams.append(mine)
    names = {
        ":method": "POST",
        ":scheme": "http",
        ":path": BRIDGE + method,
        ":authority": "localhost",
        "content-type": "application/grpc",
        "te": "trailers",
    }
    send(HEADERS, END_HEADERS, mine, b"".join(header(*each) for each in names.items()))
    send(DATA, END_STREAM, mine, b"\0" + len(request).to_bytes(4, "big") + request)
    answer = b""
    while True:
        kind, flags, stream, payload = receive()
        if kind == SETTINGS and not flags & ACK:
            send(SETTINGS, ACK, 0)
        elif kind == PING and not flags & ACK:
            send(PING, ACK, 0, payload)
        elif kind == GOAWAY:
            raise SystemExit(f"the engine ended the connection in {method}")
        elif kind == DATA and payload:
            answer += payload
            for window in (0, stream):
                send(WINDOW_UPDATE, 0, window, len(payload).to_bytes(4, "big"))
        if stream == mine and kind in (DATA, HEADERS) and flags & END_STREAM:
            if not answer:
                raise SystemExit(f"the engine refused {method}")
            return answer[5:]


# --- operations (BuildKit's ops.proto) ---


class Graph:
    """Operations of one platform; each is named by the hash of its bytes."""

    def __init__(self, platform):
        system, _, rest = platform.partition("/")
        architecture, _, variant = rest.partition("/")
        self.platform = field(1, architecture) + field(2, system)
        self.platform += field(3, variant) if variant else b""
        self.operations = []
        self.names = {}

    def add(self, inputs, content, title):
        """Append an operation; its digest."""
        op = b"".join(field(1, field(1, digest) + field(2, 0)) for digest in inputs)
        op += content + field(10, self.platform) + field(11, b"")
        digest = sha256(op)
        if digest not in self.names:
            self.operations.append(op)
            self.names[digest] = title
        return digest

    def local(self, name, paths):
        attributes = {
            "local.session": os.environ.get("BUILDKIT_SESSION_ID", ""),
            "local.followpaths": "[" + ",".join(f'"{path}"' for path in paths) + "]",
            "local.sharedkeyhint": name + ":" + ",".join(paths),
        }
        source = field(1, "local://" + name) + mapped(2, attributes)
        return self.add([], field(3, source), "load " + name)

    def image(self, reference):
        return self.add([], field(3, field(1, "docker-image://" + reference)), "load " + reference)

    def file(self, action, below, beside=None, title=""):
        """One action on the files so far (``below``, or nothing yet), reading ``beside``."""
        inputs = [each for each in (below, beside) if each is not None]
        first = 0 if below is not None else -1
        second = inputs.index(beside) if beside is not None else -1
        content = field(1, first) + field(2, second) + field(3, 0) + action
        return self.add(inputs, field(4, field(2, content)), title)

    def run(self, words, below, secrets):
        meta = b"".join(field(1, word) for word in words) + field(2, "PATH=/bin:/usr/bin:/")
        mounts = field(2, field(1, 0) + field(3, "/") + field(4, 0))
        for name in secrets:
            secret = field(1, name) + field(4, 0o400)
            target = field(3, "/run/secrets/" + name) + field(4, -1) + field(6, 1)
            mounts += field(2, field(1, -1) + target + field(21, secret))
        command = field(1, meta + field(3, "/")) + mounts + field(3, 2)  # without network
        return self.add([below], field(2, command), "run " + " ".join(words))

    def definition(self, last):
        """The graph that ends in ``last``."""
        end = field(1, field(1, last) + field(2, 0))
        data = b"".join(field(1, op) for op in [*self.operations, end])
        for digest, title in self.names.items():
            data += field(2, field(1, digest) + field(2, mapped(2, {"llb.customname": title})))
        return data + field(2, field(1, sha256(end)) + field(2, b""))


def sha256(data):
    import _sha2

    return "sha256:" + _sha2.sha256(data).hexdigest()


# --- the frontend itself ---


def solve(definition):
    """Where the engine keeps the result."""
    answer = dict(fields(call("Solve", field(1, definition))))
    return answer.get(1, b"").decode()


def build(lines, options, platform):
    """The definition of one platform."""
    graph, files, secrets = Graph(platform), None, []
    variables = {"TARGETPLATFORM": platform, "TARGETARCH": platform.split("/")[1]}
    for key, value in options.items():
        if key.startswith("build-arg:"):
            variables[key[10:]] = value
    for each in lines:
        line = each
        for name in sorted(variables, reverse=True):
            line = line.replace("$" + name, variables[name])
        word, *rest = line.split()
        if word == "copy":
            source, target = rest
            context, colon, path = source.rpartition(":")
            given = options.get("context:" + context, "") if colon else "local:context"
            if given.startswith("docker-image://"):
                beside = graph.image(given[15:])
            elif given.startswith("local:"):
                beside = graph.local(given[6:], [path])
            else:
                raise SystemExit(f"there is no build context {context!r}")
            action = field(1, "/" + path) + field(2, target) + field(4, -1) + field(5, 1)
            action += field(8, 1) + field(10, 1) + field(11, -1)
            files = graph.file(field(4, action), files, beside, line)
        elif word == "write":
            action = field(1, rest[0]) + field(2, 0o644) + field(3, " ".join(rest[1:]) + "\n")
            files = graph.file(field(5, action + field(5, 0)), files, title=line)
        elif word == "secret":
            secrets += rest
        elif word == "run":
            files = graph.run(rest, files, secrets)
        else:
            raise SystemExit(f"unknown step {word!r}; use copy, write, run or secret")
    return graph.definition(files)


def main():
    options = {}
    for name, value in os.environ.items():
        if name.startswith("BUILDKIT_FRONTEND_OPT_"):
            key, _, rest = value.partition("=")
            options[key] = rest
    name = options.get("filename", "Dockerfile")
    graph = Graph("linux/amd64")
    where = solve(graph.definition(graph.local("dockerfile", [name])))
    text = dict(fields(call("ReadFile", field(1, where) + field(2, name)))).get(1, b"").decode()
    variants, lines = {}, []
    for line in text.splitlines():
        if line.startswith("[") and line.rstrip().endswith("]"):
            lines = variants.setdefault(line.strip()[1:-1], [])
        elif line.strip() and not line.startswith("#"):
            lines.append(line.strip())
    target = options.get("target") or (list(variants) or [""])[-1]
    if target not in variants:
        raise SystemExit(f"{name} has no variant {target!r}; it has {', '.join(variants)}")
    native = os.environ.get("BUILDKIT_WORKERS", "")
    architecture = next((a for a in ("arm64", "riscv64") if f'"{a}"' in native[:400]), "amd64")
    platforms = [each for each in options.get("platform", "").split(",") if each]
    results, metadata, listed = {}, {}, []
    for platform in platforms or ["linux/" + architecture]:
        results[platform] = solve(build(variants[target], options, platform))
        system, processor, *variant = platform.split("/")
        parts = f'"os":"{system}","architecture":"{processor}"'
        parts += f',"variant":"{variant[0]}"' if variant else ""
        config = f'{{{parts},"config":{{"Labels":{{"variant":"{target}"}}}},"rootfs":{{}}}}'
        metadata["containerimage.config/" + platform] = config
        listed.append(f'{{"ID":"{platform}","Platform":{{{parts}}}}}')
    if len(results) == 1:
        (only,) = results
        metadata = {"containerimage.config": metadata["containerimage.config/" + only]}
        result = field(1, results[only])
    else:
        metadata["refs.platforms"] = f'{{"Platforms":[{",".join(listed)}]}}'
        result = field(2, mapped(1, results))
    call("Return", field(1, result + mapped(10, metadata)))


if __name__ == "__main__":
    try:
        main()
    except SystemExit as refusal:  # for the user: google.rpc.Status, INVALID_ARGUMENT
        call("Return", field(2, field(1, 3) + field(2, str(refusal))))
