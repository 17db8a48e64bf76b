#!/usr/bin/env python3
"""Clients nobody here wrote: swaks, Postfix's smtp-source, openssl s_client, python3's smtplib. And many idle sessions."""
import os
import re
import shutil
import smtplib
import socket
import ssl
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import (PATIENCE, SANITIZED, Failure, Server, Suite, check, client_context, message_text,  # noqa: E402
                     raise_descriptor_limit)

suite = Suite("clients")
suite.shared("mx", lambda: Server({"limits": {"message_octets_max": 40_000_000}}, listeners=("mx", "lmtp", "implicit")))
SMTP_SOURCE = shutil.which("smtp-source") or "/usr/sbin/smtp-source"


def run(command, stdin=b"", expect=0, seconds=120):
    done = subprocess.run(command, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds * PATIENCE, check=False)
    check(expect is None or done.returncode == expect, f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout.decode(errors='replace')[-2000:]}")
    return done.stdout.decode(errors="replace")


def swaks(listener, *options, expect=0):
    server = suite.server("mx")
    return run(["swaks", "--server", f"{server.address}:{server.ports[listener]}", "--helo", "client.example", "--from", "a@client.example",
                *options], expect=expect)


SWAKS = {
    "plain": ("mx", ()),
    "STARTTLS": ("mx", ("--tls",)),
    "TLS on connect": ("implicit", ("--tls-on-connect",)),
    "TLS 1.2": ("mx", ("--tls", "--tls-protocol", "tlsv1_2")),
    "attachment": ("mx", ("--attach", "@" + os.path.abspath(__file__))),
    "LMTP": ("lmtp", ("--protocol", "LMTP")),
    "pipelining": ("mx", ("--pipeline",)),
}


def swaks_case(label, listener, options):
    recipient = "swaks-" + re.sub(r"\W+", "-", label.lower()) + "@any.example"
    swaks(listener, "--to", recipient, *options)
    check(suite.server("mx").mailboxes().get(recipient) == 1, "not in its mailbox")


for label, (listener, options) in SWAKS.items():
    suite.cases.append((f"swaks: {label}", lambda label=label, listener=listener, options=options: swaks_case(label, listener, options)))


@suite.case("swaks: old TLS is refused")
def old_tls():
    swaks("mx", "--to", "bob@test.example", "--tls", "--tls-protocol", "tlsv1_1", expect=None)
    output = swaks("mx", "--to", "bob@test.example", "--tls", "--tls-protocol", "tlsv1_1", expect=None)
    check("250" not in output.split("STARTTLS")[-1] or "TLS startup failed" in output or "TLS negotiation failed" in output
          or "Protocol" in output, output[-800:])


@suite.case("swaks: relaying and unknown users are refused")
def refusals():
    check("550 5.7.1" in swaks("mx", "--to", "x@elsewhere.example", expect=24), "relaying")
    check("550 5.1.1" in swaks("mx", "--to", "x@test.example", expect=24), "unknown user")


# sessions, messages, octets
SOURCE_LOADS = ((1, 20, 1024), (20, 400, 4096), (100, 1000, 1024), (10, 40, 1 << 20), (2, 4, 20 << 20))


