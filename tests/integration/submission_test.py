#!/usr/bin/env python3
"""Submission from outside: AUTH by clients nobody here wrote (swaks, curl, python's smtplib) and by our own words, what must not
work, and where accepted mail goes."""
import base64
import hashlib
import hmac
import os
import shutil
import smtplib
import socket
import subprocess
import sys
import threading
import time

from harness import (HOSTNAME, PATIENCE, PROGRAM, Server, Suite, check, client_context, message_text, own_address,
                     wait_until)

suite = Suite("submission")
PASSWORD = "correct horse \u00fc"


class Sink:
    """A next hop that takes everything."""

    def __init__(self):
        self.address = own_address()
        self.socket = socket.socket()
        self.socket.bind((self.address, 0))
        self.socket.listen(16)
        self.port = self.socket.getsockname()[1]
        self.messages = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            connection, _ = self.socket.accept()
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection):
        file = connection.makefile("rwb")

        def say(text):
            file.write(text.encode() + b"\r\n")
            file.flush()
        say("220 sink")
        envelope = []
        for raw in file:
            line = raw.decode().strip()
            verb = line.split(" ")[0].upper()
            if verb in ("MAIL", "RCPT"):
                envelope.append(line)
            if verb == "DATA":
                say("354 go")
                data = b""
                while not data.endswith(b"\r\n.\r\n"):
                    data += file.readline()
                self.messages.append((envelope, data[:-3]))
                envelope = []
            if verb == "QUIT":
                say("221 bye")
                return
            say("250 ok")


SINK = Sink()


def make_server():
    server = Server({
        "submission": {"credentials": "credentials", "password_failures_max": 6, "recipients_per_hour_max": 8},
        "relay": {"to": [f"{SINK.address}:{SINK.port}"], "tls": "none"},
        "signing": [{"domain": "test.example", "selector": "s1", "key": "dkim.pem"}],
    }, listeners=("mx", "submission", "implicit"))
    server.tree["listener"][1]["service"] = "submission"
    server.tree["listener"][2]["service"] = "submissions"
    server.write_manifest()
    subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out",
                    os.path.join(server.folder, "dkim.pem")], check=True, stderr=subprocess.DEVNULL)
    for address in ("alice@test.example", "info@test.example"):
        passwd(server, address)
    return server


