#!/usr/bin/env python3
"""The load generator against our own server: what it reports is what happened."""
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import (BUILD, PATIENCE, Server, Suite, check, free_port, message_text, own_address,  # noqa: E402
                     raise_descriptor_limit, without_trace)

suite = Suite("load")
suite.shared("plain", Server)
LOAD = os.environ.get("POSTERN_LOAD") or os.path.join(BUILD, "postern_load")
EX_USAGE, EX_NOINPUT, EX_UNAVAILABLE = 64, 66, 69


def command(target, *arguments):
    return [LOAD, "--target", target, "--json", *map(str, arguments)]


def load(*arguments, target=None, expect=0):
    """Runs the generator; the report it prints."""
    if target is None:
        server = suite.server("plain")
        target = f"{server.address}:{server.ports['mx']}"
    done = subprocess.run(command(target, *arguments), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=120 * PATIENCE, check=False)
    check(done.returncode == expect, f"exit code {done.returncode}, expected {expect}: {done.stderr.decode()[-2000:]}")
    check(b"Sanitizer" not in done.stderr, done.stderr.decode()[-4000:])
    return balanced(json.loads(done.stdout)) if done.stdout else None


def balanced(report):
    """Every message that was begun has exactly one outcome."""
    messages = report["messages"]
    ends = sum(messages[name] for name in ("accepted", "refused", "failed", "unfinished", "misbehaved"))
    check(messages["taken"] == ends, f"{messages['taken']} messages taken, {ends} ended: {messages}")
    check(messages["accepted"] == report["latency_ms"]["message"]["count"], f"latencies of {report['latency_ms']['message']}")
    return report


def held(address):
    return suite.server("plain").mailboxes().get(address, 0)


@suite.case("the mailbox holds as many messages as the report says")
def counts():
    before = held("bob@test.example")
    report = load("--rcpt", "bob@test.example", "--connections", 10, "--messages", 200)
    check(report["messages"]["accepted"] == 200, report)
    check(report["errors"] == {}, report["errors"])
    check(held("bob@test.example") - before == 200, f"{held('bob@test.example') - before} in the mailbox")
    check(report["connected"]["times"] == 200, report["connected"])
    check(report["replies"]["354"] == 200 and report["replies"]["221"] == 200, report["replies"])
    check(report["octets"] > 200 * 4096 and report["messages_per_s"] > 0, report)
    check(sum(second["accepted"] for second in report["timeline"]) == 200, report["timeline"])


@suite.case("several cores, connections kept, a population of recipients, without pipelining")
def population():
    before = held("alice@test.example")
    report = load("--rcpt", "u{n}@catch.example", "--rcpt", "info@test.example", "--rcpts", 2, "--population", 7, "--connections", 8,
                  "--cores", 2, "--messages", 100, "--messages-per-connection", 0, "--no-pipelining")
    check(report["messages"]["accepted"] == 100 and report["cores"] == 2, report)
    check(report["recipients"]["accepted"] == 200, report["recipients"])
    check(report["connected"]["times"] <= 8, report["connected"])
    check(held("alice@test.example") - before == 100, "the catch-all mailbox")


@suite.case("a server that refuses is a result")
def refused():
    report = load("--rcpt", "nobody@test.example", "--connections", 4, "--messages", 20, "--messages-per-connection", 3)
    check(report["messages"]["refused"] == 20 and report["messages"]["accepted"] == 0, report["messages"])
    check(report["replies"].get("550") == 20, report["replies"])
    check(report["recipients"]["refused"] == 20 and report["errors"] == {}, report)


@suite.case("TLS, with sessions resumed and without")
def tls():
    before = held("bob@test.example")
    report = load("--rcpt", "bob@test.example", "--connections", 4, "--messages", 40, "--tls")
    check(report["messages"]["accepted"] == 40 and report["errors"] == {}, report)
    check(report["connected"]["handshakes"] == 40 and report["connected"]["resumed"] == 0, report["connected"])
    check(report["latency_ms"]["TLS"]["count"] == 40, report["latency_ms"])
    report = load("--rcpt", "bob@test.example", "--connections", 4, "--messages", 40, "--tls", "--resume")
    check(report["connected"]["resumed"] == 36, report["connected"])  # all but the first of every connection
    check(held("bob@test.example") - before == 80, "the mailbox")


