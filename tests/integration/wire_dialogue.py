#!/usr/bin/env python3
"""The wire as a stranger sees it: the dialogues of dialogues/*.txt, and what text cannot say."""
import base64
import glob
import os
import random
import re
import socket
import ssl
import struct
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import dialogue  # noqa: E402
import servers  # noqa: E402
from harness import (HOSTNAME, PATIENCE, SANITIZED, Failure, Server, Suite, check, client_context, make_certificate,  # noqa: E402
                     message_text, stuffed, wait_until, without_trace)

suite = Suite("wire dialogue")
servers.add_to(suite)
expected_counts = {}  # server → address → messages; asked once, at the end

# ---- the dialogues ------------------------------------------------------------------------------------------------------------


def add_dialogue(case):
    def run():
        server, listener = servers.find(suite, case.server)
        with server.connect(listener, source=case.source) as client:
            try:
                dialogue.perform(case, client)
            except Failure as failure:
                raise Failure(f"{failure}\n    " + "\n    ".join(client.transcript[-14:])) from None
        for address, count in case.counts:
            expected_counts.setdefault(server, {})[address] = count
    suite.cases.append((case.name, run))


for path in sorted(glob.glob(os.path.join(os.path.dirname(os.path.abspath(__file__)), "dialogues", "*.txt"))):
    for entry in dialogue.parse(path):
        add_dialogue(entry)

# ---- the end of data: RFC 5321 §4.1.1.4 and §2.3.8 -----------------------------------------------------------------------------

# What might pass for the end of data somewhere, and does not here. True: a message with it holds no bare CR or LF.
FALSE_ENDS = {
    "LF . LF": (b"\n.\n", False),
    "LF . CRLF": (b"\n.\r\n", False),
    "CR . CR": (b"\r.\r", False),
    "CR . CRLF": (b"\r.\r\n", False),
    "CRLF . LF": (b"\r\n.\n", False),
    "CRLF . CR": (b"\r\n.\rx", False),
    "LF . CR": (b"\n.\r", False),
    "LF CR . CRLF": (b"\n\r.\r\n", False),
    "CR CRLF . CRLF": (b"\r\r\n.\rx\r\n", False),
    "CRLF . CR CRLF": (b"\r\n.\r\r\n", False),
    "CRLF NUL . CRLF": (b"\r\n\0.\r\n", True),
    "CRLF . NUL CRLF": (b"\r\n.\0\r\n", True),
    "CRLF .. CRLF": (b"\r\n..\r\n", True),
    "CRLF SP . CRLF": (b"\r\n .\r\n", True),
    "CRLF . SP CRLF": (b"\r\n. \r\n", True),
    "CRLF .SYN CRLF": (b"\r\n.\x16\r\n", True),
    "U+0085 . U+0085": (b"\xc2\x85.\xc2\x85", True),
    "U+2028 . U+2028": (b"\xe2\x80\xa8.\xe2\x80\xa8", True),
    "FF . FF": (b"\x0c.\x0c", True),
    "VT . VT": (b"\x0b.\x0b", True),
}


def smuggle(server_name, label, false_end, accepted):
    server = suite.server(server_name)
    # Labels that differ only in their signs must not share a mailbox.
    tag = re.sub(r"[^a-z0-9]+", "-", label.lower().replace(".", "dot")).strip("-")
    outer, inner = f"outer-{tag}@any.example", f"inner-{tag}@any.example"
    payload = (b"Subject: outer\r\n\r\nouter" + false_end + b"MAIL FROM:<evil@client.example>\r\nRCPT TO:<" + inner.encode() +
               b">\r\nDATA\r\nSubject: inner\r\n\r\ninner\r\n.\r\n")
    with server.connect() as client:
        client.greeting()
        client.ehlo()
        client.command("MAIL FROM:<a@client.example>", 250)
        client.command(f"RCPT TO:<{outer}>", 250)
        client.command("DATA", 354)
        client.send(payload + b"NOOP\r\n")
        reply = client.reply()
        if accepted:
            check(reply.code == 250, f"a message with {label} was refused: {reply}")
        else:
            check(reply.code == 550 and reply.enhanced == "5.6.11", f"a bare line ending got {reply}")
        client.expect(250, what="NOOP behind the message")
        client.quit()
    expected_counts.setdefault(server, {})[outer] = 1 if accepted else 0
    expected_counts[server][inner] = 0