def passwd(server, address, *options, password=PASSWORD, expect=0):
    done = subprocess.run([PROGRAM, "account", "passwd", address, "--config", server.manifest, *options],
                          input=(password + "\n").encode(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, timeout=60)
    check(done.returncode == expect, f"account passwd: {done.returncode} {done.stderr.decode()}")


suite.shared("submission", make_server)


def fresh():
    """A server of one case's own: throttling remembers."""
    return make_server().start()


def plain(user, password):
    return base64.b64encode(f"\0{user}\0{password}".encode()).decode()


def secured(server, listener="submission"):
    client = server.connect(listener)
    if listener == "implicit":
        client.handshake()
        client.greeting()
    else:
        client.greeting()
        client.ehlo()
        client.starttls()
    return client


def logged_in(server, user="alice@test.example", listener="submission"):
    client = secured(server, listener)
    client.ehlo()
    client.command(f"AUTH PLAIN {plain(user, PASSWORD)}", 235)
    return client


@suite.case("what is offered, and when")
def offers():
    server = suite.server("submission")
    with server.connect("submission") as client:
        client.greeting()
        words = client.ehlo()
        check("AUTH" not in words and "STARTTLS" in words, f"in the clear: {words}")
        client.command("MAIL FROM:<alice@test.example>", 530)
        client.command(f"AUTH PLAIN {plain('alice@test.example', PASSWORD)}", 530, 538)
        client.starttls()
        words = client.ehlo()
        check(words.get("AUTH") == "PLAIN LOGIN SCRAM-SHA-256", f"under TLS: {words}")
        client.command("MAIL FROM:<alice@test.example>", 530)
        client.command("AUTH CRAM-MD5", 504)
        client.command("AUTH PLAIN", 334)
        client.command("*", 501)
        client.command(f"AUTH PLAIN {plain('alice@test.example', 'wrong')}", 535)
        client.command(f"AUTH PLAIN {plain('nobody@test.example', PASSWORD)}", 535)
        client.command(f"AUTH PLAIN {plain('alice@test.example', PASSWORD)}", 235)
        check("AUTH" not in client.ehlo(), "not again")
    with server.connect("mx") as client:
        client.greeting()
        client.ehlo()
        client.starttls()
        check("AUTH" not in client.ehlo(), "not on the port for the world")
        client.command(f"AUTH PLAIN {plain('alice@test.example', PASSWORD)}", 502)


@suite.case("mail leaves: completed, without Bcc, signed, with the account's address only")
def leaves():
    server = suite.server("submission")
    before = len(SINK.messages)
    with logged_in(server) as client:
        client.command("MAIL FROM:<bob@test.example>", 553)
        client.command("MAIL FROM:<alice@elsewhere.example>", 553)
        reply = client.deliver("alice@test.example", ["bob@test.example", "friend@elsewhere.example"],
                               b"From: Alice <alice@test.example>\r\nBcc: secret@elsewhere.example,\r\n more@elsewhere.example\r\n"
                               b"Subject: hello\r\n\r\nText.\r\n")
        check(reply.code == 250, f"{reply}")
    wait_until(lambda: len(SINK.messages) > before, 20, "the message at the next hop")
    envelope, data = SINK.messages[-1]
    check(envelope[0].startswith("MAIL FROM:<alice@test.example>"), f"{envelope}")
    check([line for line in envelope[1:]] == ["RCPT TO:<friend@elsewhere.example>"], f"{envelope}")
    header = data.split(b"\r\n\r\n")[0].lower()
    for field in (b"\r\ndate: ", b"\r\nmessage-id: <", b"dkim-signature: ", b"received: "):
        check(field in b"\r\n" + header, f"{field} in {header}")
    check(b"bcc" not in header and b"secret@" not in data, f"Bcc: {header}")
    check(b"esmtpsa" in header, f"RFC 3848: {header}")
    try:
        import dkim
    except ImportError:
        dkim = None
    key = subprocess.run(["openssl", "pkey", "-in", os.path.join(server.folder, "dkim.pem"), "-pubout", "-outform", "DER"],
                         check=True, stdout=subprocess.PIPE).stdout
    if dkim:
        record = b"v=DKIM1; k=rsa; p=" + base64.b64encode(key)
        check(dkim.verify(data, dnsfunc=lambda name, timeout=5: record if name.startswith(b"s1._domainkey.test.example") else None),
              "dkimpy verifies the signature")
    wait_until(lambda: server.mailboxes().get("bob@test.example", 0) >= 1, 10, "bob's copy")


@suite.case("an alias's account may use each of its addresses")
def aliases():
    server = suite.server("submission")
    with logged_in(server, "sales@test.example") as client:
        for address in ("bob@test.example", "info@test.example", "Sales@TEST.example"):
            client.command(f"MAIL FROM:<{address}>", 250)
            client.command("RSET", 250)
        client.command("MAIL FROM:<>", 250)
        client.command("RSET", 250)
        client.command("MAIL FROM:<alice@test.example>", 553)


def scram(client, user, password, nonce="fyko+d2lbbFgONRv9qkxdawL"):
    """RFC 5802 by the client's side, with python's hashlib."""
    bare = f"n={user},r={nonce}"
    reply = client.command("AUTH SCRAM-SHA-256 " + base64.b64encode(("n,," + bare).encode()).decode(), 334)
    first = base64.b64decode(reply.text).decode()
    items = dict(item.split("=", 1) for item in first.split(","))
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(items["s"]), int(items["i"]))
    without = f"c=biws,r={items['r']}"
    text = f"{bare},{first},{without}".encode()

    def mac(key, data):
        return hmac.new(key, data, hashlib.sha256).digest()
    key = mac(salted, b"Client Key")
    proof = bytes(a ^ b for a, b in zip(key, mac(hashlib.sha256(key).digest(), text)))
    reply = client.command(base64.b64encode(f"{without},p={base64.b64encode(proof).decode()}".encode()).decode())
    if reply.code != 334:
        return reply
    wanted = "v=" + base64.b64encode(mac(mac(salted, b"Server Key"), text)).decode()
    check(base64.b64decode(reply.text).decode() == wanted, "the server proves itself")
    return client.command("")


@suite.case("SCRAM-SHA-256 by our own client; unknown users look like known ones")
def scram_ours():
    server = fresh()
    try:
        with secured(server) as client:
            client.ehlo()
            check(scram(client, "alice@test.example", "wrong").code == 535, "a wrong password")
            check(scram(client, "nobody@test.example", PASSWORD).code == 535, "nobody")
            check(scram(client, "alice@test.example", PASSWORD).code == 235, "the right one")
    finally:
        server.stop()
        server.close()


@suite.case("python's smtplib, STARTTLS and implicit TLS")
def python():
    server = suite.server("submission")
    passwd(server, "bob@test.example", password="plain ascii")
    server.cli("reload")
    for implicit in (False, True):
        port = server.ports["implicit" if implicit else "submission"]
        if implicit:
            client = smtplib.SMTP_SSL(server.address, port, context=client_context(), timeout=20 * PATIENCE)
        else:
            client = smtplib.SMTP(server.address, port, timeout=20 * PATIENCE)
            client.starttls(context=client_context())
        with client:
            client.login("bob@test.example", "plain ascii")
            check(client.sendmail("bob@test.example", ["alice@test.example"], message_text("smtplib")) == {}, "sent")