@suite.case("a corpus arrives octet for octet")
def corpus():
    server = Server().start()
    try:
        originals = [message_text("dots", b".\r\n..\r\nend.\r\n"), message_text("long", b"line\r\n" * 5000)]
        with tempfile.TemporaryDirectory() as folder:
            for name in ("new", "cur", "tmp"):
                os.mkdir(os.path.join(folder, name))
            for number, original in enumerate(originals):
                with open(os.path.join(folder, "new", str(number)), "wb") as file:
                    file.write(original.replace(b"\r\n", b"\n"))
            report = load("--rcpt", "bob@test.example", "--corpus", folder, "--messages", 2, target=f"{server.address}:{server.ports['mx']}")
        check(report["messages"]["accepted"] == 2, report)
        stored = server.export("bob@test.example")
        check(len(stored) == 2, f"{len(stored)} stored")
        for original in originals:
            matching = [message for message in stored if message.endswith(original)]
            check(len(matching) == 1, "not stored as sent")
            without_trace(matching[0], original)
        server.stop()
    finally:
        server.close()


@suite.case("an open loop is charged for a stall of the server")
def stall():
    server = suite.server("plain")
    process = subprocess.Popen(command(f"{server.address}:{server.ports['mx']}", "--rcpt", "bob@test.example", "--connections", 4,
                                       "--messages-per-connection", 0, "--rate", 100, "--duration", 2),
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    try:
        time.sleep(0.8)
        server.signal(signal.SIGSTOP)
        time.sleep(0.3)
        server.signal(signal.SIGCONT)
        output, _ = process.communicate(timeout=60 * PATIENCE)
    finally:
        server.signal(signal.SIGCONT)
        process.kill()
        process.wait()
    check(process.returncode == 0, f"exit code {process.returncode}")
    report = balanced(json.loads(output))
    check(report["loop"] == "open" and report["messages"]["failed"] == 0, report["messages"])
    check(report["messages"]["taken"] + report["messages"]["not_started"] == 200, report["messages"])
    latency = report["latency_ms"]["message"]
    check(latency["max"] >= 250 and latency["p99.9"] >= 250, f"the stall is not seen: {latency}")
    # Four connections, so four messages met the stall itself; some thirty should have started during it.
    check(latency["p90"] >= 50, f"only the messages under way were charged: {latency}")


@suite.case("misbehaving connections do not end the run")
def misbehaving():
    server = suite.server("plain")
    before = held("bob@test.example")
    report = load("--rcpt", "bob@test.example", "--connections", 20, "--messages", 120, "--misbehave", 0.5, "--timeout", 5)
    messages, odd = report["messages"], report["misbehaving"]
    check(messages["taken"] == 120 and messages["failed"] == 0, report)
    check(30 <= messages["misbehaved"] <= 90, messages)
    check(all(odd["connections"][kind] > 0 for kind in ("slow", "vanishes", "garbage", "early")), odd)
    check(sum(odd["connections"].values()) == messages["misbehaved"], odd)
    check(held("bob@test.example") - before == messages["accepted"] + odd["accepted"], f"the mailbox: {report}")
    check(odd["accepted"] >= odd["connections"]["slow"], f"a slow sender lost its message: {odd}")
    check(server.alive(), "the server")


@suite.case("idle connections are held beside the load")
def idle():
    raise_descriptor_limit()
    report = load("--rcpt", "bob@test.example", "--connections", 2, "--messages", 20, "--idle", 150)
    check(report["connected"]["idle_held"] == 150 and report["connected"]["idle_lost"] == 0, report["connected"])
    check(report["messages"]["accepted"] == 20, report["messages"])


@suite.case("^C ends the run and still reports")
def interrupted():
    server = suite.server("plain")
    process = subprocess.Popen(command(f"{server.address}:{server.ports['mx']}", "--rcpt", "bob@test.example", "--connections", 4,
                                       "--rate", 20, "--duration", 100), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    try:
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=10 * PATIENCE)
    finally:
        process.kill()
        process.wait()
    check(process.returncode == 0, f"exit code {process.returncode}")
    report = balanced(json.loads(output))
    check(report["elapsed_s"] < 20 * PATIENCE and report["messages"]["accepted"] > 0, report)


@suite.case("a page with the run over time")
def page():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "run.html")
        load("--rcpt", "bob@test.example", "--messages", 5, "--plot", path)
        with open(path, encoding="utf-8") as file:
            text = file.read()
    check("<svg" in text and "5 accepted" in text and "http" not in text, text[:500])


@suite.case("exit codes")
def exit_codes():
    address = own_address()
    nobody = f"{address}:{free_port(address)}"
    report = load("--rcpt", "a@test.example", "--duration", 0.3, target=nobody, expect=EX_UNAVAILABLE)
    check(report["connected"]["times"] == 0 and report["errors"].get("connect: Connection refused", 0) > 0, report)
    load("--rcpt", "a b@test.example", target=nobody, expect=EX_USAGE)
    load("--rcpt", "a@test.example", "--corpus", "/nowhere", target=nobody, expect=EX_NOINPUT)


if __name__ == "__main__":
    sys.exit(suite.run())
