#!/usr/bin/env python3
"""What is kept from its readers, from outside: how it gets into the quarantine, what the command line does with it, what a killed
server still has, and what becomes of a message whose recipients want different things."""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import Client, Server, Suite, check, message_text, wait_until, without_trace  # noqa: E402
from next_hop import Hop  # noqa: E402

suite = Suite("quarantine")
SPAMMER = "offers@spam.test"  # 12 points


def server_with(over=None, **filter_keys):
    """Everything of SPAMMER has 12 points and goes into the quarantine."""
    tree = {"filter": {"block_score": 12.0, "quarantine": "store", "block": {"senders": ["@spam.test"]}, **filter_keys}}
    tree.update(over or {})
    return Server(tree)


def deliver(server, recipients, message, sender=SPAMMER, expect=250):
    with Client(server) as client:
        client.greeting()
        client.ehlo()
        reply = client.deliver(sender, recipients, message)
        check(reply.code == expect, f"{reply}")
        client.quit()
        return reply.id


def quarantine(server, *arguments):
    return server.json("quarantine", "list", *arguments)


def sound(server, **closed):
    books = server.json("status")["ledger"]
    for outcome, count in closed.items():
        check(books["closed"][outcome] == count, f"{outcome}: {books}")
    check(books["balanced"], f"{books}")
    report = server.json("verify")
    check(not report["problems"], f"{report['problems']}")


@suite.case("over the threshold: kept, listed, shown, released octet for octet, once")
def released():
    server = server_with().start()
    try:
        message = message_text("Käse für alle", b"..dots\r\n.\r\n\x80\xff bin\r\nlast\r\n")
        identity = deliver(server, ["alice@test.example"], message)
        check(not server.export("alice@test.example") if "alice@test.example" in server.mailboxes() else True, "delivered at once")
        entries = quarantine(server)
        check(len(entries) == 1, f"{entries}")
        entry = entries[0]
        check(entry["id"] == identity and entry["recipient"] == "alice@test.example" and entry["sender"] == SPAMMER and
              entry["score"] >= 12 and entry["subject"] == "Käse für alle" and "quarantine_score" in entry["reason"], f"{entry}")
        table = server.cli("quarantine", "list").stdout.decode()
        check(identity in table and "alice@test.example" in table, table)
        story = server.json("quarantine", "show", identity)
        check(story["record"]["action"] == "quarantine" and any(f["name"] == "LOCAL_BLOCK_SENDER" for f in story["record"]["findings"])
              and story["record"]["envelope"]["mail_from"] == SPAMMER and "facts" in story["record"], f"{story}")
        check("LOCAL_BLOCK_SENDER" in server.cli("quarantine", "show", identity).stdout.decode(), "show says why")
        without_trace(server.cli("quarantine", "show", identity, "--message").stdout, message)
        sound(server, quarantined=1, delivered=0)
        check(server.json("status")["quarantine"]["entries"] == 1, "status")

        done = server.json("quarantine", "release", identity)
        check(done["done"] == 1 and not done["problems"], f"{done}")
        stored = server.export("alice@test.example")
        check(len(stored) == 1, f"{len(stored)} delivered")
        front = without_trace(stored[0], message)
        check(b"X-Spam-Flag" not in front and b"X-Spam-Status: No" in front, f"marked as spam: {front}")
        check(quarantine(server) == [], "still there")
        server.cli("quarantine", "release", identity, expect=66)
        check(len(server.export("alice@test.example")) == 1, "delivered twice")
        sound(server, quarantined=1, delivered=1)
        server.stop()
    finally:
        server.close()


@suite.case("kill -9 between the 250 and the release, and behind the release, loses nothing")
def killed():
    server = server_with().start()
    try:
        messages = [message_text(f"number {i}", os.urandom(300).hex().encode() + b"\r\n") for i in range(20)]
        identities = [deliver(server, ["alice@test.example", "bob@test.example"], message) for message in messages]
        server.kill()
        server.start()
        check(len(quarantine(server)) == 40, f"{len(quarantine(server))} of 40")
        for identity in identities[:10]:
            check(server.json("quarantine", "release", identity)["done"] == 2, "both recipients")
        server.kill()
        server.start()
        check(len(quarantine(server)) == 20, f"{len(quarantine(server))} of 20")
        for address in ("alice@test.example", "bob@test.example"):
            stored = server.export(address)
            check(len(stored) == 10, f"{address}: {len(stored)}")
            for message in messages[:10]:
                check(any(one.endswith(message) for one in stored), f"{address}: a message is missing")
        for identity, message in zip(identities[10:], messages[10:]):
            without_trace(server.cli("quarantine", "show", identity, "--message").stdout, message)
        sound(server, quarantined=40, delivered=20)
        server.stop()
    finally:
        server.close()


