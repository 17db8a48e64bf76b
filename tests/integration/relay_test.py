#!/usr/bin/env python3
"""Mail for relayed domains over the whole path: accepted, queued, handed on by the runner, whatever state the next hops are in."""
import email
import os
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import Client, Server, Suite, check, free_port, message_text, wait_until  # noqa: E402
from next_hop import Hop  # noqa: E402

suite = Suite("relay")
SENDER = "alice@test.example"  # a mailbox of ours: reports to it can be read


def relay_server(domains, queue=None):
    """`domains`: (name, one target or a list, more keys)."""
    entries = [{"name": "test.example"}]
    for name, to, *more in domains:
        entries.append({"name": name, "deliver": "relay", "to": to if isinstance(to, list) else [to], "recipients": "any",
                        **(more[0] if more else {})})
    return Server({
        "cores": 2,
        "domain": entries,
        "account": [{"address": "alice@test.example"}],
        "queue": {"retry_first_s": 1, "retry_max_s": 2, "retry_jitter": 0.0, "retry_factor": 1.0, **(queue or {})},
    })


def deliver(server, recipients, subject="x", sender=SENDER, parameters="", expect=250, body=b"Hello.\r\n"):
    with Client(server) as client:
        client.greeting()
        client.ehlo()
        message = message_text(subject, body)
        reply = client.deliver(sender, recipients, message, parameters)
        check(reply.code == expect, f"{reply}")
        client.quit()
        return reply.id, message


def queue(server, *arguments):
    return server.json("queue", "list", *arguments)


def ledger(server):
    return server.json("status")["ledger"]


def settled(server, **closed):
    """Waits until the ledger says so, then looks whether everything else agrees."""
    wait_until(lambda: all(ledger(server)["closed"].get(k) == v for k, v in closed.items()), 30, f"ledger {closed}")
    books = ledger(server)
    check(books["balanced"], f"{books}")
    report = server.json("mailbox", "verify")
    check(not report["problems"], f"{report['problems']}")
    return books


@suite.case("a message goes out once, without Return-Path, on one connection with the next")
def plain():
    hop = Hop()
    server = relay_server([("r.example", hop.target)]).start()
    try:
        for i in range(5):
            deliver(server, ["x@r.example"], f"number {i}")
        check(hop.wait(lambda h: len(h.taken) == 5), f"{len(hop.taken)} of 5 arrived")
        sender, recipients, octets = hop.taken[0]
        check(sender == SENDER and recipients == ["x@r.example"], f"{sender} {recipients}")
        check(not octets.startswith(b"Return-Path"), "Return-Path is for final delivery")
        check(octets.count(b"\r\nReceived:") == 1 or octets.startswith(b"Received:"), f"{octets[:300]}")
        check(octets.endswith(b"\r\n\r\nHello.\r\n"), f"{octets[-60:]}")
        check(hop.connections <= 2, f"{hop.connections} connections for 5 messages in a row")
        books = settled(server, relayed=5)
        check(books["open"] == 0, f"{books}")
        check(queue(server) == [], "the queue is empty")
        server.stop()
    finally:
        server.close()
        hop.close()


@suite.case("nobody relays who is not asked to")
def open_relay():
    hop = Hop()
    server = relay_server([("r.example", hop.target)]).start()
    try:
        with Client(server) as client:
            client.greeting()
            client.ehlo()
            client.command("MAIL FROM:<a@client.example>", 250)
            for path in ("x%elsewhere.example@r.example", "\"x@elsewhere.example\"@r.example", "elsewhere.example!x@r.example",
                         "x@elsewhere.example", "@r.example:x@elsewhere.example", "x@[127.0.0.1]", "x@sub.r.example"):
                client.command(f"RCPT TO:<{path}>", 550)
            client.command("RCPT TO:<@elsewhere.example:x@r.example>", 250)  # a source route is ignored
        server.stop()
    finally:
        server.close()
        hop.close()


@suite.case("who is not in the list of recipients is refused")
def listed():
    hop = Hop()
    server = relay_server([("r.example", hop.target, {"recipients": "file=who.txt"})])
    with open(os.path.join(server.folder, "who.txt"), "w", encoding="utf-8") as file:
        file.write("# staff\nanna\nBob@R.example  # the boss\nzoe@elsewhere.example\n")
    server.start()
    try:
        with Client(server) as client:
            client.greeting()
            client.ehlo()
            client.command("MAIL FROM:<a@client.example>", 250)
            for address, code in (("anna", 250), ("ANNA", 250), ("bob", 250), ("postmaster", 250), ("zoe", 550), ("x", 550)):
                client.command(f"RCPT TO:<{address}@r.example>", code)
        server.stop()
    finally:
        server.close()
        hop.close()