for label, (false_end, clean) in FALSE_ENDS.items():
    suite.cases.append((f"smuggling: {label}", lambda label=label, end=false_end, clean=clean: smuggle("mx", label, end, clean)))
    if not clean:
        suite.cases.append((f"smuggling, normalized: {label}",
                            lambda label=label, end=false_end: smuggle("normalize", label, end, True)))


@suite.case("bare line endings are normalized for an exempt network only")
def exempt_network():
    server = suite.server("exempt")
    for source, code in (("127.0.0.9", 250), ("127.0.0.10", 550)):
        with server.connect(source=source) as client:
            client.greeting()
            client.ehlo()
            client.command("MAIL FROM:<printer@client.example>", 250)
            client.command("RCPT TO:<printer@any.example>", 250)
            client.command("DATA", 354)
            client.send(b"Subject: scan\n\nline\nline\r\n.\r\n")
            client.expect(code, what=f"bare LF from {source}")
            client.quit()
    stored = server.export("printer@any.example")
    check(len(stored) == 1, f"{len(stored)} messages")
    without_trace(stored[0], b"Subject: scan\r\n\r\nline\r\nline\r\n")


@suite.case("a whole session one octet at a time")
def one_octet_at_a_time():
    server = suite.server("mx")
    message = message_text("octets", b"..two\r\n.\r\n.one\r\nend\r\n")
    wire = (b"EHLO client.test.example\r\nMAIL FROM:<a@client.example>\r\nRCPT TO:<octets@any.example>\r\nDATA\r\n" +
            stuffed(message) + b"QUIT\r\n")
    with server.connect() as client:
        for position in range(len(wire)):
            client.socket.sendall(wire[position:position + 1])
        for code in (220, 250, 250, 250, 354, 250, 221):
            client.expect(code)
    without_trace(server.export("octets@any.example")[0], message)


@suite.case("the same session cut at random places")
def random_cuts():
    server = suite.server("mx")
    seed = random.randrange(1 << 32)
    print(f"        seed {seed}")
    chance = random.Random(seed)
    message = message_text("cuts", b"\r\n".join(b"." * chance.randrange(5) + b"x" * chance.randrange(80) for _ in range(200)) + b"\r\n")
    wire = (b"EHLO client.test.example\r\nMAIL FROM:<a@client.example>\r\nRCPT TO:<cuts@any.example>\r\nDATA\r\n" +
            stuffed(message) + b"MAIL FROM:<>\r\nRCPT TO:<cuts@any.example>\r\nBDAT %d LAST\r\n" % len(message) + message + b"QUIT\r\n")
    for _ in range(10):
        cuts = sorted(chance.sample(range(1, len(wire)), 12))
        with server.connect() as client:
            for start, end in zip([0, *cuts], [*cuts, len(wire)]):
                client.socket.sendall(wire[start:end])
                time.sleep(0.001)
            for code in (220, 250, 250, 250, 354, 250, 250, 250, 250, 221):
                client.expect(code)
    stored = server.export("cuts@any.example")
    check(len(stored) == 20, f"{len(stored)} messages of 20")
    for one in stored:
        without_trace(one, message)


@suite.case("a connection lost within the data stores nothing")
def lost_within_data():
    server = suite.server("mx")
    with server.connect() as client:
        client.greeting()
        client.ehlo()
        client.command("MAIL FROM:<a@client.example>", 250)
        client.command("RCPT TO:<lost@any.example>", 250)
        client.command("DATA", 354)
        client.send(b"Subject: lost\r\n\r\nno end\r\n.")
    expected_counts.setdefault(server, {})["lost@any.example"] = 0


