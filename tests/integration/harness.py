"""What the suites of this folder share: a server with a manifest of its own on an address of its own, a client that says
exactly the octets it is told to, the mailboxes as the command line shows them, and a runner for named cases.

Nothing here knows the program's inside: it relies on the command line, the manifest's keys, the log's event `ready`, the
signals and the wire. Python's standard library only.
"""
import json
import os
import random
import re
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import traceback

SOURCE = os.environ.get("POSTERN_SOURCE") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("POSTERN_BUILD") or os.path.join(SOURCE, "build")
PROGRAM = os.environ.get("POSTERN_PROGRAM") or os.path.join(BUILD, "postern")
SANITIZED = bool(os.environ.get("POSTERN_SANITIZED"))
PATIENCE = 4.0 if SANITIZED else 1.0  # instrumented builds are slower; waits, never results, depend on it
HOSTNAME = "mx.test.example"


class Failure(Exception):
    """The program did not do what the case expects."""


def check(condition, sentence):
    if not condition:
        raise Failure(sentence)


def wait_until(predicate, seconds, what):
    """Asks until the answer is true; the answer is returned."""
    deadline = time.monotonic() + seconds * PATIENCE
    while True:
        answer = predicate()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise Failure(f"not within {seconds * PATIENCE:.0f} s: {what}")
        time.sleep(0.02)