@suite.case("swaks and curl")
def programs():
    server = suite.server("submission")
    passwd(server, "bob@test.example", password="plain ascii")
    server.cli("reload")
    target = f"{server.address}:{server.ports['submission']}"
    if shutil.which("swaks"):
        for mechanism in ("PLAIN", "LOGIN"):
            done = subprocess.run(["swaks", "--server", target, "--tls", "--auth", mechanism, "--auth-user", "bob@test.example",
                                   "--auth-password", "plain ascii", "--from", "bob@test.example", "--to", "alice@test.example"],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=60 * PATIENCE)
            check(done.returncode == 0, f"swaks {mechanism}: {done.stdout.decode()[-1500:]}")
    if shutil.which("curl"):
        for mechanism in ("PLAIN", "LOGIN", "SCRAM-SHA-256"):
            file = os.path.join(server.folder, "mail.txt")
            with open(file, "wb") as out:
                out.write(message_text("curl"))
            done = subprocess.run(["curl", "-sv", "--insecure", "--ssl-reqd", f"smtp://{target}", "--mail-from", "bob@test.example",
                                   "--mail-rcpt", "alice@test.example", "--upload-file", file, "--user",
                                   "bob@test.example:plain ascii", "--login-options", f"AUTH={mechanism}"],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=60 * PATIENCE)
            said = done.stdout.decode(errors="replace")
            if mechanism.startswith("SCRAM") and "AUTH SCRAM" not in said:
                print("        this curl has no SCRAM")
                continue
            check(done.returncode == 0, f"curl {mechanism}: {said[-1500:]}")


RELAY_PROBES = [
    "victim@elsewhere.example", "victim%elsewhere.example@test.example", "elsewhere.example!victim@test.example",
    "\"victim@elsewhere.example\"@test.example", "\"victim%elsewhere.example\"@test.example", "@test.example:victim@elsewhere.example",
    "victim@elsewhere.example@test.example", "victim%elsewhere.example@any.example", "victim@[127.0.0.1]",
    "\"victim@elsewhere.example\"", "victim@elsewhere.example%test.example",
]


@suite.case("open relay: every known form is refused to strangers, on each port")
def relay_probes():
    server = suite.server("submission")
    before = len(SINK.messages)
    with server.connect("mx") as client:
        client.greeting()
        client.ehlo()
        for sender in ("spam@elsewhere.example", "alice@test.example", "", f"x@{HOSTNAME}"):
            client.command(f"MAIL FROM:<{sender}>", 250)
            for probe in RELAY_PROBES:
                reply = client.command(f"RCPT TO:<{probe}>")
                check(reply.code in (501, 550, 553), f"MAIL <{sender}> RCPT <{probe}>: {reply}")
            client.command("RSET", 250)
    with secured(server) as client:
        client.ehlo()
        client.command("MAIL FROM:<alice@test.example>", 530)
        client.command("RCPT TO:<victim@elsewhere.example>", 503)
    time.sleep(0.5)
    check(len(SINK.messages) == before, "nothing has left")


@suite.case("wrong passwords: the connection ends, then the network waits, and so does the account")
def throttled():
    server = fresh()
    try:
        with secured(server) as client:
            client.ehlo()
            for _ in range(3):
                client.command(f"AUTH PLAIN {plain('alice@test.example', 'wrong')}", 535)
            check(client.closed(), "three, and the connection ends")
        with secured(server) as client:
            client.ehlo()
            for _ in range(3):
                client.command(f"AUTH PLAIN {plain('alice@test.example', 'wrong')}", 535)
        with secured(server) as client:
            client.ehlo()
            client.command(f"AUTH PLAIN {plain('alice@test.example', PASSWORD)}", 454)
    finally:
        server.stop()
        server.close()


@suite.case("an account may write to so many in an hour")
def hourly():
    server = fresh()
    try:
        with logged_in(server) as client:
            client.command("MAIL FROM:<alice@test.example>", 250)
            for number in range(8):
                client.command(f"RCPT TO:<r{number}@elsewhere.example>", 250)
            check(client.command("RCPT TO:<r8@elsewhere.example>").code == 450, "one more")
    finally:
        server.stop()
        server.close()


@suite.case("account passwd: who has none, who is none, and what the file shows")
def command_line():
    server = make_server()
    try:
        path = os.path.join(server.folder, "credentials")
        text = open(path, encoding="utf-8").read()
        check(os.stat(path).st_mode & 0o777 == 0o600, "for its owner only")
        check(PASSWORD not in text and text.count("\n") == 2, text)
        check(text.startswith("alice@test.example scrypt:14:8:1:") and "\nbob@test.example scrypt:" in text, text)
        passwd(server, "alice@test.example", "--no-scram")
        check("SCRAM" not in [line for line in open(path, encoding="utf-8").read().splitlines() if line.startswith("alice")][0], "scrypt only")
        passwd(server, "alice@test.example", "--remove")
        check("alice" not in open(path, encoding="utf-8").read(), "removed")
        passwd(server, "stranger@test.example", expect=66)
        passwd(server, "bob@test.example", password="", expect=65)
    finally:
        server.close()


sys.exit(suite.run())