@suite.case("4xx at each stage is tried again, and each message arrives once")
def temporary():
    hop = Hop()
    server = relay_server([("r.example", hop.target)]).start()
    try:
        for number, mode in enumerate(({"greeting": "421 4.3.2 not now"}, {"mail": "451 4.3.0 later"}, {"rcpt": {"*": "450 4.2.1 busy"}},
                                       {"data": "451 4.3.0 later"}, {"message": "452 4.3.1 full"}, {"drop": "mail"})):
            hop.mode = mode
            deliver(server, ["x@r.example"], f"stage {number}")
            wait_until(lambda: [entry for entry in queue(server) if entry["last_reply"]], 10, "a first attempt")
            check(len(hop.taken) == number, f"{mode}: {len(hop.taken)} taken")
            entries = queue(server)
            check(len(entries) == 1 and entries[0]["next_try"] and entries[0]["state"] == "waiting", f"{mode}: {entries}")
            check(entries[0]["last_reply"], f"{mode}: no reply shown")
            hop.mode = {}
            check(hop.wait(lambda h: len(h.taken) == number + 1), f"{mode}: not tried again; {queue(server)}")
        settled(server, relayed=6)
        server.stop()
    finally:
        server.close()
        hop.close()


@suite.case("5xx for one recipient: the sender gets one report, the others their mail")
def permanent():
    hop = Hop()
    hop.mode = {"rcpt": {"no@r.example": "550 5.1.1 no such user here"}}
    server = relay_server([("r.example", hop.target)]).start()
    try:
        ident, _ = deliver(server, ["yes@r.example", "no@r.example"], "half of it")
        books = settled(server, relayed=1, bounced=1, delivered=1)
        check(books["open"] == 0, f"{books}")
        stored = server.export(SENDER)
        check(len(stored) == 1, f"{len(stored)} reports")
        report = email.message_from_bytes(stored[0])
        check(report.get_content_type() == "multipart/report" and report["Return-Path"] == "<>", f"{stored[0][:400]}")
        status = report.get_payload()[1].get_payload()
        check(any(part["Action"] == "failed" and part["Status"] == "5.1.1" and "no@r.example" in part["Final-Recipient"]
                  for part in status), f"{stored[0]}")
        story = server.json("queue", "show", ident)["entries"][0]
        check(story["state"] == "closed", f"{story}")
        outcomes = {one["address"]: one for one in story["outcomes"]}
        check(outcomes["no@r.example"]["state"] == "bounced" and "no such user" in outcomes["no@r.example"]["reply"], f"{outcomes}")
        check(outcomes["yes@r.example"]["state"] == "relayed", f"{outcomes}")
        check(server.json("explain", ident)["action"] == "accept", "the decision outlives the delivery")
        # A report is never reported about: nobody hears of a message from nobody.
        hop.mode = {"rcpt": {"*": "550 5.1.1 no"}}
        deliver(server, ["x@r.example"], "from nobody", sender="")
        settled(server, bounced=2)
        check(len(server.export(SENDER)) == 1, "no second report")
        server.stop()
    finally:
        server.close()
        hop.close()


@suite.case("a report to a sender elsewhere goes through the queue, from the null path")
def report_onward():
    hop, home = Hop(), Hop()
    hop.mode = {"message": "554 5.7.1 we do not want it"}
    server = relay_server([("r.example", hop.target), ("home.example", home.target)]).start()
    try:
        deliver(server, ["x@r.example"], "unwanted", sender="sue@home.example")
        check(home.wait(lambda h: len(h.taken) == 1), "no report arrived")
        sender, recipients, octets = home.taken[0]
        check(sender == "" and recipients == ["sue@home.example"], f"{sender!r} {recipients}")
        check(b"multipart/report" in octets and not octets.startswith(b"Return-Path"), f"{octets[:200]}")
        settled(server, relayed=1, bounced=1)
        server.stop()
    finally:
        server.close()
        hop.close()
        home.close()


@suite.case("the connection lost after the final dot: a second copy, which is counted")
def in_doubt():
    hop = Hop()
    hop.mode = {"drop": "dot"}
    server = relay_server([("r.example", hop.target)]).start()
    try:
        deliver(server, ["x@r.example"], "doubtful")
        check(hop.wait(lambda h: len(h.taken) == 1), "nothing came")
        hop.mode = {}
        check(hop.wait(lambda h: len(h.taken) == 2), "not tried again")
        event = server.wait_event(lambda e: e["event"] == "relay" and e.get("in_doubt"), 5)
        check(event["result"] == "deferred", f"{event}")
        settled(server, relayed=1)
        server.stop()
    finally:
        server.close()
        hop.close()