def raise_descriptor_limit():
    """As many descriptors as we may have; the server inherits the bound."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65536
    if os.geteuid() == 0 and hard != resource.RLIM_INFINITY and hard < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
            return wanted
        except (ValueError, OSError):
            pass  # a container may forbid it even to root
    bound = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    resource.setrlimit(resource.RLIMIT_NOFILE, (bound, hard))
    return bound


# ---- the manifest -------------------------------------------------------------------------------------------------------------


def toml_value(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)  # JSON's escapes are TOML's
    if isinstance(value, list):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    return "{ " + ", ".join(f"{json.dumps(key)} = {toml_value(item)}" for key, item in value.items()) + " }"


def toml_key(key):
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key, ensure_ascii=False)


def toml(tree):
    """The keys of the top first, then tables and arrays of tables; a table inside a table one level down."""
    lines = [f"{key} = {toml_value(value)}" for key, value in tree.items() if not is_section(value)]

    def table(name, content, repeated):
        lines.append("")
        lines.append(f"[[{name}]]" if repeated else f"[{name}]")
        lines.extend(f"{toml_key(key)} = {toml_value(value)}" for key, value in content.items() if not is_section(value))
        for key, value in content.items():
            if is_section(value):
                section(f"{name}.{key}", value)

    def section(name, value):
        if isinstance(value, list):
            for content in value:
                table(name, content, True)
        else:
            table(name, value, False)

    for key, value in tree.items():
        if is_section(value):
            section(key, value)
    return "\n".join(lines) + "\n"


def is_section(value):
    return isinstance(value, dict) or (isinstance(value, list) and bool(value) and isinstance(value[0], dict))


def merged(base, over):
    """`over` on top of `base`: tables are merged, everything else is replaced; None removes a key."""
    out = dict(base)
    for key, value in over.items():
        if value is None:
            out.pop(key, None)
        elif isinstance(value, dict) and isinstance(out.get(key), dict):
            out[key] = merged(out[key], value)
        else:
            out[key] = value
    return out


def own_address():
    """A loopback address nobody else uses, so that a port picked on it stays free until the server binds it: outgoing
    connections of other programs start at 127.0.0.1."""
    return f"127.{random.randint(64, 250)}.{random.randint(1, 250)}.{random.randint(2, 250)}"


def free_port(address):
    with socket.socket() as probe:
        probe.bind((address, 0))
        return probe.getsockname()[1]


def make_certificate(folder, stem, names):
    """A self-signed certificate for the names; returns the two paths."""
    certificate, key = os.path.join(folder, stem + ".pem"), os.path.join(folder, stem + ".key")
    alternatives = ",".join("DNS:" + name for name in names)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "30", "-subj", "/CN=" + names[0], "-addext", "subjectAltName=" + alternatives,
                    "-keyout", key, "-out", certificate], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return certificate, key


# ---- the server ---------------------------------------------------------------------------------------------------------------


class Server:
    """One `postern serve` with a folder of its own. The folder goes with close()."""

    def __init__(self, over=None, listeners=("mx",), folder=None, wrapper=()):
        self.own_folder = folder is None
        self.folder = folder or tempfile.mkdtemp(prefix="postern-")
        self.address = own_address()
        self.wrapper = list(wrapper)
        self.ports = {}
        self.metrics_port = free_port(self.address)
        self.process = None
        self.reader = None
        self.events = []
        self.stray = []  # lines on standard error that are no JSON: a sanitizer's report, a failed check
        self.changed = threading.Condition()
        self.tree = merged(self._defaults(listeners), over or {})
        self.manifest = os.path.join(self.folder, "postern.toml")
        self.write_manifest()

    def _defaults(self, listeners):
        entries = []
        for name in listeners:
            entry = {"address": "", "service": "lmtp" if name.startswith("lmtp") else "mx"}
            if name == "lmtp_unix":
                self.ports[name] = os.path.join(self.folder, "lmtp.sock")
                entry["address"] = "unix:" + self.ports[name]
            else:
                self.ports[name] = free_port(self.address)
                entry["address"] = f"{self.address}:{self.ports[name]}"
            if name == "proxy":
                entry["proxy_protocol_from"] = ["127.0.0.0/8"]
            if name == "xclient":
                entry["xclient_from"] = ["127.0.0.0/8"]
            if name == "implicit":
                entry["implicit_tls"] = True
            entries.append(entry)
        return {
            "hostname": HOSTNAME,
            "cores": 1,
            "postmaster": "alice@test.example",
            "store": {"path": "store", "free_octets_min": 1 << 20, "memtable_octets": 4 << 20, "block_cache_octets": 4 << 20},
            "control": {"socket": os.path.join(self.folder, "control.sock")},
            "metrics": {"listen": f"{self.address}:{self.metrics_port}"},
            "listener": entries,
            "domain": [
                {"name": "test.example"},
                {"name": "any.example", "recipients": "any"},
                {"name": "catch.example", "catch_all": "alice@test.example"},
            ],
            "account": [
                {"address": "alice@test.example"},
                {"address": "bob@test.example", "aliases": ["info@test.example", "sales@test.example"]},
                {"address": "small@test.example", "quota_octets": 6000},
            ],
        }

    def write_manifest(self):
        """Replaces the file in one step, as an editor would."""
        with open(self.manifest + ".new", "w", encoding="utf-8") as file:
            file.write(toml(self.tree))
        os.rename(self.manifest + ".new", self.manifest)

    def spawn(self):
        """Starts the program without waiting for it."""
        environment = dict(os.environ)
        environment.setdefault("ASAN_OPTIONS", "detect_stack_use_after_return=1:abort_on_error=0")
        environment.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
        self.events, self.stray = [], []
        self.process = subprocess.Popen([*self.wrapper, PROGRAM, "serve", "--config", self.manifest], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment)
        self.reader = threading.Thread(target=self._read_log, args=(self.process.stderr,), daemon=True)
        self.reader.start()
        return self

    def start(self):
        self.spawn()
        try:
            self.wait_event("ready", 20)
        except Failure as failure:
            raise Failure(f"{failure}; {self.tail()}") from None
        return self

    def _read_log(self, pipe):
        for line in pipe:
            text = line.decode("utf-8", "replace").rstrip("\n")
            with self.changed:
                try:
                    event = json.loads(text)
                    (self.events if isinstance(event, dict) and "event" in event else self.stray).append(
                        event if isinstance(event, dict) and "event" in event else text)
                except ValueError:
                    self.stray.append(text)
                self.changed.notify_all()

    def wait_event(self, wanted, seconds, after=0):
        """The first event with that name, or that the function `wanted` likes, at or behind position `after` of the log."""
        likes = wanted if callable(wanted) else lambda event: event["event"] == wanted
        deadline = time.monotonic() + seconds * PATIENCE
        with self.changed:
            while True:
                for event in self.events[after:]:
                    if likes(event):
                        return event
                if self.process.poll() is not None and not self.reader.is_alive():
                    raise Failure(f"the server ended with {self.process.returncode} before event {wanted}")
                if time.monotonic() > deadline:
                    raise Failure(f"no event {wanted} within {seconds * PATIENCE:.0f} s")
                self.changed.wait(0.1)

    def tail(self, count=12):
        with self.changed:
            lines = [json.dumps(event) for event in self.events[-count:]] + self.stray[-40:]
        return "log:\n    " + "\n    ".join(lines)

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def wait(self, seconds=30):
        """The exit code."""
        try:
            code = self.process.wait(seconds * PATIENCE)
        except subprocess.TimeoutExpired:
            raise Failure(f"the server did not end; {self.tail()}") from None
        self.reader.join(5)
        return code

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self, seconds=60):
        """An orderly end: SIGTERM, exit code 0, and nothing on standard error but the log."""
        if self.process is None:
            return
        if self.alive():
            self.signal(signal.SIGTERM)
        code = self.wait(seconds)
        self.process = None
        check(code == 0, f"exit code {code} after SIGTERM; {self.tail()}")
        check(not self.stray, f"lines that are no log: {self.tail()}")

    def kill(self):
        if self.process is None:
            return
        self.process.kill()
        self.process.wait()
        self.reader.join(5)
        self.process = None

    def close(self):
        self.kill()
        if self.own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    # -- what the command line says --

    def cli(self, *arguments, expect=0, config=True):
        command = [PROGRAM, *arguments]
        if config:
            command += ["--config", self.manifest]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=120 * PATIENCE, check=False)
        if expect is not None:
            check(done.returncode == expect, f"{' '.join(arguments)}: exit code {done.returncode}, "
                  f"{done.stderr.decode('utf-8', 'replace')[-2000:]}")
        return done

    def json(self, *arguments):
        return json.loads(self.cli(*arguments, "--json").stdout)

    def mailboxes(self):
        """Messages by address."""
        listing = self.json("mailbox", "list")
        entries = listing["mailboxes"] if isinstance(listing, dict) else listing
        return {entry["address"]: entry["messages"] for entry in entries}

    def export(self, address):
        """Every message of a mailbox, in all its folders, with CRLF: the Maildir has LF."""
        folder = tempfile.mkdtemp(prefix="export-", dir=self.folder)
        try:
            self.cli("mailbox", "export", address, os.path.join(folder, "maildir"))
            messages = []
            for place, _, names in sorted(os.walk(os.path.join(folder, "maildir"))):
                if os.path.basename(place) in ("new", "cur"):
                    for name in sorted(names):
                        with open(os.path.join(place, name), "rb") as file:
                            messages.append(re.sub(rb"(?<!\r)\n", b"\r\n", file.read()))
            return messages
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def connect(self, listener="mx", **keywords):
        return Client(self, listener, **keywords)

    def deliver(self, recipient, message, sender="sender@client.example", **keywords):
        """One message in a session of its own; returns the reply to the end of data."""
        with self.connect(**keywords) as client:
            client.greeting()
            client.ehlo()
            return client.deliver(sender, [recipient], message)


# ---- the client ---------------------------------------------------------------------------------------------------------------


class Reply:
    def __init__(self, code, lines):
        self.code, self.lines = code, lines
        found = re.match(r"([245]\.\d{1,3}\.\d{1,3})(?: |$)", lines[-1])
        self.enhanced = found.group(1) if found else ""
        self.text = "\n".join(lines)

    def __str__(self):
        return f"{self.code} {self.text}"

    @property
    def id(self):
        """The id in "(id ID)" at the end of the reply to accepted data."""
        found = re.search(r"\(id ([^\s()]+)\)$", self.lines[-1])
        return found.group(1) if found else None


class Client:
    """Says what it is told, octet for octet, and keeps a transcript for the failure's message."""

    def __init__(self, server, listener="mx", source=None, seconds=15):
        self.transcript = []
        self.buffer = b""
        target = server.ports[listener]
        if isinstance(target, str):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(seconds * PATIENCE)
            self.socket.connect(target)
        else:
            self.socket = socket.socket()
            self.socket.settimeout(seconds * PATIENCE)
            if source:
                self.socket.bind((source, 0))
            self.socket.connect((server.address, target))
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        try:
            self.socket.close()
        except OSError:
            pass

    def note(self, mark, octets):
        shown = octets if len(octets) <= 300 else octets[:200] + b" ... %d octets ... " % (len(octets) - 260) + octets[-60:]
        self.transcript.append(f"{mark} {shown!r}")

    def send(self, octets):
        self.note("C:", octets)
        self.socket.sendall(octets)

    def line(self, text):
        self.send((text.encode("utf-8") if isinstance(text, str) else text) + b"\r\n")

    def _fill(self):
        try:
            more = self.socket.recv(65536)
        except socket.timeout:
            raise Failure("no answer within the time") from None
        except (ConnectionError, ssl.SSLError, OSError):
            more = b""  # reset or a broken TLS record: closed, for our purpose
        self.buffer += more
        return bool(more)

    def reply(self):
        """The next reply, all its lines; fails when the connection ends or the line is no reply line."""
        lines = []
        while True:
            while b"\r\n" not in self.buffer:
                check(len(self.buffer) < 1 << 20, "a reply without end")
                if not self._fill():
                    raise Failure(f"the connection ended where a reply was due (got {self.buffer!r})")
            line, self.buffer = self.buffer.split(b"\r\n", 1)
            self.note("S:", line)
            found = re.fullmatch(rb"([2345]\d\d)([ -])(.*)", line, re.DOTALL)
            check(found, f"no reply line: {line!r}")
            check(len(line) <= 510, f"a reply line of {len(line) + 2} octets")  # RFC 5321 §4.5.3.1.5
            check(b"\n" not in line and b"\r" not in line, f"a bare line ending in a reply: {line!r}")
            lines.append((int(found.group(1)), found.group(3).decode("utf-8")))
            check(lines[0][0] == lines[-1][0], "the lines of a reply have different codes")
            if found.group(2) == b" ":
                return Reply(lines[0][0], [text for _, text in lines])

    def expect(self, *codes, what=""):
        reply = self.reply()
        check(reply.code in codes, f"{what or 'reply'}: expected {' or '.join(map(str, codes))}, got {reply}")
        return reply

    def command(self, text, *codes):
        self.line(text)
        return self.expect(*codes, what=str(text)) if codes else self.reply()

    def closed(self):
        """True when the server closes without another word."""
        if self.buffer:
            return False
        return not self._fill()

    def greeting(self):
        return self.expect(220, what="greeting")

    def ehlo(self, name="client.test.example", verb="EHLO"):
        """The keywords with their parameters."""
        reply = self.command(f"{verb} {name}", 250)
        return {(words := line.split(" ", 1))[0].upper(): words[1] if len(words) > 1 else "" for line in reply.lines[1:]}

    def deliver(self, sender, recipients, message, parameters=""):
        """MAIL, RCPT for each, DATA; the reply to the end of data."""
        self.command(f"MAIL FROM:<{sender}>{parameters}", 250)
        for recipient in recipients:
            self.command(f"RCPT TO:<{recipient}>", 250)
        self.command("DATA", 354)
        self.send(stuffed(message))
        return self.reply()

    def starttls(self, name=None, context=None):
        self.command("STARTTLS", 220)
        self.handshake(name, context)

    def handshake(self, name=None, context=None):
        context = context or client_context()
        try:
            self.socket = context.wrap_socket(self.socket, server_hostname=name)
        except (ssl.SSLError, OSError) as error:
            raise Failure(f"TLS: {error}") from None
        self.note("TLS", self.socket.version().encode())

    def quit(self):
        self.command("QUIT", 221)
        check(self.closed(), "the connection stayed open after QUIT")