@suite.case("mail for a next hop is quarantined by default, and a release hands it on as it came")
def relayed():
    hop = Hop()
    server = server_with({"domain": [{"name": "test.example"},
                                     {"name": "r.example", "deliver": "relay", "to": [hop.target], "recipients": "any"}]},
                         quarantine="auto").start()
    try:
        message = message_text("relayed")
        identity = deliver(server, ["x@r.example", "y@r.example", "alice@test.example"], message)
        stored = server.export("alice@test.example")
        check(len(stored) == 1 and b"X-Spam-Flag: YES" in stored[0], "who has a mailbox here finds it in Junk")
        entries = quarantine(server)
        check([entry["destination"] for entry in entries] == ["r.example", "r.example"], f"{entries}")
        check(not hop.taken, "sent at once")
        ids = [entry["id"] for entry in entries]
        check(server.json("quarantine", "release", *ids)["done"] == 2, "released")
        check(hop.wait(lambda h: sum(len(r) for _, r, _ in h.taken) == 2), f"{hop.taken}")
        for sender, _, octets in hop.taken:
            check(sender == SPAMMER and octets.endswith(message) and b"Return-Path" not in octets and b"X-Spam-Flag" not in octets,
                  f"{octets[:400]}")
        wait_until(lambda: server.json("status")["ledger"]["closed"]["relayed"] == 2, 20, "the ledger closes")
        sound(server, quarantined=2, delivered=1, relayed=2)
        check(server.json("explain", identity)["action"] == "quarantine", "explain")
        server.stop()
    finally:
        server.close()
        hop.close()


PROFILES = [
    {"name": "marks", "recipients": ["alice@test.example"], "quarantine_score": 15.0, "subject_tag": "[SPAM]"},
    {"name": "refuses", "recipients": ["small@test.example"], "reject_score": 11.0},
    {"name": "throws away", "recipients": ["@any.example"], "discard_score": 11.0},
]


@suite.case("recipients of one message who want different things")
def mixed():
    server = server_with(profile=PROFILES).start()
    try:
        message = message_text("mixed")
        with Client(server) as client:
            client.greeting()
            client.ehlo()
            client.command(f"MAIL FROM:<{SPAMMER}>", 250)
            reply = client.command("RCPT TO:<small@test.example>")
            check(reply.code == 550, f"the recipient's own threshold holds at RCPT: {reply}")
            client.command("RCPT TO:<alice@test.example>", 250)
        identity = deliver(server, ["alice@test.example", "bob@test.example", "x@any.example"], message)
        stored = server.export("alice@test.example")
        check(len(stored) == 1 and b"\r\nSubject: [SPAM] mixed\r\n" in stored[0] and b"X-Spam-Flag: YES" in stored[0], f"{stored}")
        kept = quarantine(server)
        check([entry["recipient"] for entry in kept] == ["bob@test.example"], f"{kept}")
        check("x@any.example" not in server.mailboxes(), "thrown away")
        record = server.json("explain", identity)
        actions = {one["recipient"]: one["action"] for one in record["dispositions"]}
        check(actions == {"alice@test.example": "tag", "bob@test.example": "quarantine", "x@any.example": "discard"}, f"{actions}")
        sound(server, delivered=1, quarantined=1, discarded=1)
        server.stop()
    finally:
        server.close()


@suite.case("refused at the end of data only if everybody refuses; otherwise kept for who does")
def common_refusal():
    server = Server({"filter": {"quarantine": "store", "tag_score": 1.0, "quarantine_score": 900.0, "reject_score": 900.0,
                                "profile": [{"name": "strict", "recipients": ["alice@test.example", "small@test.example"],
                                             "quarantine_score": 1.5, "reject_score": 1.5}]}}).start()
    try:
        with Client(server) as client:
            client.greeting()
            client.ehlo()
            odd = b"Subject: odd\r\n\r\n\0 no From, no Date, and a NUL\r\n"  # points that only the data tells
            reply = client.deliver("a@client.example", ["alice@test.example", "small@test.example"], odd)
            check(reply.code in (550, 554), f"all refuse: {reply}")
            reply = client.deliver("a@client.example", ["alice@test.example", "bob@test.example"], odd)
            check(reply.code == 250, f"bob takes it: {reply}")
        check([entry["recipient"] for entry in quarantine(server)] == ["alice@test.example"], f"{quarantine(server)}")
        check(len(server.export("bob@test.example")) == 1, "bob's")
        sound(server, delivered=1, quarantined=1)
        server.stop()
    finally:
        server.close()


