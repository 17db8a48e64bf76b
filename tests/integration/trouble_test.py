#!/usr/bin/env python3
"""What goes wrong at night: each trouble gives a clear sentence, the right exit code or a 4xx, and nothing is lost."""
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import (PATIENCE, SANITIZED, Failure, Server, Suite, check, make_certificate, message_text,  # noqa: E402
                     wait_until, without_trace)

suite = Suite("trouble")
EX_UNAVAILABLE, EX_TEMPFAIL, EX_CONFIG, EX_NOINPUT, EX_NOPERM, EX_IOERR, EX_CANTCREAT = 69, 75, 78, 66, 77, 74, 73


def refuses(server, codes, *words):
    """The program ends by itself with one of the codes, and says all the words on standard error."""
    server.spawn()
    code = server.wait(30)
    said = "\n".join([str(event) for event in server.events] + server.stray)
    check(code in codes, f"exit code {code}, expected {codes}; it said:\n{said}")
    for word in words:
        check(word in said, f"not a word of {word!r} in:\n{said}")
    check("Sanitizer" not in said, said)
    return said


@suite.case("a second server on the same store")
def second_server():
    first = Server()
    try:
        first.start()
        second = Server({"store": {"path": os.path.join(first.folder, "store")}})
        try:
            refuses(second, (EX_TEMPFAIL, EX_UNAVAILABLE), "store")
        finally:
            second.close()
        check(first.deliver("bob@test.example", message_text("still here")).code == 250, "the first server suffers")
        first.stop()
    finally:
        first.close()


@suite.case("a port in use")
def port_in_use():
    server = Server()
    try:
        with socket.socket() as other:
            other.bind((server.address, server.ports["mx"]))
            other.listen()
            refuses(server, (EX_UNAVAILABLE,), f"{server.address}:{server.ports['mx']}", "in use")
    finally:
        server.close()


@suite.case("a port that needs rights we lack")
def port_without_rights():
    if os.geteuid() != 0:
        return
    server = Server(wrapper=("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all"))
    try:
        os.chmod(server.folder, 0o777)
        server.tree["listener"][0]["address"] = f"{server.address}:25"
        server.write_manifest()
        os.chmod(server.manifest, 0o644)
        if int(open("/proc/sys/net/ipv4/ip_unprivileged_port_start", encoding="ascii").read()) <= 25:
            return
        refuses(server, (EX_NOPERM, EX_UNAVAILABLE), f"{server.address}:25", "ermission denied")
    finally:
        server.close()


@suite.case("a store folder that cannot be read")
def unreadable_store():
    server = Server()
    try:
        with open(os.path.join(server.folder, "store"), "w", encoding="ascii") as file:
            file.write("a file where a folder should be")
        refuses(server, (EX_IOERR, EX_CANTCREAT, EX_NOPERM), "store")
    finally:
        server.close()


@suite.case("a store written by a later version, or damaged")
def damaged_store():
    server = Server()
    try:
        server.start()
        server.stop()
        current = os.path.join(server.folder, "store", "CURRENT")
        with open(current, "w", encoding="ascii") as file:
            file.write("nonsense\n")
        refuses(server, (EX_IOERR,), "store")
    finally:
        server.close()


CERTIFICATES = {
    "certificate missing": (lambda folder: os.unlink(os.path.join(folder, "c.pem")), "c.pem"),
    "key missing": (lambda folder: os.unlink(os.path.join(folder, "c.key")), "c.key"),
    "certificate is no PEM": (lambda folder: open(os.path.join(folder, "c.pem"), "w").write("hello\n"), "c.pem"),
    "key of another certificate": (lambda folder: shutil.copy(make_certificate(folder, "d", ["d.example"])[1],
                                                              os.path.join(folder, "c.key")), "c.key"),
}


def bad_certificate(damage, word):
    server = Server()
    try:
        certificate, key = make_certificate(server.folder, "c", ["mx.test.example"])
        server.tree["tls"] = {"certificate": certificate, "key": key}
        server.write_manifest()
        damage(server.folder)
        refuses(server, (EX_CONFIG, EX_NOINPUT, EX_NOPERM), word)
    finally:
        server.close()


for name, (damage, word) in CERTIFICATES.items():
    suite.cases.append((f"a bad certificate: {name}", lambda damage=damage, word=word: bad_certificate(damage, word)))


@suite.case("a bad certificate at reload changes nothing")
def bad_certificate_at_reload():
    server = Server()
    try:
        server.start()
        server.tree["tls"] = {"certificate": "nowhere.pem", "key": "nowhere.key"}
        server.write_manifest()
        position = len(server.events)
        server.signal(signal.SIGHUP)
        event = server.wait_event(lambda event: event["level"] in ("error", "warning"), 10, after=position)
        check("nowhere.pem" in str(event), f"the file is not named: {event}")
        with server.connect() as client:
            client.greeting()
            client.ehlo()
            client.starttls()
            client.ehlo()
            check(client.deliver("a@client.example", ["bob@test.example"], message_text("tls")).code == 250, "not accepted")
        server.stop()
    finally:
        server.close()