def client_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def stuffed(message):
    """The message as DATA sends it: RFC 5321 §4.5.2, then the final dot."""
    if message.startswith(b"."):
        message = b"." + message
    message = message.replace(b"\r\n.", b"\r\n..")
    return message + (b"" if message.endswith(b"\r\n") or not message else b"\r\n") + b".\r\n"


OUR_FIELDS = re.compile(r"(?i)^(return-path|received|authentication-results|x-spam-[a-z]+|x-postern-[a-z]+)$")


def without_trace(stored, original):
    """What we put in front of `original`, or a failure when the stored message is not those fields and then the original."""
    check(stored.endswith(original), f"stored message differs: {len(stored)} octets, {stored[-200:]!r} against {original[-200:]!r}")
    front = stored[:len(stored) - len(original)]
    check(front.endswith(b"\r\n"), f"fields in front end with {front[-20:]!r}")
    for line in front.decode("utf-8").split("\r\n")[:-1]:
        if line[:1] not in (" ", "\t"):
            check(OUR_FIELDS.match(line.split(":", 1)[0]), f"a field that is not ours in front: {line!r}")
    return front


def message_text(subject, body=b"Hello.\r\n", extra=b""):
    return (b"From: Sender <sender@client.example>\r\nTo: you\r\nSubject: " + subject.encode("utf-8") +
            b"\r\nDate: Tue, 24 Nov 2026 12:00:00 +0000\r\nMessage-ID: <" + os.urandom(8).hex().encode() + b"@client.example>\r\n" +
            extra + b"\r\n" + body)


