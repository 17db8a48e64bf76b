#!/usr/bin/env python3
"""Who sent it, over the whole path: the real server asks a real name server (nsd) about clients that XCLIENT makes up, and what it
found stands in the stored message or in the refusal. Also with name servers that are dead, silent or broken."""
import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import PATIENCE, Server, Suite, check, free_port, message_text, own_address, wait_until  # noqa: E402

suite = Suite("authentication")
NSD = shutil.which("nsd") or "/usr/sbin/nsd"
SHARED = os.environ.get("POSTERN_SHARED", "")

ZONE = """$ORIGIN test.
$TTL 300
@ IN SOA ns.test. postmaster.test. 1 3600 600 86400 300
@ IN NS ns.test.
ns IN A 127.0.0.1
good IN TXT "v=spf1 ip4:192.0.2.10 -all"
_dmarc.good IN TXT "v=DMARC1; p=reject"
strict IN TXT "v=spf1 ip4:192.0.2.10 -all"
_dmarc.strict IN TXT "v=DMARC1; p=reject"
lenient IN TXT "v=spf1 -all"
_dmarc.lenient IN TXT "v=DMARC1; p=quarantine"
soft IN TXT "v=spf1 ~all"
host.good IN A 192.0.2.10
long IN TXT ( "v=spf1 %s" " ip4:192.0.2.10 -all" )
bl IN A 127.0.0.1
66.2.0.192.bl IN A 127.0.0.2
67.2.0.192.bl IN A 127.255.255.254
68.2.0.192.soft IN A 127.0.0.2
68.2.0.192.hard IN A 127.0.0.3
69.2.0.192.soft IN A 127.0.0.2
69.2.0.192.hard IN A 127.0.0.3
69.2.0.192.wl IN A 127.0.8.3
""" % " ".join("ip4:198.51.100.%d" % number for number in range(12))
REVERSE = """$ORIGIN 2.0.192.in-addr.arpa.
$TTL 300
@ IN SOA ns.test. postmaster.test. 1 3600 600 86400 300
@ IN NS ns.test.
10 IN PTR host.good.test.
11 IN PTR host.good.test.
"""


class NameServer:
    """nsd in the foreground, with the two zones and whatever the case adds."""

    def __init__(self, extra=(), more=""):
        self.folder = tempfile.mkdtemp(prefix="nsd-")
        self.address = own_address()
        self.port = free_port(self.address)
        zones = [("test", ZONE + more), ("2.0.192.in-addr.arpa", REVERSE), *extra]
        with open(os.path.join(self.folder, "nsd.conf"), "w", encoding="utf-8") as file:
            file.write(f'server:\n  ip-address: {self.address}@{self.port}\n  username: ""\n  chroot: ""\n  zonesdir: "{self.folder}"\n'
                       f'  pidfile: "{self.folder}/pid"\n  xfrdfile: "{self.folder}/xfrd"\n  zonelistfile: "{self.folder}/zones"\n'
                       f'  xfrdir: "{self.folder}"\n  database: ""\n  server-count: 1\n  rrl-ratelimit: 0\nremote-control:\n  control-enable: no\n')
            for name, text in zones:
                with open(os.path.join(self.folder, name + ".zone"), "w", encoding="utf-8") as zone:
                    zone.write(text)
                file.write(f'zone:\n  name: "{name}"\n  zonefile: "{name}.zone"\n')
        self.log = open(os.path.join(self.folder, "log"), "wb")
        self.process = subprocess.Popen([NSD, "-d", "-c", os.path.join(self.folder, "nsd.conf")], stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log)
        try:
            wait_until(self.answers, 15, "nsd answers")
        except Exception:
            with open(os.path.join(self.folder, "log"), "rb") as text:
                print(text.read().decode(errors="replace")[-1500:])
            self.close()
            raise

    def answers(self):
        query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x02bl\x04test\x00\x00\x01\x00\x01"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.settimeout(0.2)
            try:
                probe.sendto(query, (self.address, self.port))
                return probe.recv(512)[:2] == b"\x12\x34"
            except OSError:
                return False

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def gateway(resolver, **over):
    return Server({
        "dns": {"resolvers": [resolver], "timeout_ms": 1000},
        "blocklist": [{"zone": "bl.test", "kind": "ip", "answers": {"127.0.0.2": "listed"}, "score": 20.0},
                      {"zone": "soft.test", "kind": "ip", "answers": {"127.0.0.2": "suspicious"}, "score": 8.0},
                      {"zone": "hard.test", "kind": "ip", "answers": {"127.0.0.3": "seen in traps"}, "score": 8.0},
                      {"zone": "wl.test", "kind": "ip", "answers": {"127.0.*.3": "known"}, "score": -5.0}],
        **over,
    }, listeners=("xclient",))