TEN_MISTAKES = """hostname = "mx test"
cores = "two"
colour = "blue"
[store]
path = 7
[control]
socket = "control.sock"
[[listener]]
address = "127.0.0.1:99999"
[[listener]]
address = "127.0.0.1:2525"
service = "smtp"
[limits]
recipients_max = -1
unlimited_from = ["127.0.0.0/33"]
[[domain]]
name = "test..example"
[[account]]
address = "nobody"
[filter]
tag_score = "high"
"""


@suite.case("a manifest with ten mistakes: all of them, with file and line")
def ten_mistakes():
    server = Server()
    try:
        with open(server.manifest, "w", encoding="utf-8") as file:
            file.write(TEN_MISTAKES)
        done = server.cli("config", "check", server.manifest, expect=EX_CONFIG, config=False)
        lines = (done.stdout + done.stderr).decode().splitlines()
        found = [line for line in lines if re.match(re.escape(server.manifest) + r":\d+: \S+: .+", line)]
        check(len(found) >= 10, f"{len(found)} mistakes found:\n" + "\n".join(lines))
        for number in (1, 2, 3, 5, 9, 12, 14, 15, 17, 19, 21):
            check(any(line.startswith(f"{server.manifest}:{number}:") for line in found), f"nothing about line {number}:\n" + "\n".join(lines))
        refuses(server, (EX_CONFIG,), f"{server.manifest}:1:", f"{server.manifest}:21:")
    finally:
        server.close()


@suite.case("an invalid manifest at reload changes nothing, a valid one is taken, sessions live on")
def reload():
    server = Server()
    try:
        server.start()
        with server.connect() as old:
            old.greeting()
            old.ehlo()
            server.tree["limits"] = {"recipients_max": "many"}
            server.write_manifest()
            position = len(server.events)
            server.signal(signal.SIGHUP)
            event = server.wait_event(lambda event: event["level"] == "error", 10, after=position)
            check("recipients_max" in str(event), f"the key is not named: {event}")
            check(server.deliver("bob@test.example", message_text("a")).code == 250, "mail is refused")
            server.tree["limits"] = {"recipients_max": 1}
            server.tree["account"].append({"address": "new@test.example"})
            server.write_manifest()
            position = len(server.events)
            server.signal(signal.SIGHUP)
            server.wait_event("reloaded", 10, after=position)
            with server.connect() as client:
                client.greeting()
                client.ehlo()
                client.command("MAIL FROM:<a@client.example>", 250)
                client.command("RCPT TO:<new@test.example>", 250)
                client.command("RCPT TO:<bob@test.example>", 452)
                client.quit()
            check(old.deliver("a@client.example", ["bob@test.example", "alice@test.example"], message_text("b")).code == 250,
                  "the session that was there before suffers")
            old.quit()
        server.stop()
    finally:
        server.close()


@suite.case("a full disk: 452, nothing lost, and mail flows again when there is room")
def full_disk():
    if os.geteuid() != 0:
        return
    mount = None
    server = Server({"store": {"free_octets_min": 4 << 20, "memtable_octets": 1 << 20, "block_cache_octets": 1 << 20}})
    try:
        mount = os.path.join(server.folder, "disk")
        os.mkdir(mount)
        made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", mount], capture_output=True, check=False)
        if made.returncode != 0:
            mount = None
            print("        (no file system may be mounted here: left out)")
            return
        server.tree["store"]["path"] = os.path.join(mount, "store")
        server.write_manifest()
        server.start()
        promised = []
        refused = None
        for number in range(400):
            message = message_text(f"full {number}", os.urandom(150_000).hex().encode() and (os.urandom(38).hex().encode() + b"\r\n") * 3000)
            with server.connect() as client:
                client.greeting()
                client.ehlo()
                reply = client.command("MAIL FROM:<a@client.example>")
                if reply.code != 250:
                    refused = reply
                    break
                client.command("RCPT TO:<full@any.example>", 250)
                client.command("DATA", 354)
                client.send(message + b".\r\n")
                reply = client.reply()
                if reply.code == 250:
                    promised.append(message)
                else:
                    refused = reply
                    break
        check(refused is not None, "the disk never became full")
        check(refused.code in (452, 451) and refused.enhanced in ("4.3.1", "4.3.0"), f"a full disk is answered with {refused}")
        check(promised, "nothing was taken before")
        body = metrics(server, "/readyz", expect=None)
        check("503" in body.split("\r\n")[0], f"ready with a full disk: {body[:200]}")
        filler = os.path.join(mount, "filler")
        check(not os.path.exists(filler), "?")
        subprocess.run(["mount", "-o", "remount,size=160m", mount], check=True)
        wait_until(lambda: server.deliver_code("full@any.example") == 250, 15, "mail flows again")
        stored = server.export("full@any.example")
        check(len(stored) >= len(promised), f"{len(stored)} stored, {len(promised)} promised")
        for message in promised:
            found = [octets for octets in stored if octets.endswith(message)]
            check(len(found) == 1, f"a promised message is there {len(found)} times")
            without_trace(found[0], message)
        check(not server.json("mailbox", "verify")["problems"], "the store is damaged")
        server.stop()
    finally:
        server.kill()
        if mount:
            subprocess.run(["umount", "-l", mount], check=False)
        server.close()