@suite.case("a discard is in the ledger, in the metrics and in the decision record")
def discarded():
    server = server_with(discard_score=12.0).start()
    try:
        identity = deliver(server, ["alice@test.example", "bob@test.example"], message_text("gone"))
        sound(server, discarded=2, delivered=0)
        check(quarantine(server) == [] and server.mailboxes() == {}, "nobody has it")
        record = server.json("explain", identity)
        check(record["action"] == "discard" and "discard_score" in record["reason"], f"{record}")
        server.kill()
        server.start()
        sound(server, discarded=2)
        server.stop()
    finally:
        server.close()


@suite.case("filters, a preview before what cannot be taken back, and without a server")
def command_line():
    server = server_with().start()
    try:
        for i in range(3):
            deliver(server, ["alice@test.example"], message_text(f"a{i}"))
        deliver(server, ["bob@test.example", "info@test.example"], message_text("b"), sender="other@spam.test")
        check(len(quarantine(server)) == 4, "two addresses of one mailbox are one copy")
        for arguments, count in ((["--recipient", "ALICE@test.example"], 3), (["--recipient", "@test.example"], 4),
                                 (["--sender", "other@spam.test"], 1), (["--sender", "<>"], 0), (["--score-min", "12"], 4),
                                 (["--score-min", "1000"], 0), (["--score-max", "11"], 0), (["--older-than", "3600"], 0)):
            check(len(quarantine(server, *arguments)) == count, f"{arguments}: {quarantine(server, *arguments)}")
        server.cli("quarantine", "delete", expect=64)
        check(b"3 entries would be" in server.cli("quarantine", "delete", "--recipient", "alice@test.example", expect=64).stdout,
              "a preview")
        check(server.json("quarantine", "delete", "--all", "--dry-run")["would"] == 4, "a dry run")
        check(len(quarantine(server)) == 4, "nothing was done")
        first = quarantine(server)[0]["id"]
        check(server.json("quarantine", "learn", "spam", first)["learned"] == 1, "learned")
        check(server.json("quarantine", "release", "--learn", first)["learned"] == 1, "learned as ham")
        check(server.json("quarantine", "delete", "--recipient", "alice@test.example", "--yes")["done"] == 2, "deleted")
        server.cli("quarantine", "show", "nonsense", expect=64)
        server.stop()
        check([entry["recipient"] for entry in quarantine(server)] == ["bob@test.example"], "without a server")
        check(server.json("quarantine", "release", "--all", "--yes")["done"] == 1, "released without a server")
        server.start()
        check(len(server.export("bob@test.example")) == 1, "delivered")
        left = server.json("status")["quarantine"]
        check(left == {"entries": 0, "octets": 0, "released": 2, "deleted": 2, "expired": 0, "evicted": 0}, f"{left}")
        sound(server, quarantined=4, delivered=2)
        server.stop()
    finally:
        server.close()


@suite.case("the oldest go where the quota is full")
def quota():
    server = server_with({"store": {"path": "store", "quarantine_octets_max": 20000}}).start()
    try:
        for i in range(10):
            deliver(server, ["alice@test.example"], message_text(f"number {i}", b"x" * 70 + b"\r\n" + b"y" * 900 + b"\r\n" * 1500))
        wait_until(lambda: server.json("status")["quarantine"]["evicted"] > 0, 30, "the oldest go")
        totals = server.json("status")["quarantine"]
        check(totals["octets"] <= 20000 and totals["entries"] + totals["evicted"] == 10, f"{totals}")
        subjects = [entry["subject"] for entry in quarantine(server)]
        check(subjects == [f"number {i}" for i in range(10 - len(subjects), 10)] and subjects, f"{subjects}")
        sound(server, quarantined=10)
        server.stop()
    finally:
        server.close()


if __name__ == "__main__":
    sys.exit(suite.run())