def shared_servers():
    if "name server" not in suite.servers_of_this_run:
        extra = []
        keys = os.path.join(SHARED, "conformance/dkim/mailauth/rfc8463/dns.json")
        if os.path.exists(keys):
            import json
            with open(keys, encoding="utf-8") as file:
                records = json.load(file)
            lines = ["$ORIGIN football.example.com.", "$TTL 300", "@ IN SOA ns.test. postmaster.test. 1 3600 600 86400 300", "@ IN NS ns.test."]
            for name, types in records.items():
                for record in types.get("TXT", []):
                    lines.append(f"{name}. IN TXT " + " ".join(f'"{part}"' for part in record))
            extra.append(("football.example.com", "\n".join(lines) + "\n"))
        suite.servers_of_this_run["name server"] = NameServer(extra)
    return suite.servers_of_this_run["name server"]


suite.servers_of_this_run = {}
suite.shared("gateway", lambda: gateway(f"{shared_servers().address}:{shared_servers().port}"))


def deliver(server, client, sender, header_from, recipient, message=None):
    """The reply to the end of data, as if the client had that address."""
    if message is None:
        message = message_text("who").replace(b"From: Sender <sender@client.example>", f"From: <{header_from}>".encode())
    with server.connect("xclient") as connection:
        connection.greeting()
        connection.ehlo()
        connection.command(f"XCLIENT ADDR={client} NAME=[UNAVAILABLE]", 220)
        connection.ehlo("host.good.test")
        return connection.deliver(sender, [recipient], message)


def results(server, recipient):
    """The Authentication-Results field of the newest message there, unfolded."""
    stored = server.export(recipient)[-1].decode("utf-8", "replace")
    found = re.search(r"(?m)^Authentication-Results: ((?:.|\r\n[ \t])*)\r$", stored)
    check(found, f"no Authentication-Results in:\n{stored[:1500]}")
    return re.sub(r"\r\n[ \t]+", " ", found.group(1))


# client, sender, From, reply code and enhanced code, what the results hold, header fields
CASES = {
    "SPF and DMARC pass, reverse name confirmed": ("192.0.2.10", "a@good.test", "a@good.test", (250, None), ("spf=pass", "dmarc=pass", "iprev=pass")),
    "a record that comes over TCP or in pieces": ("192.0.2.10", "a@long.test", "a@long.test", (250, None), ("spf=pass",)),
    "SPF fails under p=reject": ("192.0.2.99", "a@strict.test", "a@strict.test", (550, "5.7.26"), ()),
    "somebody else's envelope under p=reject": ("192.0.2.10", "a@good.test", "boss@strict.test", (550, "5.7.26"), ()),
    "p=quarantine goes to Junk": ("192.0.2.99", "a@lenient.test", "a@lenient.test", (250, None), ("spf=fail", "dmarc=fail")),
    "soft fail is taken": ("192.0.2.99", "a@soft.test", "a@soft.test", (250, None), ("spf=softfail", "dmarc=none")),
    "no record at all": ("192.0.2.99", "a@nothing.test", "a@nothing.test", (250, None), ("spf=none", "dmarc=none")),
    "a reverse name that does not lead back": ("192.0.2.11", "a@soft.test", "a@soft.test", (250, None), ("iprev=fail",)),
    "the list's refusal is no listing": ("192.0.2.67", "a@soft.test", "a@soft.test", (250, None), ("spf=softfail",)),
}


