#!/usr/bin/env python3
"""kill -9 at random moments while mail is relayed: nothing that was acknowledged is lost, second copies are at most those that
were on their way, and the ledger balances. POSTERN_CRASHES sets the number of kills, POSTERN_SEED repeats a run."""
import collections
import os
import random
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from crash_test import Load  # noqa: E402
from harness import SANITIZED, Server, Suite, check, wait_until  # noqa: E402
from next_hop import Hop  # noqa: E402

CRASHES = int(os.environ.get("POSTERN_CRASHES", "10" if SANITIZED else "50"))
SEED = int(os.environ.get("POSTERN_SEED", str(random.randrange(1 << 32))))
SESSIONS = 3
CONNECTIONS_MAX = 8  # to each of the two next hops: no more can be on their way when the power goes
suite = Suite(f"relay crash, seed {SEED}")


def message_id(octets):
    at = octets.find(b"\r\nMessage-ID: ")
    return octets[at:octets.find(b"\r\n", at + 2)]


@suite.case(f"{CRASHES} kills while relaying")
def crashes():
    chance = random.Random(SEED)
    hops = [Hop(), Hop()]
    domains = [f"r{i}.example" for i in range(len(hops))]
    server = Server({
        "cores": 2,
        "domain": [{"name": "test.example"}] + [
            {"name": name, "deliver": "relay", "to": [hop.target], "recipients": "any"} for name, hop in zip(domains, hops)],
        "account": [{"address": "alice@test.example"}],
        "queue": {"retry_first_s": 1, "retry_max_s": 1, "retry_factor": 1.0, "connections_per_destination_max": CONNECTIONS_MAX},
    })
    promised = []
    try:
        for number in range(CRASHES):
            # Now and then a next hop is out of sorts.
            for hop in hops:
                hop.mode = chance.choice(({}, {}, {}, {"message": "451 4.3.0 later"}, {"rcpt": {"*": "450 4.2.1 busy"}}))
            server.start()
            loads = [Load(server, f"x@{domains[i % len(domains)]}", chance.randrange(1 << 62)) for i in range(SESSIONS)]
            for load in loads:
                load.start()
            time.sleep(chance.uniform(0.05, 0.6))
            server.kill()
            for load in loads:
                load.join(30)
                check(not load.is_alive(), "a client still waits")
                check(load.problem is None, load.problem)
                promised += load.promised
        for hop in hops:
            hop.mode = {}
        server.start()
        wait_until(lambda: server.json("status")["queue"]["entries"] == 0, 300, "an empty queue")
        books = server.json("status")["ledger"]
        check(books["balanced"] and books["open"] == 0, f"{books}")
        report = server.json("mailbox", "verify")
        check(not report["problems"], f"verify: {report['problems'][:5]}")
        server.stop()
        copies = collections.Counter(message_id(octets) for hop in hops for octets in hop.bodies())
        lost = [name for name, message in promised if copies[message_id(message)] == 0]
        check(not lost, f"{len(lost)} of {len(promised)} messages are lost: {lost[:5]}")
        again = sum(count - 1 for count in copies.values())
        check(again <= CRASHES * CONNECTIONS_MAX * len(hops), f"{again} second copies after {CRASHES} kills")
        check(len(promised) > CRASHES, f"only {len(promised)} messages: nothing was tested")
        print(f"        {len(promised)} messages acknowledged, {sum(copies.values())} arrived, {again} of them second copies")
    finally:
        server.close()
        for hop in hops:
            hop.close()


if __name__ == "__main__":
    sys.exit(suite.run())
