#!/usr/bin/env python3
"""Rules from outside: mail is judged by them, a bad file changes nothing, a reload under load misses no message."""
import json
import os
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import PATIENCE, SOURCE, Failure, Server, Suite, check  # noqa: E402

EX_CONFIG = 78
RELOADS = 20
BAIT = b"zebra crossing ahead"

suite = Suite("rules")


def rule(score, pattern="zebra crossing"):
    return (f"rule TEST_ZEBRA\n  describe Speaks of zebras\n  score {score}\n  when body ~ /{pattern}/i\n"
            "  match \"a zebra crossing\"\n")


def write(folder, text, name="10-test.rules"):
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name + ".new"), "w", encoding="utf-8") as file:
        file.write(text)
    os.rename(os.path.join(folder, name + ".new"), os.path.join(folder, name))


def message(text, number=0):
    return (b"From: Robin <robin@client.example>\r\nTo: alice@test.example\r\nSubject: A note\r\n"
            b"Date: Mon, 6 Jan 2025 10:00:00 +0000\r\nMessage-ID: <%d@client.example>\r\n\r\n" % number + text + b"\r\n")


def with_rules(text, **over):
    """A server, not started, whose folder of rules stands beside its manifest, where it is found without a word."""
    server = Server({"filter": {"rules": over}} if over else None)
    write(os.path.join(server.folder, "rules"), text)
    return server


def findings(server, reply):
    explained = server.json("explain", reply.id)
    decision = explained.get("decision", explained)
    return {finding["name"]: finding for finding in decision["findings"]}


@suite.case("a rule's finding is in the decision, with evidence")
def decision():
    server = with_rules(rule(2.5))
    try:
        server.start()
        found = findings(server, server.deliver("alice@test.example", message(b"A Zebra  crossing\r\nahead")))
        check("TEST_ZEBRA" in found, f"findings: {found}")
        check(found["TEST_ZEBRA"]["score"] == 2.5, f"{found['TEST_ZEBRA']}")
        check("Zebra crossing" in found["TEST_ZEBRA"]["evidence"], f"{found['TEST_ZEBRA']}")
        check("TEST_ZEBRA" not in findings(server, server.deliver("alice@test.example", message(b"A horse"))), "a horse")
        server.stop()
    finally:
        server.close()


@suite.case("a score that refuses; large messages are judged as well")
def refusal():
    server = with_rules(rule(99))
    try:
        server.start()
        for text in (BAIT, b"x" * 70 + (b"\r\n" + b"word " * 14) * 8000 + b"\r\n" + BAIT):
            reply = server.deliver("alice@test.example", message(text))
            check(reply.code == 554, f"{len(text)} octets: {reply}")
        check(server.deliver("alice@test.example", message(b"A horse")).code == 250, "a horse")
        server.stop()
    finally:
        server.close()


@suite.case("a bad file stops a start and leaves a reload without effect, with its line")
def bad_file():
    server = with_rules(rule(1))
    folder = os.path.join(server.folder, "rules")
    try:
        server.start()
        write(folder, rule(2) + "rule TEST_BAD\n  score 1\n  when body ~ /(/\n")
        done = server.cli("reload", expect=EX_CONFIG)
        said = done.stderr.decode()
        check("10-test.rules:8:" in said, f"the place is missing: {said}")
        found = findings(server, server.deliver("alice@test.example", message(BAIT)))
        check(found["TEST_ZEBRA"]["score"] == 1, f"the old rules are not in force: {found}")
        done = server.cli("rules", "check", expect=EX_CONFIG)
        check("10-test.rules:8:" in done.stderr.decode(), f"rules check: {done.stderr.decode()}")
        write(folder, rule(3))
        server.cli("reload")
        found = findings(server, server.deliver("alice@test.example", message(BAIT)))
        check(found["TEST_ZEBRA"]["score"] == 3, f"the new rules are not in force: {found}")
        server.stop()
        write(folder, "rule TEST_BAD\n  score high\n")
        server.spawn()
        check(server.wait() == EX_CONFIG, "the start was not refused")
    finally:
        server.close()