def run_case(label, client, sender, header_from, reply, wanted):
    server = suite.server("gateway")
    recipient = re.sub(r"\W+", "-", label.lower()) + "@any.example"
    answer = deliver(server, client, sender, header_from, recipient)
    code, enhanced = reply
    check(answer.code == code and (enhanced is None or answer.enhanced == enhanced), f"expected {reply}, got {answer}")
    if code == 250:
        found = results(server, recipient)
        check(found.startswith("mx.test.example;"), found)
        for part in wanted:
            check(part in found, f"no {part} in: {found}")


for label, row in CASES.items():
    suite.cases.append((label, lambda label=label, row=row: run_case(label, *row)))


def to_recipients(server, client, sender, recipients):
    """The replies to RCPT, as if the client had that address."""
    with server.connect("xclient") as connection:
        connection.greeting()
        connection.ehlo()
        connection.command(f"XCLIENT ADDR={client} NAME=[UNAVAILABLE]", 220)
        connection.ehlo("host.good.test")
        connection.command(f"MAIL FROM:<{sender}>", 250)
        return [connection.command(f"RCPT TO:<{recipient}>") for recipient in recipients]


@suite.case("who is listed is refused at RCPT, by one list or by several together, and reaches the postmaster")
def listed():
    server = suite.server("gateway")
    for client, texts in (("192.0.2.66", ("192.0.2.66 is listed by bl.test (127.0.0.2: listed)",)),
                          ("192.0.2.68", ("listed by soft.test (127.0.0.2: suspicious)", "listed by hard.test (127.0.0.3: seen in traps)"))):
        refused, postmaster, again = to_recipients(server, client, "a@soft.test", ["a@any.example", "PostMaster@any.example", "b@any.example"])
        for reply in (refused, again):
            check(reply.code == 554 and reply.enhanced == "5.7.1" and reply.id, f"expected 554 5.7.1 with an id, got {reply}")
            for text in texts:
                check(text in reply.text, f"no {text!r} in {reply}")
        check(postmaster.code == 250, f"the postmaster: {postmaster}")
        answer = deliver(server, client, "a@soft.test", "a@soft.test", "postmaster@any.example")
        check(answer.code == 250, f"the postmaster's message: {answer}")


@suite.case("an allow list outweighs block lists")
def allowed():
    reply, = to_recipients(suite.server("gateway"), "192.0.2.69", "a@soft.test", ["a@any.example"])
    check(reply.code == 250, str(reply))


@suite.case("questions are asked before DATA")
def early():
    server = suite.server("gateway")
    with server.connect("xclient") as connection:
        connection.greeting()
        connection.ehlo()
        connection.command("XCLIENT ADDR=192.0.2.10 NAME=[UNAVAILABLE]", 220)
        connected = time.time() * 1000
        time.sleep(0.3)
        connection.ehlo("host.good.test")
        connection.command("MAIL FROM:<a@good.test>", 250)
        mailed = time.time() * 1000
        time.sleep(0.3)
        connection.command("RCPT TO:<early@any.example>", 250)
        connection.command("DATA", 354)
        said = time.time() * 1000
        connection.send(message_text("early").replace(b"From: Sender <sender@client.example>", b"From: <a@good.test>") + b".\r\n")
        identifier = connection.reply().id
    facts = {(fact["kind"], fact["name"]): fact["asked_at_ms"] for fact in server.json("explain", identifier)["facts"]}
    for name, moment in ((("dns_ptr", "10.2.0.192.in-addr.arpa"), connected), (("dns_a", "10.2.0.192.bl.test"), connected),
                         (("dns_a", "host.good.test"), connected), (("dns_txt", "good.test"), mailed)):
        check(name in facts, f"no fact {name} among {sorted(facts)}")
        check(facts[name] < moment + 150, f"{name} was asked {facts[name] - moment:.0f} ms after its moment")
    check(facts[("dns_txt", "_dmarc.good.test")] >= said - 50, "DMARC is asked with the message")


