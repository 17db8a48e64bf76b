#!/usr/bin/env python3
"""kill -9 at random moments under load: every message answered with 250 is in its mailbox afterwards, octet for octet, and
the store's references are whole. POSTERN_CRASHES sets the number of kills, POSTERN_SEED repeats a run."""
import os
import random
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import SANITIZED, Client, Failure, Server, Suite, check, message_text, without_trace  # noqa: E402

CRASHES = int(os.environ.get("POSTERN_CRASHES", "10" if SANITIZED else "50"))
SEED = int(os.environ.get("POSTERN_SEED", str(random.randrange(1 << 32))))
SESSIONS = 8
SIZES = (0, 300, 4096, 20_000, 300_000)

suite = Suite(f"crash, seed {SEED}")


class Load(threading.Thread):
    """One client that delivers until the server dies, and remembers what it was promised."""

    def __init__(self, server, recipient, seed):
        super().__init__(daemon=True)
        self.server, self.recipient = server, recipient
        self.random = random.Random(seed)
        self.promised = []
        self.problem = None

    def run(self):
        try:
            with Client(self.server, seconds=20) as client:
                client.greeting()
                client.ehlo()
                while True:
                    size = self.random.choice(SIZES)
                    line = self.random.randbytes(30).hex().encode() + b"\r\n"
                    message = message_text("crash", line * (size // len(line) + 1))
                    reply = client.deliver("sender@client.example", [self.recipient], message)
                    if reply.code == 250:
                        self.promised.append((reply.id, message))
                    elif reply.code not in (421, 451, 452):
                        self.problem = f"the end of data was answered with {reply}"
                        return
        except Failure as failure:
            if "expected" in str(failure):
                self.problem = str(failure)
        except (OSError, ValueError):
            pass  # the server has been killed


def verify(server):
    report = server.json("mailbox", "verify")
    check(not report["problems"], f"verify: {report['problems'][:5]}")
    return report


@suite.case(f"{CRASHES} kills under load")
def crashes():
    chance = random.Random(SEED)
    total = 0
    with_load = 0
    server = Server({"cores": 2})
    try:
        promised = {}
        for number in range(CRASHES):
            server.start()
            address = f"round-{number}@any.example"
            loads = [Load(server, address, chance.randrange(1 << 62)) for _ in range(SESSIONS)]
            for load in loads:
                load.start()
            time.sleep(chance.uniform(0.03, 0.5))
            server.kill()
            for load in loads:
                load.join(30)
                check(not load.is_alive(), "a client still waits")
                check(load.problem is None, load.problem)
            promised[address] = [entry for load in loads for entry in load.promised]
            total += len(promised[address])
            with_load += bool(promised[address])
            server.start()
            stored = server.export(address) if promised[address] else []
            compare(address, promised[address], stored)
            if number % 10 == 9 or number == CRASHES - 1:
                verify(server)
            server.kill() if chance.random() < 0.5 else server.stop()
        # All of it again at the end: nothing of an early round went away later.
        server.start()
        for address in chance.sample(sorted(promised), min(10, len(promised))):
            if promised[address]:
                compare(address, promised[address], server.export(address))
        report = verify(server)
        status = server.json("status")
        check(status["ledger"]["balanced"], f"the ledger does not balance: {status['ledger']}")
        check(report["entries"] >= total, f"{report['entries']} entries, {total} promised")
        server.stop()
        check(with_load * 2 >= CRASHES, f"only {with_load} of {CRASHES} rounds had load: nothing was tested")
        print(f"        {total} messages acknowledged, {report['entries']} stored")
    finally:
        server.close()


def compare(address, promised, stored):
    """Each promised message once; one that was stored without a 250 having been seen may be there as well."""
    bodies = {}
    for octets in stored:
        marker = octets.find(b"\r\nMessage-ID: ")
        bodies[octets[marker:octets.find(b"\r\n", marker + 2)]] = octets
    check(len(bodies) == len(stored), f"{address}: a message is there twice")
    for name, message in promised:
        marker = message.find(b"\r\nMessage-ID: ")
        octets = bodies.get(message[marker:message.find(b"\r\n", marker + 2)])
        check(octets is not None, f"{address}: message {name} was acknowledged and is lost")
        without_trace(octets, message)


if __name__ == "__main__":
    sys.exit(suite.run())