def source_case(sessions, messages, octets, keep):
    server = suite.server("mx")
    recipient = f"source-{sessions}-{octets}-{'keep' if keep else 'once'}@any.example"
    if SANITIZED:
        messages = max(sessions, messages // 10)
    run([SMTP_SOURCE, "-s", str(sessions), "-m", str(messages), "-l", str(octets), *(["-d"] if keep else []), "-f", "a@client.example",
         "-t", recipient, f"{server.address}:{server.ports['mx']}"])
    count = server.mailboxes().get(recipient, 0)
    check(count == messages, f"{count} of {messages} are in the mailbox")
    check(server.cli("mailbox", "show", recipient, "--json").returncode == 0, "the mailbox cannot be shown")


for sessions, messages, octets in SOURCE_LOADS:
    for keep in (False, True):
        suite.cases.append((f"smtp-source: {sessions} sessions, {messages} messages of {octets} octets{', kept' if keep else ''}",
                            lambda a=sessions, b=messages, c=octets, d=keep: source_case(a, b, c, d)))


@suite.case("openssl s_client")
def s_client():
    server = suite.server("mx")
    dialogue = (b"EHLO client.example\r\nMAIL FROM:<a@client.example>\r\nrcpt to:<openssl@any.example>\r\nDATA\r\n" + message_text("s_client") +
                b".\r\nQUIT\r\n")
    command = ["openssl", "s_client", "-starttls", "smtp", "-connect", f"{server.address}:{server.ports['mx']}", "-crlf", "-quiet", "-ign_eof"]
    output = run(command, dialogue.replace(b"\r\n", b"\n"), expect=None)
    check("(id " in output, output[-1500:])
    check(server.mailboxes().get("openssl@any.example") == 1, "not in its mailbox")


@suite.case("smtplib: many recipients, UTF-8, 8-bit, STARTTLS with a context")
def smtp_library():
    server = suite.server("mx")
    with smtplib.SMTP(server.address, server.ports["mx"], local_hostname="client.example", timeout=20) as client:
        client.starttls(context=client_context())
        client.ehlo()
        refused = client.sendmail("a@client.example", [f"lib-{number}@any.example" for number in range(50)] + ["nobody@test.example"],
                                  message_text("fifty", "Grüße\r\n".encode()), mail_options=["BODY=8BITMIME"])
        check(list(refused) == ["nobody@test.example"], f"refused: {refused}")
        client.sendmail("ü@client.example", ["ö@any.example"], message_text("UTF-8"), mail_options=["SMTPUTF8"])
    boxes = server.mailboxes()
    check(all(boxes.get(f"lib-{number}@any.example") == 1 for number in range(50)), "not everybody has it")
    check(boxes.get("ö@any.example") == 1, "the UTF-8 address has nothing")


def resident(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1)) * 1024


@suite.case("10,000 idle sessions on one core")
def idle_sessions():
    wanted = 1000 if SANITIZED else 10_000
    bound = raise_descriptor_limit()
    if bound < wanted + 200:
        print(f"        (only {bound} descriptors may be open here: {bound - 200} sessions)")
        wanted = bound - 200
    server = Server({"cores": 1, "limits": {"connections_max": 20_000, "unlimited_from": ["127.0.0.0/8"]}})
    sockets = []
    try:
        server.start()
        server.deliver("bob@test.example", message_text("warm"))
        before = resident(server.process.pid)
        for number in range(wanted):
            connection = socket.socket()
            connection.bind((f"127.0.{number // 20_000 + 1}.1", 0))
            connection.settimeout(20 * PATIENCE)
            connection.connect((server.address, server.ports["mx"]))
            sockets.append(connection)
            if number % 500 == 499:
                for fresh in sockets[-500:]:
                    check(fresh.recv(200).startswith(b"220 "), "no greeting")
                    fresh.sendall(b"EHLO client.example\r\n")
                for fresh in sockets[-500:]:
                    check(b"250 " in fresh.recv(1000), "no answer to EHLO")
        time.sleep(0.5)
        each = (resident(server.process.pid) - before) / wanted
        started = time.monotonic()
        with server.connect() as client:
            client.greeting()
            client.ehlo()
            took = time.monotonic() - started
            check(client.deliver("a@client.example", ["bob@test.example"], message_text("x")).code == 250, "not accepted")
        print(f"        {each / 1024:.1f} KiB resident each, EHLO answered after {took * 1000:.1f} ms")
        check(took < 0.5 * PATIENCE, f"EHLO took {took:.2f} s")
        if not SANITIZED:
            check(each <= 16 * 1024, f"{each / 1024:.1f} KiB for each idle session")
        started = time.monotonic()
        server.stop()
        check(time.monotonic() - started < 20 * PATIENCE, "the drain took too long")
    finally:
        for connection in sockets:
            connection.close()
        server.close()


if __name__ == "__main__":
    sys.exit(suite.run())