@suite.case("a forged field in our name goes, somebody else's stays")
def forged():
    server = suite.server("gateway")
    message = (b"Authentication-Results: mx.test.example; spf=pass smtp.mailfrom=bank.example\r\nAuthentication-Results: other.example; spf=pass\r\n" +
               message_text("forged"))
    check(deliver(server, "192.0.2.99", "a@soft.test", "a@soft.test", "forged@any.example", message).code == 250, "not accepted")
    stored = server.export("forged@any.example")[-1]
    check(b"bank.example" not in stored, "the forged field is still there")
    check(b"Authentication-Results: other.example; spf=pass\r\n" in stored, "somebody else's field is gone")


@suite.case("the signed example of RFC 8463 verifies over the network")
def signed():
    path = os.path.join(SHARED, "conformance/dkim/mailauth/rfc8463/signed.eml")
    if not os.path.exists(path):
        print("        (the example is not there: left out)")
        return
    server = suite.server("gateway")
    with open(path, "rb") as file:
        message = file.read().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    check(deliver(server, "192.0.2.99", "joe@football.example.com", "", "signed@any.example", message).code == 250, "not accepted")
    found = results(server, "signed@any.example")
    check(found.count("dkim=pass") == 2, f"not two passes: {found}")


@suite.case("a refusal can be explained by the id in its reply, and DMARC is counted; both survive a kill")
def refusals():
    server = gateway(f"{shared_servers().address}:{shared_servers().port}",
                     filter={"authentication": {"received_spf": True, "override": [{"domain": "lenient.test", "disposition": "accept", "reason": "known to be broken"}]}})
    try:
        server.start()
        refused = [deliver(server, "192.0.2.99", "a@strict.test", "a@strict.test", "refused@any.example") for _ in range(3)]
        check(all(reply.code == 550 and reply.id for reply in refused), f"{refused[0]}")
        check(deliver(server, "192.0.2.10", "a@good.test", "a@good.test", "good@any.example").code == 250, "not accepted")
        check(deliver(server, "192.0.2.99", "a@lenient.test", "a@lenient.test", "lenient@any.example").code == 250, "not accepted")
        check(b"\r\nReceived-SPF: pass identity=" in server.export("good@any.example")[0], "no Received-SPF")
        for killed in (False, True):
            record = server.json("explain", refused[0].id)
            check(record["action"] == "reject" and record["refusal"]["enhanced"] == "5.7.26", f"{record}"[:500])
            check(record["envelope"]["mail_from"] == "a@strict.test" and record["facts"], f"{record}"[:500])
            check("DMARC_FAIL_REJECT" in server.cli("explain", refused[1].id).stdout.decode(), "the prose lacks the finding")
            counters = {row["policy_domain"]: row for row in server.json("dmarc", "counters")}
            strict, good, lenient = counters["strict.test"], counters["good.test"], counters["lenient.test"]
            check(strict["count"] == 3 and strict["disposition"] == "reject" and strict["source_ip"] == "192.0.2.99" and
                  strict["auth_results"]["spf"]["result"] == "fail" and strict["policy_published"]["p"] == "reject", f"{strict}")
            check(good["count"] == 1 and good["disposition"] == "pass" and good["spf"] == "pass", f"{good}")
            check(lenient["disposition"] == "none" and lenient["reasons"] == [{"type": "local_policy", "comment": "known to be broken"}], f"{lenient}")
            check("strict.test" in server.cli("dmarc", "counters").stdout.decode(), "not in the table")
            check(server.json("dmarc", "counters", "--to", "2020-01-01") == [], "a day long over has counters")
            if not killed:
                server.kill()
        server.cli("verify")
        server.start()
        check(deliver(server, "192.0.2.99", "a@strict.test", "a@strict.test", "refused@any.example").code == 550, "not refused")
        wait_until(lambda: {row["policy_domain"]: row for row in server.json("dmarc", "counters")}["strict.test"]["count"] == 4, 10, "the fourth is counted")
        server.stop()
    finally:
        server.close()


