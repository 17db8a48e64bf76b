#!/usr/bin/env python3
"""The verbs of the program as a postmaster uses them: beside a running server, without one, and with everything wrong."""
import email
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import (HOSTNAME, PATIENCE, PROGRAM, Failure, Server, Suite, check, message_text, toml, wait_until)  # noqa: E402

EX_USAGE, EX_DATAERR, EX_NOINPUT, EX_UNAVAILABLE, EX_CANTCREAT, EX_TEMPFAIL, EX_CONFIG = 64, 65, 66, 69, 73, 75, 78
GTUBE = b"XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"

suite = Suite("command line")
suite.shared("mx", lambda: Server({"filter": {"block": {"clients": ["203.0.113.0/24"]}}}, listeners=("mx", "lmtp_unix")))


def postern(*arguments, stdin=b"", expect=0, environment=None):
    done = subprocess.run([PROGRAM, *arguments], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=60 * PATIENCE, check=False, env=environment)
    check(expect is None or done.returncode == expect, f"{' '.join(arguments)}: exit code {done.returncode}, expected {expect}\n"
          f"{done.stdout.decode()[-1000:]}{done.stderr.decode()[-2000:]}")
    return done


def http(server, request, body=b"", metrics=False):
    """One request over the control socket or the metrics port: status, fields, body."""
    with socket.socket(socket.AF_INET if metrics else socket.AF_UNIX) as connection:
        connection.settimeout(20 * PATIENCE)
        connection.connect((server.address, server.metrics_port) if metrics else server.tree["control"]["socket"])
        connection.sendall(f"{request} HTTP/1.1\r\nHost: postern\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        received = b""
        while piece := connection.recv(65536):
            received += piece
    head, _, content = received.partition(b"\r\n\r\n")
    fields = {name.lower(): value for name, value in re.findall(r"(?m)^([A-Za-z-]+): (.*?)\r?$", head.decode())}
    return int(head.split(b" ")[1]), fields, content


# ---- without anything ------------------------------------------------------------------------------------------------------------


@suite.case("usage: help, version, mistakes")
def usage():
    check(re.fullmatch(r"postern \d+\.\d+\.\d+\n", postern("--version").stdout.decode()), "--version")
    top = postern("--help").stdout.decode()
    for verb in ("serve", "config", "scan", "mailbox", "explain", "status", "reload", "verify"):
        check(re.search(rf"(?m)^  {verb} ", top), f"--help does not name {verb}:\n{top}")
        check("--help" in postern(verb, "--help").stdout.decode(), f"{verb} --help")
    for wrong in ((), ("frob",), ("mailbox",), ("mailbox", "show"), ("scan",), ("status", "--frob"), ("explain", "x")):
        done = postern(*wrong, expect=EX_USAGE)
        check(not done.stdout and done.stderr.startswith(b"postern: "), f"{wrong}: {done.stdout!r} {done.stderr!r}")


@suite.case("config check, dump and keys")
def config_verbs():
    server = Server()
    try:
        done = postern("config", "check", server.manifest)
        check(not done.stdout, f"a good manifest is not silent: {done.stdout!r}")
        check(postern("config", "check", "--config", server.manifest).returncode == 0, "--config is not understood")
        check(json.loads(postern("config", "check", "--json", server.manifest).stdout)["ok"] is True, "--json")
        dumped = postern("config", "dump", server.manifest).stdout.decode()
        check(re.search(r"(?m)^recipients_max = 1000 *# default", dumped), "a default is not marked")
        check(re.search(rf'(?m)^hostname = "{HOSTNAME}"$', dumped), "a value that was set is not there, or marked")
        again = os.path.join(server.folder, "dumped.toml")
        with open(again, "w", encoding="utf-8") as file:
            file.write(dumped)
        postern("config", "check", again)
        check("`recipients_max`" in postern("config", "keys").stdout.decode(), "the reference lacks a key")

        with open(server.manifest, "a", encoding="utf-8") as file:
            file.write('\n[limits]\nrecipients_max = "many"\nfrob = 1\n')
        done = postern("config", "check", server.manifest, expect=EX_CONFIG)
        lines = done.stderr.decode().splitlines()
        check(len(lines) == 2 and all(line.startswith(server.manifest + ":") for line in lines), f"{lines}")
        report = json.loads(postern("config", "check", "--json", server.manifest, expect=EX_CONFIG).stdout)
        check([problem["key"] for problem in report["problems"]] == ["limits.recipients_max", "limits.frob"], f"{report}")
        postern("config", "dump", server.manifest, expect=EX_CONFIG)
        done = postern("serve", "--config", server.manifest, expect=EX_CONFIG)
        check(done.stderr.decode().splitlines() == lines, f"serve says {done.stderr!r}")
        postern("config", "check", "/nowhere/postern.toml", expect=EX_CONFIG)
    finally:
        server.close()


@suite.case("scan alone: no server, no store, and none is made")
def scan_alone():
    server = Server({"filter": {"block": {"clients": ["203.0.113.0/24"]}}})
    try:
        scans(server)
        check(not os.path.exists(os.path.join(server.folder, "store")), "a store was made")
    finally:
        server.close()


def scans(server):
    ham = os.path.join(server.folder, "ham.eml")
    with open(ham, "wb") as file:
        file.write(message_text("hello").replace(b"\r\n", b"\n"))  # as files are
    verdict = server.json("scan", "--ip", "192.0.2.1", "--helo", "client.example", "--mail-from", "a@client.example", "--rcpt",
                          "bob@test.example", "--rcpt", "alice@test.example", ham)
    check(verdict["action"] == "accept", f"{verdict}")
    for key in ("score", "findings", "incomplete", "facts"):
        check(key in verdict, f"no {key} in {verdict}")
    done = subprocess.run([PROGRAM, "scan", "--json", "--config", server.manifest, "-"], input=message_text("spam", GTUBE + b"\r\n"),
                          stdout=subprocess.PIPE, check=True, timeout=60 * PATIENCE)
    spam = json.loads(done.stdout)
    check(spam["action"] == "reject" and any("GTUBE" in finding["name"] for finding in spam["findings"]), f"GTUBE: {spam}")
    blocked = server.json("scan", "--ip", "203.0.113.7", ham)
    check(blocked["action"] == "reject" and blocked["facts"], f"a blocked client: {blocked}")
    text = server.cli("scan", "--ip", "203.0.113.7", ham).stdout.decode()
    check(re.match(r"Decision +reject, score 100 ", text) and "FINDING" in text and "203.0.113.7" in text, text)
    server.cli("scan", "/nowhere.eml", expect=EX_NOINPUT)
    server.cli("scan", "-", expect=EX_DATAERR)  # standard input is empty
    server.cli("scan", "--mail-from", "nobody", ham, expect=EX_USAGE)
    server.cli("scan", "--ip", "300.1.1.1", ham, expect=EX_USAGE)


@suite.case("no server and no store: each verb says so")
def nothing():
    server = Server()
    try:
        done = server.cli("status", "--json", expect=EX_UNAVAILABLE)
        status = json.loads(done.stdout)
        check(status["running"] is False and "no server runs" in status["error"], f"{status}")
        check("no server runs" in server.cli("status", expect=EX_UNAVAILABLE).stderr.decode(), "status")
        check("no server runs" in server.cli("reload", expect=EX_UNAVAILABLE).stderr.decode(), "reload")
        for verb in (("mailbox", "list"), ("verify",), ("explain", "0" * 20), ("mailbox", "show", "bob@test.example")):
            check("no store" in server.cli(*verb, expect=EX_NOINPUT).stderr.decode(), f"{verb}")
    finally:
        server.close()


# ---- beside a server, and after it -----------------------------------------------------------------------------------------------


@suite.case("mailboxes, messages and decisions: the same beside a server and without one")
def the_same_both_ways():
    server = Server()
    try:
        server.start()
        ids = [server.deliver("bob@test.example", message_text(f"number {number}")).id for number in range(3)]
        ids.append(server.deliver("\"a/b\"@any.example", message_text("slash")).id)
        ids.append(server.deliver("any+tag@any.example", message_text("plus")).id)
        check(all(ids), f"replies without an id: {ids}")

        def answers():
            return {
                "list": server.json("mailbox", "list"),
                "show": server.json("mailbox", "show", "bob@test.example"),
                "folder": server.json("mailbox", "show", "bob@test.example", "--folder", "INBOX"),
                "case": server.json("mailbox", "show", "BOB@Test.Example"),
                "slash": server.json("mailbox", "show", "a/b@any.example"),
                "plus": server.json("mailbox", "show", "any+tag@any.example"),
                "explain": [server.json("explain", name) for name in ids],
                "lower": server.json("explain", ids[0].lower()),
                "verify": server.json("verify"),
                "mailbox verify": server.json("mailbox", "verify"),
                "list text": server.cli("mailbox", "list").stdout,
                "show text": server.cli("mailbox", "show", "bob@test.example").stdout,
                "explain text": server.cli("explain", ids[0]).stdout,
                "verify text": server.cli("verify").stdout,
                "export": sorted(server.export("bob@test.example")),
            }

        beside = answers()
        refusals = [server.cli(*verb, expect=code).stderr for verb, code in REFUSALS]
        server.stop()
        alone = answers()
        for name, answer in beside.items():
            check(answer == alone[name], f"{name} differs: {answer} against {alone[name]}")
        check(refusals == [server.cli(*verb, expect=code).stderr for verb, code in REFUSALS], f"refusals differ: {refusals}")

        messages = {entry["address"]: entry["messages"] for entry in beside["list"]["mailboxes"]}
        check(messages == {"bob@test.example": 3, "a/b@any.example": 1, "any+tag@any.example": 1}, f"{messages}")
        entries = beside["show"]["folders"][0]["entries"]
        check([entry["uid"] for entry in entries] == [1, 2, 3] and [entry["id"] for entry in entries] == ids[:3], f"{entries}")
        check(beside["verify"]["ok"] and beside["verify"]["entries"] == 5, f"{beside['verify']}")
        for record, name in zip(beside["explain"], ids):
            check(record["id"] == name and record["action"] == "accept" and record["envelope"], f"{record}")
            for key in ("score", "findings", "incomplete", "facts"):
                check(key in record, f"no {key} in {record}")
        text = beside["explain text"].decode()
        check(ids[0] in text and "<sender@client.example>" in text and "<bob@test.example>" in text and "Decision" in text, text)
        check(beside["list text"].splitlines()[0].split() == [b"MAILBOX", b"MESSAGES", b"SIZE"], f"{beside['list text']}")
        for octets in beside["export"]:
            check(email.message_from_bytes(octets)["Subject"].startswith("number "), "an exported message")

        status = json.loads(server.cli("status", "--json", expect=EX_UNAVAILABLE).stdout)
        check(status["ledger"]["opened"] == 5 and status["ledger"]["balanced"], f"{status}")
        check("5 opened" in server.cli("status", expect=EX_UNAVAILABLE).stdout.decode(), "status without a server")
    finally:
        server.close()


REFUSALS = [
    (("mailbox", "show", "nobody@test.example"), EX_NOINPUT),
    (("mailbox", "show", "nobody"), EX_USAGE),
    (("mailbox", "show", "bob@test.example", "--folder", "Nothing"), EX_NOINPUT),
    (("mailbox", "export", "nobody@test.example", "/tmp/nowhere"), EX_NOINPUT),
    (("mailbox", "export", "bob@test.example", "/proc"), EX_CANTCREAT),
    (("explain", "0" * 20), EX_NOINPUT),
    (("explain", "no id"), EX_USAGE),
]


@suite.case("status of a running server")
def status_running():
    server = suite.server("mx")
    status = server.json("status")
    check(status["running"] and status["state"] == "serving" and status["ready"], f"{status}")
    check(status["hostname"] == HOSTNAME and status["pid"] == server.process.pid and status["uptime_s"] >= 0, f"{status}")
    check(set(status["ledger"]) == {"opened", "open", "closed", "balanced"}, f"{status['ledger']}")
    check(set(status["ledger"]["closed"]) == {"delivered", "relayed", "bounced", "quarantined", "expired", "dropped", "discarded"}, f"{status['ledger']}")
    addresses = [listener["address"] for listener in status["listeners"]]
    check(addresses == [f"{server.address}:{server.ports['mx']}", "unix:" + server.ports["lmtp_unix"]], f"{addresses}")
    check(len(status["cores"]) == 1 and 0 <= status["cores"][0]["busy"] <= 1, f"{status['cores']}")
    check(status["certificates"] and status["certificates"][0]["expires_in_s"] > 0, f"{status['certificates']}")
    check(status["store"]["trouble"] == "" and status["snapshot"]["age_s"] >= 0, f"{status['store']}")
    with server.connect() as client:
        client.greeting()
        check(server.json("status")["connections"] == status["connections"] + 1, "a connection is not counted")
    text = server.cli("status").stdout.decode()
    for word in (HOSTNAME, "serving", "Connections", "Recipients", "balanced", "Store", "Cores", "Certificates", server.manifest):
        check(word in text, f"no {word} in:\n{text}")


@suite.case("scan through the server")
def scan_beside():
    scans(suite.server("mx"))


@suite.case("the control socket for curl")
def control_socket():
    server = suite.server("mx")
    mode = os.stat(server.tree["control"]["socket"]).st_mode
    check(stat.S_ISSOCK(mode) and stat.S_IMODE(mode) & 0o007 == 0, f"mode {oct(mode)}")
    name = server.deliver("curl@any.example", message_text("for curl")).id
    code, fields, body = http(server, "GET /v1/mailboxes/curl%40any.example/entries?folder=INBOX&count=10")
    check(code == 200 and fields["content-type"] == "application/json" and json.loads(body)["entries"][0]["id"] == name, f"{body}")
    code, fields, body = http(server, f"GET /v1/messages/{name}")
    check(code == 200 and fields["content-type"] == "message/rfc822" and b"Subject: for curl" in body, f"{body}")
    code, fields, body = http(server, f"HEAD /v1/messages/{name}")
    check(code == 200 and not body and int(fields["content-length"]) > 100, f"{fields} {body}")
    code, _, body = http(server, "POST /v1/mailboxes/curl@any.example/flags", b'{"uids":[1],"set":["seen"]}')
    check(code == 200, f"{body}")
    check(server.json("mailbox", "show", "curl@any.example")["folders"][0]["entries"][0]["flags"] == ["seen"], "not seen")
    code, _, body = http(server, "POST /v1/mailboxes/curl@any.example/expunge", b'{"uids":[1]}')
    check(code == 200 and json.loads(body)["removed"] == 1, f"{body}")
    for request, wanted in (("GET /v1/nothing", 404), ("DELETE /v1/mailboxes", 405), (f"GET /v1/messages/{name}", 404),
                            ("POST /v1/scan", 400), ("GET /%zz", 400)):
        code, _, body = http(server, request)
        check(code == wanted and json.loads(body)["error"], f"{request}: {code} {body}")
    with socket.socket(socket.AF_UNIX) as connection:  # something that is no HTTP is told so, and the server goes on
        connection.connect(server.tree["control"]["socket"])
        connection.sendall(b"EHLO x\r\n")
        check(connection.recv(4096).startswith(b"HTTP/1.1 400 "), "no refusal")
    check(http(server, "GET /v1/status")[0] == 200, "the server suffered")


@suite.case("metrics and health")
def metrics():
    server = suite.server("mx")
    check(http(server, "GET /healthz", metrics=True)[0] == 200, "/healthz")
    check(http(server, "GET /readyz", metrics=True)[0] == 200, "/readyz")
    code, fields, body = http(server, "GET /metrics", metrics=True)
    check(code == 200 and fields["content-type"].startswith("text/plain; version=0.0.4"), f"{fields}")
    text = body.decode()
    for name in ("postern_build_info", "postern_reactor_turns_total", "postern_reactor_busy_ratio", "postern_store_commits_total",
                 "postern_store_healthy", "postern_ledger_opened_total", "postern_ledger_open", "postern_ledger_imbalance",
                 "postern_tls_certificate_expiry_seconds", "process_resident_memory_bytes", "process_cpu_seconds_total",
                 "process_open_fds"):
        check(re.search(rf"(?m)^{name}(\{{[^}}]*\}})? [0-9.e+-]+$", text), f"no {name} in:\n{text[:3000]}")
    check(http(server, "GET /v1/status", metrics=True)[0] == 404, "the metrics port shows the control socket's routes")
    check(http(server, "POST /metrics", metrics=True)[0] == 405, "POST /metrics")
    check(http(server, "POST /metrics", b"x", metrics=True)[0] == 413, "a body on the metrics port")


# ---- reload ----------------------------------------------------------------------------------------------------------------------


@suite.case("reload by the command line: a good manifest, a bad one, keys that need a restart")
def reload():
    server = Server()
    try:
        server.start()
        server.tree["account"].append({"address": "new@test.example"})
        server.write_manifest()
        check(server.json("reload")["reloaded"] is True, "not reloaded")
        check(server.deliver("new@test.example", message_text("to the new one")).code == 250, "the new account is unknown")

        good = dict(server.tree)
        server.tree = {**good, "cores": 2, "log": {"level": "debug"}}
        server.write_manifest()
        outcome = server.json("reload")
        check(outcome["needs_restart"] == ["cores", "log.level"], f"{outcome}")
        check("cores" in str(server.wait_event("restart_needed", 5)), "not logged")

        server.tree = {**good, "hostname": "not a name"}
        server.write_manifest()
        done = server.cli("reload", expect=EX_CONFIG)
        check(done.stderr.decode().startswith(server.manifest + ":1: hostname: "), f"{done.stderr}")
        problems = json.loads(server.cli("reload", "--json", expect=EX_CONFIG).stdout)["problems"]
        check(problems[0]["key"] == "hostname" and problems[0]["line"] == 1, f"{problems}")
        # The manifest on disk is broken, and yet the server that runs can be asked.
        status = server.json("status")
        check(status["last_reload"]["ok"] is False and status["last_reload"]["problems"], f"{status['last_reload']}")
        check("refused: " in server.cli("status").stdout.decode(), "status does not show it")
        check(server.deliver("new@test.example", message_text("again")).code == 250, "the old manifest is no longer in force")
        server.stop()
    finally:
        server.close()


@suite.case("SIGHUP opens the log file anew")
def log_file():
    server = Server({"log": {"file": "log"}})
    path = os.path.join(server.folder, "log")
    try:
        server.spawn()
        wait_until(lambda: os.path.exists(path) and '"ready"' in open(path, encoding="utf-8").read(), 20, "event ready in the file")
        os.rename(path, path + ".1")
        server.signal(signal.SIGHUP)
        wait_until(lambda: os.path.exists(path) and '"reloaded"' in open(path, encoding="utf-8").read(), 10, "a new file")
        server.stop()
        check('"stopped"' in open(path, encoding="utf-8").read(), "the end is not logged")
    finally:
        server.close()


# ---- start and end ---------------------------------------------------------------------------------------------------------------


@suite.case("the service manager is told")
def service_manager():
    server = Server()
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            path = os.path.join(server.folder, "notify")
            manager.bind(path)
            manager.settimeout(20 * PATIENCE)
            os.environ["NOTIFY_SOCKET"] = path
            try:
                server.start()
            finally:
                del os.environ["NOTIFY_SOCKET"]
            check(manager.recv(4096).startswith(b"READY=1\n"), "READY=1")
            server.signal(signal.SIGHUP)
            told = manager.recv(4096)
            check(re.match(rb"RELOADING=1\nMONOTONIC_USEC=\d+\n", told), f"{told}")
            check(manager.recv(4096).startswith(b"READY=1\n"), "READY=1 after the reload")
            server.signal(signal.SIGTERM)
            check(manager.recv(4096).startswith(b"STOPPING=1\n"), "STOPPING=1")
            check(server.wait() == 0, "exit code")
    finally:
        server.close()


@suite.case("while it drains it is not ready, and a second signal ends it at once")
def second_signal():
    server = Server({"limits": {"drain_s": 60}})
    try:
        server.start()
        client = server.connect()
        client.greeting()
        client.ehlo()
        client.command("MAIL FROM:<a@client.example>", 250)
        client.command("RCPT TO:<bob@test.example>", 250)
        client.command("DATA", 354)
        server.signal(signal.SIGTERM)
        server.wait_event("draining", 10)
        code, _, body = http(server, "GET /readyz", metrics=True)
        check(code == 503 and b"draining" in body, f"{code} {body}")
        check(http(server, "GET /healthz", metrics=True)[0] == 200, "/healthz while draining")
        check(server.json("status")["state"] == "draining", "status while draining")
        started = time.monotonic()
        server.signal(signal.SIGTERM)
        check(server.wait(5) == EX_TEMPFAIL, "exit code")
        check(time.monotonic() - started < 2 * PATIENCE, "not at once")
        server.process = None
        server.start()  # the stale control socket is no obstacle
        check(server.deliver("bob@test.example", message_text("after")).code == 250, "not accepted after the restart")
        server.stop()
        check(not os.path.exists(server.tree["control"]["socket"]), "the socket's file is left behind")
    finally:
        server.close()


@suite.case("the store in use by a server whose socket is elsewhere")
def other_socket():
    server = suite.server("mx")
    folder = tempfile.mkdtemp(prefix="postern-other-")
    try:
        tree = {**server.tree, "control": {"socket": os.path.join(folder, "other.sock")},
                "store": {"path": os.path.join(server.folder, "store")}}
        manifest = os.path.join(folder, "postern.toml")
        with open(manifest, "w", encoding="utf-8") as file:
            file.write(toml(tree))
        done = postern("mailbox", "list", "--config", manifest, expect=EX_TEMPFAIL)
        check(str(server.process.pid) in done.stderr.decode() and "other.sock" in done.stderr.decode(), f"{done.stderr}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@suite.case("output that cannot be written, and a reader who leaves")
def output():
    server = suite.server("mx")
    server.deliver("bob@test.example", message_text("to be listed"))
    with open("/dev/full", "wb") as full:
        done = subprocess.run([PROGRAM, "status", "--json", "--config", server.manifest], stdout=full, stderr=subprocess.PIPE,
                              timeout=60 * PATIENCE, check=False)
    check(done.returncode == 74 and b"cannot be written" in done.stderr, f"{done}")
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([PROGRAM, "mailbox", "list", "--config", server.manifest], stdout=write, stderr=subprocess.PIPE,
                          timeout=60 * PATIENCE, check=False)
    os.close(write)
    check(done.returncode in (-signal.SIGPIPE, 74) and b"Sanitizer" not in done.stderr, f"{done}")


@suite.case("many at once")
def many():
    server = suite.server("mx")
    problems = []

    def ask():
        try:
            for _ in range(5):
                check(server.json("mailbox", "list") is not None, "no list")
        except Failure as failure:
            problems.append(str(failure))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check(not problems, f"{problems[:2]}")


if __name__ == "__main__":
    sys.exit(suite.run())