# ---- the runner ---------------------------------------------------------------------------------------------------------------


class Suite:
    """Named cases. Arguments of the program pick those whose name contains one of them."""

    def __init__(self, title):
        self.title = title
        self.cases = []
        self.servers = {}   # shared by cases, by name
        self.makers = {}

    def case(self, name):
        def add(function):
            self.cases.append((name, function))
            return function
        return add

    def shared(self, name, maker):
        """A server that cases share: made at first use by `maker()`, stopped at the end."""
        self.makers[name] = maker

    def server(self, name):
        if name not in self.servers:
            self.servers[name] = self.makers[name]()
            self.servers[name].start()
        return self.servers[name]

    def run(self):
        if not os.path.exists(PROGRAM):
            print(f"{PROGRAM} is not there: build first")
            return 1
        wanted = sys.argv[1:]
        failed, ran = [], 0
        for name, function in self.cases:
            if wanted and not any(word in name for word in wanted):
                continue
            ran += 1
            started = time.monotonic()
            try:
                function()
                self._check_servers()
                print(f"ok      {name}  ({(time.monotonic() - started) * 1000:.0f} ms)", flush=True)
            except Exception as problem:  # a case that breaks must not hide the rest
                failed.append(name)
                print(f"FAILED  {name}: {problem}", flush=True)
                if not isinstance(problem, Failure):
                    traceback.print_exc(file=sys.stdout)
        for name, server in list(self.servers.items()):
            try:
                server.stop()
            except Failure as problem:
                failed.append(f"the end of server {name}")
                print(f"FAILED  the end of server {name}: {problem}", flush=True)
            server.close()
        print(f"{self.title}: {ran} cases, {len(failed)} failed" + "".join(f"\n  {name}" for name in failed))
        return 1 if failed or ran == 0 else 0

    def _check_servers(self):
        for name, server in list(self.servers.items()):
            if not server.alive():
                tail = server.tail()
                code = server.process.returncode if server.process else None
                server.close()
                del self.servers[name]
                raise Failure(f"server {name} is gone, exit code {code}; {tail}")