@suite.case("a check that could not do its work: the policy decides by check")
def incomplete():
    for word, code in (("ignore", 250), ("tag", 250), ("defer", 451)):
        with contextlib.closing(gateway("127.0.0.1:1", filter={"incomplete": {"spf": word}}, blocklist=None)) as server:
            server.start()
            answer = deliver(server, "192.0.2.10", "a@good.test", "a@good.test", "incomplete@any.example")
            check(answer.code == code, f"{word}: {answer}")
            if word == "tag":
                check(b"X-Spam-Flag: YES" in server.export("incomplete@any.example")[-1], "not tagged")
            server.stop()


@suite.case("RFC 7372 codes at RCPT where the policy refuses by SPF or reverse name")
def refusals_at_rcpt():
    authentication = {"enabled": True, "spf_fail": "refuse", "no_reverse_name": "refuse"}
    with contextlib.closing(gateway(f"{shared_servers().address}:{shared_servers().port}", filter={"authentication": authentication})) as server:
        server.start()
        for client, sender, code, enhanced in (("192.0.2.99", "a@strict.test", 550, "5.7.23"), ("192.0.2.99", "a@soft.test", 550, "5.7.25"),
                                               ("192.0.2.10", "a@good.test", 250, None)):
            refused, postmaster = to_recipients(server, client, sender, ["a@any.example", "postmaster@any.example"])
            check(refused.code == code and (enhanced is None or refused.enhanced == enhanced), f"{client} {sender}: {refused}")
            check(postmaster.code == 250, f"the postmaster: {postmaster}")
        server.stop()


TROUBLE = ("nobody listens", "silence", "garbage")


def with_trouble(kind):
    """Mail is taken, in bounded time, and the results say that nothing could be found out."""
    address = own_address()
    sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sink.bind((address, 0))
    port = sink.getsockname()[1]
    stop = threading.Event()

    def babble():
        sink.settimeout(0.2)
        while not stop.is_set():
            try:
                _, peer = sink.recvfrom(2048)
                sink.sendto(os.urandom(40), peer)
            except OSError:
                pass
    if kind == "nobody listens":
        sink.close()
    thread = threading.Thread(target=babble, daemon=True) if kind == "garbage" else None
    if thread:
        thread.start()
    server = gateway(f"{address}:{port}", blocklist=None)
    try:
        server.start()
        started = time.monotonic()
        answer = deliver(server, "192.0.2.10", "a@good.test", "a@good.test", "trouble@any.example")
        took = time.monotonic() - started
        check(answer.code in (250, 451), f"trouble of ours became {answer}")
        check(took < 6 * PATIENCE, f"{took:.1f} s")
        if answer.code == 250:
            check("temperror" in results(server, "trouble@any.example"), "the results do not say so")
        server.stop()
    finally:
        stop.set()
        if thread:
            thread.join()
        sink.close()
        server.close()


for kind in TROUBLE:
    suite.cases.append((f"name server: {kind}", lambda kind=kind: with_trouble(kind)))

if __name__ == "__main__":
    if not os.path.exists(NSD):
        print("nsd is not installed: skipped")
        sys.exit(77)
    try:
        code = suite.run()
    finally:
        for name_server in suite.servers_of_this_run.values():
            name_server.close()
    sys.exit(code)