@suite.case("a sample that does not come out is a problem of rules check")
def samples():
    server = with_rules(rule(1) + "  nomatch \"another zebra crossing\"\n")
    try:
        done = server.cli("rules", "check", expect=EX_CONFIG)
        check("TEST_ZEBRA matches this" in done.stderr.decode(), done.stderr.decode())
        write(os.path.join(server.folder, "rules"), rule(1))
        check(json.loads(server.cli("rules", "check", "--json").stdout)["samples"] == 1, "one sample")
    finally:
        server.close()


@suite.case("scores, disabled rules and a local.cf of the manifest")
def manifest():
    server = with_rules(rule(1) + "rule TEST_OFF\n  score 1\n  when 1\n", scores={"TEST_ZEBRA": 0.25}, disabled=["TEST_OFF"],
                        spamassassin=["local.cf"])
    try:
        with open(os.path.join(server.folder, "local.cf"), "w", encoding="utf-8") as file:
            file.write("body LOCAL_ZEBRA /zebra/i\nscore LOCAL_ZEBRA 0.5\nbody LOCAL_EVAL eval:x()\n")
        server.start()
        found = findings(server, server.deliver("alice@test.example", message(BAIT)))
        check(found["TEST_ZEBRA"]["score"] == 0.25, f"{found}")
        check("TEST_OFF" not in found, f"{found}")
        check(found["LOCAL_ZEBRA"]["score"] == 0.5, f"{found}")
        check("needs a plugin" in server.cli("rules", "check").stderr.decode(), "what was not taken is not said")
        server.stop()
    finally:
        server.close()


@suite.case("the shipped rules: lures are tagged, the filter off asks for nothing")
def shipped():
    rules = os.path.join(SOURCE, "deploy", "manifests", "rules")
    server = Server({"filter": {"rules": {"folder": rules}}})
    lure = (b"Dear Valued Customer,\r\nYour account has been suspended because of unusual sign-in activity. Click here to verify your\r\n"
            b"account within 24 hours: http://paypal-verify.test/login\r\n")
    try:
        server.cli("rules", "list")  # compiles them into the cache: seconds, which the start is not given
        server.start()
        found = findings(server, server.deliver("alice@test.example", message(lure)))
        for name in ("LURE_VERIFY_ACCOUNT", "LURE_ACCOUNT_SUSPENDED", "URL_BRAND_HYPHEN"):
            check(name in found, f"{name} is not among {sorted(found)}")
        check(sum(finding["score"] for finding in found.values()) >= 5, f"{found}")
        server.tree["filter"]["enabled"] = False
        server.write_manifest()
        server.cli("reload")
        check(not findings(server, server.deliver("alice@test.example", message(lure))), "the filter is off")
        server.stop()
    finally:
        server.close()


@suite.case("rules are swapped under load: every message is judged, by one set or the other")
def swapping():
    server = with_rules(rule(1))
    failures, judged, slowest, done = [], [], [0.0], threading.Event()

    def send():
        number = 0
        while not done.is_set():
            number += 1
            start = time.monotonic()
            try:
                reply = server.deliver("alice@test.example", message(BAIT, number))
            except (Failure, OSError) as failure:
                failures.append(str(failure))
                return
            slowest[0] = max(slowest[0], time.monotonic() - start)
            if reply.code != 250:
                failures.append(str(reply))
                return
            judged.append(reply)

    try:
        server.start()
        sender = threading.Thread(target=send)
        sender.start()
        for turn in range(RELOADS):
            write(os.path.join(server.folder, "rules"), rule(1 + turn % 3, "zebra (?:crossing|x%d)" % turn))
            server.cli("reload")
        done.set()
        sender.join(60 * PATIENCE)
        check(not failures, f"{failures[:1]}")
        check(judged, "nothing was sent")
        for reply in judged[:: max(len(judged) // 40, 1)]:
            check("TEST_ZEBRA" in findings(server, reply), f"{reply.id} was not judged by any rules")
        print(f"    {len(judged)} messages in {RELOADS} reloads, the slowest took {slowest[0] * 1000:.0f} ms")
        server.stop()
    finally:
        server.close()


if __name__ == "__main__":
    sys.exit(suite.run())