@suite.case("long lines and a message of the largest size")
def largest_message():
    server = suite.server("mx")
    head = b"Subject: large\r\n\r\n"
    body = b"x" * 1_000_000 + b"\r\n" + b"y" * 998 + b"\r\n"
    body += (b"z" * 76 + b"\r\n") * ((26_214_400 - len(head) - len(body)) // 78)
    body += b"w" * (26_214_400 - len(head) - len(body) - 2) + b"\r\n"
    message = head + body
    check(len(message) == 26_214_400, "the test counts wrongly")
    with server.connect(seconds=60) as client:
        client.greeting()
        client.ehlo()
        check(client.deliver("a@client.example", ["largest@any.example"], message).code == 250, "refused at the limit")
        reply = client.deliver("a@client.example", ["larger@any.example"], message + b"\r\n")
        check(reply.code == 552 and reply.enhanced == "5.3.4", f"one line too many got {reply}")
        client.quit()
    without_trace(server.export("largest@any.example")[0], message)
    expected_counts.setdefault(server, {})["larger@any.example"] = 0


# ---- what is added to a message -------------------------------------------------------------------------------------------------


@suite.case("the trace fields")
def trace_fields():
    server = suite.server("mx")
    message = message_text("trace")
    with server.connect() as client:
        client.greeting()
        client.ehlo("trace.client.example")
        client.starttls()
        client.ehlo("trace.client.example")
        reply = client.deliver("sender@client.example", ["trace@any.example"], message)
        check(reply.code == 250 and reply.id, f"no id in {reply}")
        client.quit()
    front = without_trace(server.export("trace@any.example")[0], message).decode()
    unfolded = front.replace("\r\n\t", " ").replace("\r\n ", " ")
    check(unfolded.startswith("Return-Path: <sender@client.example>\r\n"), f"Return-Path is not first: {front}")
    received = [line for line in unfolded.split("\r\n") if line.startswith("Received: ")]
    check(len(received) == 1, f"{len(received)} Received fields")
    for part in ("from trace.client.example", "[127.0.0.1]", f"by {HOSTNAME}", "ESMTPS", "TLSv1.3", reply.id):
        check(part in received[0], f"{part!r} is not in {received[0]!r}")
    check(re.search(r"; (Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [+-]\d{4}", received[0]),
          f"no date in {received[0]!r}")


@suite.case("forged results with our name are taken out, others stay")
def forged_results():
    server = suite.server("mx")
    ours = f"Authentication-Results: {HOSTNAME}; spf=pass smtp.mailfrom=bank.example\r\n".encode()
    folded = f"Authentication-Results:\r\n {HOSTNAME} 1;\r\n dkim=pass header.d=bank.example\r\n".encode()
    foreign = b"Authentication-Results: other.example; spf=pass smtp.mailfrom=bank.example\r\n"
    server.deliver("forged@any.example", ours + foreign + folded + message_text("forged"))
    stored = server.export("forged@any.example")[0]
    check(b"bank.example" in stored and foreign in stored, "the results of another server are gone")
    for line in re.sub(rb"\r\n[ \t]+", b" ", stored.split(b"\r\n\r\n")[0]).split(b"\r\n"):
        if line.lower().startswith(b"authentication-results:") and HOSTNAME.encode() in line:
            check(b"bank.example" not in line, f"a forged result is still there: {line!r}")


@suite.case("a message in a loop")
def mail_loop():
    server = suite.server("mx")
    hop = b"Received: from a.example by b.example; Tue, 24 Nov 2026 12:00:00 +0000\r\n"
    check(server.deliver("loop@any.example", hop * 100 + message_text("loop")).code == 250, "a hundred hops were refused")
    reply = server.deliver("loop@any.example", hop * 101 + message_text("loop"))
    check(reply.code == 554 and reply.enhanced == "5.4.6", f"a hundred and one hops got {reply}")


# ---- TLS ------------------------------------------------------------------------------------------------------------------------


@suite.case("plaintext behind STARTTLS is never run")
def injected_plaintext():
    server = suite.server("mx")
    for injected in (b"RSET\r\n", b"EHLO evil.example\r\nMAIL FROM:<evil@client.example>\r\n", b"NOOP\r\n" * 1000, b"Q"):
        with server.connect() as client:
            client.greeting()
            client.ehlo()
            client.send(b"STARTTLS\r\n" + injected)
            reply = client.reply()
            if reply.code != 220:
                continue  # refused outright: just as safe
            try:
                client.handshake()
            except Failure:
                continue  # what was injected broke the handshake: so it was read as TLS, not as a command
            client.socket.settimeout(1.0 * PATIENCE)
            try:
                said = client.socket.recv(4096)
            except (TimeoutError, ssl.SSLError, OSError):
                said = b""
            check(said == b"", f"an injected command was answered inside TLS: {said!r}")
            client.socket.settimeout(10 * PATIENCE)
            client.command("MAIL FROM:<a@client.example>", 503)


@suite.case("certificates are chosen by name")
def server_name_indication():
    server = Server({"tls": {}})
    try:
        pairs = {name: make_certificate(server.folder, name.replace("*", "any"), [name])
                 for name in ("mx.test.example", "mail.other.example", "*.wild.example")}
        first, *others = pairs.values()
        server.tree["tls"] = {"certificate": first[0], "key": first[1],
                              "certificates": [{"certificate": pair[0], "key": pair[1]} for pair in others]}
        server.write_manifest()
        server.start()
        wanted = {"mx.test.example": "mx.test.example", "mail.other.example": "mail.other.example",
                  "MAIL.Other.Example": "mail.other.example", "a.wild.example": "*.wild.example",
                  "a.b.wild.example": "mx.test.example", "unknown.example": "mx.test.example", None: "mx.test.example"}
        for asked, expected in wanted.items():
            with server.connect() as client:
                client.greeting()
                client.ehlo()
                client.starttls(asked)
                given = client.socket.getpeercert(binary_form=True)
                with open(pairs[expected][0], encoding="ascii") as file:
                    check(given == ssl.PEM_cert_to_DER_cert(file.read()), f"asked for {asked}: not the certificate of {expected}")
                client.ehlo()
                client.quit()
        server.stop()
    finally:
        server.close()


@suite.case("TLS 1.2 and 1.3, nothing older")
def tls_versions():
    server = suite.server("mx")
    for version, good in ((ssl.TLSVersion.TLSv1_3, True), (ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_1, False)):
        context = client_context()
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = version
        with server.connect() as client:
            client.greeting()
            client.ehlo()
            client.command("STARTTLS", 220)
            try:
                client.handshake(context=context)
                worked = True
            except Failure:
                worked = False
            check(worked == good, f"{version.name} {'worked' if worked else 'failed'}")
            if worked:
                client.ehlo()
                client.quit()


@suite.case("a TLS session is resumed")
def tls_resumption():
    server = suite.server("mx")
    context = client_context()
    session = None
    for attempt in range(2):
        with server.connect() as client:
            client.greeting()
            client.ehlo()
            client.command("STARTTLS", 220)
            client.socket = context.wrap_socket(client.socket, session=session)
            client.ehlo()
            session = client.socket.session
            if attempt == 1:
                check(client.socket.session_reused, "the second handshake was a full one")
            client.quit()


@suite.case("handshakes that never end, and garbage instead of one")
def broken_handshakes():
    server = suite.server("mx")
    hello = bytes.fromhex("16030100050100000100")  # a ClientHello that promises more than it brings
    for garbage in (b"", hello, b"\0" * 500, b"\x16\x03\x01\xff\xff" + b"x" * 100, b"EHLO again\r\n", os.urandom(3000)):
        client = server.connect()
        client.greeting()
        client.ehlo()
        client.command("STARTTLS", 220)
        client.socket.sendall(garbage)
        client.close()
    check(server.deliver("after-garbage@any.example", message_text("still here")).code == 250, "the server suffered")


@suite.case("a TLS client on the plain port")
def client_hello_in_plain():
    server = suite.server("mx")
    with server.connect() as client:
        client.greeting()
        try:
            client.socket.sendall(bytes.fromhex("16030100c8010000c40303") + os.urandom(190))
            client.socket.sendall(b"\r\n")
        except ConnectionError:
            return  # hung up already: as good an end as any
        wait_until(lambda: client.closed() or client.buffer[:1] in (b"5", b"4") or client.buffer == b"", 5, "an end or a refusal")


@suite.case("a message over TLS in records of one octet")
def tiny_records():
    server = suite.server("mx")
    message = message_text("records")
    with server.connect() as client:
        client.greeting()
        client.ehlo()
        client.starttls()
        client.ehlo()
        wire = b"MAIL FROM:<a@client.example>\r\nRCPT TO:<records@any.example>\r\nDATA\r\n" + stuffed(message)
        for position in range(len(wire)):
            client.socket.send(wire[position:position + 1])
        for code in (250, 250, 354, 250):
            client.expect(code)
        client.quit()
    without_trace(server.export("records@any.example")[0], message)


# ---- PROXY and XCLIENT ------------------------------------------------------------------------------------------------------------


def proxy_v2(command, family, payload):
    return b"\r\n\r\n\0\r\nQUIT\n" + bytes([0x20 | command, family]) + struct.pack(">H", len(payload)) + payload


TCP4 = socket.inet_aton("192.0.2.5") + socket.inet_aton("192.0.2.6") + struct.pack(">HH", 1111, 25)
TCP6 = (socket.inet_pton(socket.AF_INET6, "2001:db8::5") + socket.inet_pton(socket.AF_INET6, "2001:db8::6") +
        struct.pack(">HH", 1111, 25))
TLV = b"\x02\x00\x04name"

PROXY_HEADERS = {
    "version 1, TCP4": (b"PROXY TCP4 192.0.2.5 192.0.2.6 1111 25\r\n", "192.0.2.5"),
    "version 1, TCP6": (b"PROXY TCP6 2001:db8::5 2001:db8::6 1111 25\r\n", "2001:db8::5"),
    "version 2, TCP4": (proxy_v2(1, 0x11, TCP4), "192.0.2.5"),
    "version 2, TCP6 with TLVs": (proxy_v2(1, 0x21, TCP6 + TLV), "2001:db8::5"),
    "version 2, LOCAL": (proxy_v2(0, 0x00, b""), "127.0.0.1"),
}


@suite.case("the client is who PROXY says")
def proxy_headers():
    server = suite.server("mx")
    for number, (label, (header, address)) in enumerate(PROXY_HEADERS.items()):
        for piecewise in (False, True):
            recipient = f"proxy-{number}-{int(piecewise)}@any.example"
            with server.connect("proxy") as client:
                if piecewise:
                    for position in range(len(header)):
                        client.socket.sendall(header[position:position + 1])
                else:
                    client.socket.sendall(header)
                client.greeting()
                client.ehlo()
                reply = client.deliver("a@client.example", [recipient], message_text("proxy"))
                check(reply.code == 250, f"{label}: {reply}")
                client.quit()
            stored = server.export(recipient)[0]
            check(address.encode() in stored.split(b"Subject:")[0], f"{label}: no {address} in {stored[:300]!r}")


@suite.case("PROXY headers that are wrong end the connection without a word")
def wrong_proxy_headers():
    server = suite.server("mx")
    wrong = {
        "another signature": b"\r\n\r\n\0\r\nQUIX\n" + bytes([0x21, 0x11]) + struct.pack(">H", 12) + TCP4,
        "version 3": b"\r\n\r\n\0\r\nQUIT\n" + bytes([0x31, 0x11]) + struct.pack(">H", 12) + TCP4,
        "a command nobody knows": proxy_v2(7, 0x11, TCP4),
        "an address block too short": proxy_v2(1, 0x11, TCP4[:8]),
        "a length beyond reason": b"\r\n\r\n\0\r\nQUIT\n" + bytes([0x21, 0x11]) + b"\xff\xff" + b"\0" * 5000,
        "TCP5": b"PROXY TCP5 192.0.2.5 192.0.2.6 1111 25\r\n",
        "port 99999": b"PROXY TCP4 192.0.2.5 192.0.2.6 99999 25\r\n",
        "LF alone": b"PROXY TCP4 192.0.2.5 192.0.2.6 1111 25\n" + b"x" * 120,
        "lower case": b"proxy tcp4 192.0.2.5 192.0.2.6 1111 25\r\n",
    }
    for label, header in wrong.items():
        with server.connect("proxy") as client:
            client.socket.sendall(header)
            check(client.closed(), f"{label}: the server said {client.buffer!r}")


@suite.case("vectors from outside for PROXY headers")
def proxy_vectors():
    shared = os.environ.get("POSTERN_SHARED", "")
    path = os.path.join(shared, "conformance", "smtp", "proxy-protocol", "aiosmtpd-vectors.json")
    if not shared or not os.path.exists(path):
        print("        POSTERN_SHARED names no such data: the built-in headers are all there is")
        return
    import json
    with open(path, encoding="utf-8") as file:
        data = json.load(file)
    vectors = data if isinstance(data, list) else data.get("cases") or data.get("vectors")
    server = suite.server("mx")
    wrong = []
    for vector in vectors:
        octets = base64.b64decode(vector["bytes_b64"])
        if vector.get("unread_tail_b64"):
            octets = octets[:len(octets) - len(base64.b64decode(vector["unread_tail_b64"]))]
        with server.connect("proxy") as client:
            client.socket.sendall(octets)
            if not vector["valid"]:
                client.socket.shutdown(socket.SHUT_WR)  # a truncated header never gets its rest
            try:
                client.greeting()
                greeted = True
            except Failure:
                greeted = False
            if greeted != vector["valid"]:
                wrong.append(vector.get("name") or vector.get("id") or vector["bytes_b64"])
    check(not wrong, f"{len(wrong)} of {len(vectors)} judged otherwise: {wrong}")


@suite.case("the client is who XCLIENT says")
def xclient():
    server = suite.server("mx")
    with server.connect("xclient") as client:
        client.greeting()
        client.ehlo()
        client.command("XCLIENT ADDR=192.0.2.77 NAME=spike.test.example HELO=spike.test.example PROTO=ESMTP", 220)
        client.ehlo("spike.test.example")
        client.deliver("a@client.example", ["xclient@any.example"], message_text("xclient"))
        client.quit()
    front = server.export("xclient@any.example")[0].split(b"Subject:")[0]
    check(b"192.0.2.77" in front and b"spike.test.example" in front, f"the trace does not say so: {front!r}")


# ---- bounds -----------------------------------------------------------------------------------------------------------------------


def replies_until_421(client, command, most):
    for count in range(most):
        try:
            client.line(command)
            reply = client.reply()
        except (Failure, OSError):
            raise Failure(f"closed without 421 after {count} commands") from None
        if reply.code == 421:
            check(client.closed(), "still open after 421")
            return count + 1
    raise Failure(f"no end after {most} times {command}")


@suite.case("mistakes are counted")
def errors_bound():
    with suite.server("strict").connect(source="127.0.3.1") as client:
        client.greeting()
        client.ehlo()
        count = replies_until_421(client, "FROB", 8)
        check(5 <= count <= 6, f"421 after {count} mistakes, the bound is 5")


@suite.case("idle commands are counted, and a message starts the count again")
def idle_bound():
    server = suite.server("strict")
    with server.connect(source="127.0.3.2") as client:
        client.greeting()
        client.ehlo()
        for _ in range(9):
            client.command("NOOP", 250)
        check(client.deliver("a@client.example", ["idle@any.example"], message_text("idle")).code == 250, "refused")
        for _ in range(9):
            client.command("NOOP", 250)
        count = replies_until_421(client, "NOOP", 8)
        check(count <= 5, f"421 after {count + 9}, the bound is 12")


@suite.case("clients that are exempt may go on")
def exempt_from_bounds():
    with suite.server("mx").connect() as client:
        client.greeting()
        client.ehlo()
        for _ in range(60):
            client.command("FROB", 500)
        client.command("NOOP", 250)
        client.quit()


@suite.case("connections of one address, and of all, are counted")
def connection_bounds():
    server = suite.server("strict")

    def greeted(source):
        client = server.connect(source=source)
        reply = client.reply()
        if reply.code != 220:
            check(reply.code == 421, f"refused with {reply}")
            check(client.closed(), "still open after 421")
            client.close()
            return None
        return client

    held = [greeted("127.0.4.1") for _ in range(4)]
    check(all(held), "four of four were not greeted")
    check(greeted("127.0.4.1") is None, "the fifth of one address was greeted")
    held += [greeted("127.0.4.2") for _ in range(4)]
    check(all(held), "another address suffered")
    check(greeted("127.0.4.3") is None, "the ninth of all was greeted")
    for client in held:
        client.quit()
        client.close()
    wait_until(lambda: (again := greeted("127.0.4.1")) and (again.close() or True), 5, "a connection after the others ended")


@suite.case("quota: a full mailbox is refused for now, the others get theirs")
def quota():
    server = suite.server("mx")
    for _ in range(2):
        server.deliver("small@test.example", message_text("filling", b"x" * 3000 + b"\r\n"))
    with server.connect() as client:
        client.greeting()
        client.ehlo()
        client.command("MAIL FROM:<a@client.example>", 250)
        reply = client.command("RCPT TO:<small@test.example>")
        check(reply.code == 452 and reply.enhanced == "4.2.2", f"a full mailbox got {reply}")
        client.command("RCPT TO:<bob@test.example>", 250)
        client.quit()


@suite.case("quota: refused for good where the manifest says so")
def quota_refuse():
    server = suite.server("private")
    with server.connect() as client:
        client.greeting()
        client.ehlo()
        client.starttls()
        client.ehlo()
        for _ in range(2):
            client.deliver("a@client.example", ["small@test.example"], message_text("filling", b"x" * 3000 + b"\r\n"))
        client.command("MAIL FROM:<a@client.example>", 250)
        reply = client.command("RCPT TO:<small@test.example>")
        check(reply.code == 552 and reply.enhanced == "5.2.2", f"a full mailbox got {reply}")
        client.quit()


@suite.case("endless lines cost no memory")
def endless_lines():
    server = suite.server("mx")
    resident = memory(server)
    clients = [server.connect() for _ in range(20)]
    for client in clients:
        client.greeting()
        try:
            for _ in range(32):
                client.socket.sendall(b"x" * 65536)
        except OSError:
            pass  # hung up on: fine
    grown = memory(server) - resident
    for client in clients:
        client.close()
    check(SANITIZED or grown < 16 << 20, f"{grown} octets more for 20 lines without end")


def memory(server):
    with open(f"/proc/{server.process.pid}/status", encoding="ascii") as file:
        return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1)) * 1024