def deliver_code(self, recipient):
    with self.connect() as client:
        client.greeting()
        client.ehlo()
        reply = client.command("MAIL FROM:<a@client.example>")
        if reply.code != 250:
            return reply.code
        client.command(f"RCPT TO:<{recipient}>", 250)
        client.command("DATA", 354)
        client.send(message_text("probe") + b".\r\n")
        return client.reply().code


Server.deliver_code = deliver_code


def metrics(server, path, expect=200):
    with socket.create_connection((server.address, server.metrics_port), 10 * PATIENCE) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: metrics\r\nConnection: close\r\n\r\n".encode())
        received = b""
        while piece := connection.recv(65536):
            received += piece
    text = received.decode()
    if expect:
        check(text.startswith(f"HTTP/1.1 {expect}"), f"{path}: {text[:200]}")
    return text


@suite.case("metrics and health")
def health():
    server = Server()
    try:
        server.start()
        check(server.deliver("bob@test.example", message_text("counted")).code == 250, "not accepted")
        metrics(server, "/healthz")
        metrics(server, "/readyz")
        text = metrics(server, "/metrics")
        for name, value in (("postern_messages_received_total", 1),):
            found = re.search(rf"^{name}(?:\{{[^}}]*\}})? (\d+)", text, re.M)
            check(found and int(found.group(1)) == value, f"{name} is not {value}:\n" + text[:3000])
        for name in ("postern_build_info", "postern_smtp_connections", "postern_reactor_busy_ratio", "postern_ledger_open",
                     "postern_tls_certificate_expiry_seconds", "postern_store_commits_total"):
            check(re.search(rf"^{name}[ {{]", text, re.M), f"no {name}")
        check(metrics(server, "/nothing", expect=None).startswith("HTTP/1.1 404"), "an unknown path is not 404")
        server.stop()
    finally:
        server.close()


@suite.case("a drain finishes the message that has begun and tells idle sessions")
def drain():
    server = Server({"limits": {"drain_s": 10}})
    try:
        server.start()
        idle = server.connect()
        idle.greeting()
        idle.ehlo()
        busy = server.connect()
        busy.greeting()
        busy.ehlo()
        busy.command("MAIL FROM:<a@client.example>", 250)
        busy.command("RCPT TO:<bob@test.example>", 250)
        busy.command("DATA", 354)
        message = message_text("last words")
        busy.send(message[:50])
        time.sleep(0.2)
        server.signal(signal.SIGTERM)
        check(idle.expect(421).enhanced == "4.3.2", "the idle session was not told")
        check(idle.closed(), "the idle session stays open")
        busy.send(message[50:] + b".\r\n")
        check(busy.reply().code == 250, "the message was cut off")
        busy.expect(421)
        check(server.wait() == 0, "exit code")
        server.process = None
        server.start()
        check(len(server.export("bob@test.example")) == 1, "the message is not there")
        server.stop()
    finally:
        server.close()


@suite.case("a drain ends in time whatever the clients do")
def stubborn():
    server = Server({"limits": {"drain_s": 1}})
    try:
        server.start()
        client = server.connect()
        client.greeting()
        client.ehlo()
        client.command("MAIL FROM:<a@client.example>", 250)
        client.command("RCPT TO:<bob@test.example>", 250)
        client.command("DATA", 354)
        started = time.monotonic()
        server.stop()
        check(time.monotonic() - started < 6 * PATIENCE, "too long")
    finally:
        server.close()


@suite.case("a session without a file descriptor for it")
def descriptors():
    if SANITIZED:
        return
    bound = 64
    server = Server(wrapper=("prlimit", f"--nofile={bound}:{bound}"))
    clients = []
    try:
        server.start()
        greeted = 0
        for _ in range(100):
            client = server.connect(seconds=2)
            clients.append(client)
            try:
                client.greeting()
                greeted += 1
            except Failure:
                break
        check(greeted < 100, "the bound was not reached")
        for client in clients:
            client.close()
        clients.clear()
        wait_until(lambda: code_of(server) == 250, 10, "mail flows again")
        server.stop()
    finally:
        for client in clients:
            client.close()
        server.close()


def code_of(server):
    try:
        return server.deliver("bob@test.example", message_text("after")).code
    except (Failure, OSError):
        return 0


if __name__ == "__main__":
    sys.exit(suite.run())