@suite.case("a dead next hop: expiry, one report, and the backup takes over")
def dead():
    hop = Hop()
    nowhere = f"127.0.0.1:{free_port('127.0.0.1')}"
    server = relay_server([("dead.example", nowhere), ("backup.example", [nowhere, hop.target])],
                          queue={"expire_s": 60, "report_expire_s": 60}).start()
    try:
        deliver(server, ["x@backup.example"], "by the backup")
        check(hop.wait(lambda h: len(h.taken) == 1), "the second host was not tried")
        ident, _ = deliver(server, ["x@dead.example"], "for the dead")
        wait_until(lambda: queue(server) and queue(server)[0]["last_reply"], 10, "a first attempt")
        entry = queue(server)[0]
        check(entry["id"] == ident and entry["recipients"] == ["x@dead.example"] and entry["sender"] == SENDER, f"{entry}")
        check(server.json("status")["queue"]["destinations_paused"] == 1, "the destination pauses")
        # By hand: hold, release, and at last give up with a report.
        server.cli("queue", "hold", ident)
        check(queue(server, "--state", "held")[0]["next_try"] is None, "held entries have no next try")
        server.cli("queue", "release", ident)
        check(queue(server)[0]["state"] == "waiting", "released")
        server.cli("queue", "bounce", "--domain", "dead.example", expect=64)
        check(len(queue(server)) == 1, "a preview does nothing")
        server.cli("queue", "bounce", "--domain", "dead.example", "--yes")
        settled(server, bounced=1, delivered=1)
        check(b"x@dead.example" in server.export(SENDER)[0], "the report names the recipient")
        server.stop()
    finally:
        server.close()
        hop.close()


@suite.case("queue verbs: filters, retry, drop, and without a server")
def verbs():
    nowhere = f"127.0.0.1:{free_port('127.0.0.1')}"
    server = relay_server([("a.example", nowhere), ("b.example", nowhere)], queue={"retry_first_s": 600, "retry_max_s": 600}).start()
    try:
        for i in range(3):
            deliver(server, [f"u{i}@a.example", f"u{i}@b.example"], f"number {i}", sender=f"s{i}@client.example")
        wait_until(lambda: len(queue(server)) == 6, 10, "six entries")
        check(len(queue(server, "--domain", "a.example")) == 3, "by domain")
        check(len(queue(server, "--sender", "s1@client.example")) == 2, "by sender")
        check(len(queue(server, "--recipient", "U2@B.example")) == 1, "by recipient")
        check(len(queue(server, "--recipient", "@b.example")) == 3, "by the recipient's domain")
        check(len(queue(server, "--older-than", "3600")) == 0, "by age")
        wait_until(lambda: len(queue(server, "--reply", "refused")) == 6, 10, "by reply")
        hop = Hop(port=int(nowhere.rsplit(":", 1)[1]))
        server.cli("queue", "retry", "--domain", "a.example")
        check(hop.wait(lambda h: len(h.taken) == 3), f"retried: {len(hop.taken)}")
        settled(server, relayed=3)
        hop.close()
        some = queue(server)[0]["id"]
        server.cli("queue", "drop", some)
        settled(server, dropped=1)
        server.stop()
        check(len(queue(server)) == 2, "the store itself is read")
        server.cli("queue", "drop", "--all", "--yes")
        check(queue(server) == [], "and changed")
        server.cli("queue", "show", "0" * 20, expect=66)
        server.start()
        books = settled(server, dropped=3)
        check(books["open"] == 0, f"{books}")
        server.stop()
    finally:
        server.close()


@suite.case("a mailbox of ours and a relayed domain in one message")
def mixed():
    hop = Hop()
    server = relay_server([("r.example", hop.target)]).start()
    try:
        _, message = deliver(server, ["alice@test.example", "x@r.example"], "for both")
        check(hop.wait(lambda h: len(h.taken) == 1), "not relayed")
        settled(server, relayed=1, delivered=1)
        stored = server.export("alice@test.example")[0]
        check(stored.startswith(b"Return-Path: <alice@test.example>\r\n"), f"{stored[:80]}")
        check(stored[stored.index(b"\r\n") + 2:] == hop.taken[0][2], "the same octets behind Return-Path")
        server.stop()
    finally:
        server.close()
        hop.close()


@suite.case("smtp-sink takes 2000 messages, each once")
def sink():
    port = free_port("127.0.0.1")
    server = relay_server([("r.example", f"127.0.0.1:{port}")])
    dump = os.path.join(server.folder, "dump")
    os.mkdir(dump)
    os.chmod(server.folder, 0o755)
    os.chmod(dump, 0o777)
    program = "/usr/sbin/smtp-sink"
    if not os.path.exists(program):
        print("        skipped: there is no smtp-sink")
        server.close()
        return
    process = subprocess.Popen([program, "-c", "-u", "nobody", "-d", os.path.join(dump, "%M."), f"127.0.0.1:{port}", "128"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    server.start()
    try:
        with Client(server) as client:
            client.greeting()
            client.ehlo()
            for i in range(2000):
                reply = client.deliver(SENDER, ["x@r.example"], message_text(f"number {i}"))
                check(reply.code == 250, f"{reply}")
        settled(server, relayed=2000)
        wait_until(lambda: len(os.listdir(dump)) == 2000, 20, "2000 files")
        server.stop()
    finally:
        process.kill()
        process.wait()
        server.close()


if __name__ == "__main__":
    sys.exit(suite.run())