@suite.case("a client that never reads does not hold up the others")
def deaf_client():
    server = suite.server("mx")
    deaf = server.connect()
    deaf.greeting()
    deaf.ehlo()
    deaf.socket.setblocking(False)
    try:
        for _ in range(2000):
            deaf.socket.send(b"HELP\r\n" * 500)
    except OSError:
        pass  # the buffers are full, or it was hung up on
    started = time.monotonic()
    check(server.deliver("beside-the-deaf@any.example", message_text("hello")).code == 250, "refused")
    check(time.monotonic() - started < 5 * PATIENCE, "held up")
    deaf.close()


@suite.case("random octets")
def random_octets():
    server = suite.server("mx")
    seed = random.randrange(1 << 32)
    print(f"        seed {seed}")
    chance = random.Random(seed)
    words = [b"EHLO a\r\n", b"MAIL FROM:<a@b.example>\r\n", b"RCPT TO:<junk@any.example>\r\n", b"DATA\r\n", b".\r\n", b"BDAT 5 LAST\r\n",
             b"BDAT 3\r\n", b"\r\n", b"\n", b"RSET\r\n", b"\0", b"<>", b"BDAT 99999999999999999999 LAST\r\n", b"LHLO x\r\n", b"QUIT"]
    for _ in range(40 if SANITIZED else 150):
        client = server.connect()
        try:
            for _ in range(chance.randrange(1, 40)):
                client.socket.sendall(chance.choice(words) if chance.random() < 0.8 else chance.randbytes(chance.randrange(1, 200)))
        except OSError:
            pass  # hung up on
        client.close()
    check(server.deliver("after-random@any.example", message_text("still here")).code == 250, "the server suffered")


@suite.case("every mailbox holds what its cases expect")
def counts():
    wrong = []
    for server, addresses in expected_counts.items():
        if not server.alive():
            continue
        found = server.mailboxes()
        wrong += [f"{address}: {found.get(address, 0)} messages, expected {count}" for address, count in addresses.items()
                  if found.get(address, 0) != count]
    check(not wrong, "; ".join(wrong))


sys.exit(suite.run())
