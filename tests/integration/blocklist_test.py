#!/usr/bin/env python3
"""DNS lists that misbehave, and what protects mail from them: the real server, nsd behind a name server that drops, fails, cuts short
and lies on demand. Also greylisting over a restart, and lists in files that change under a running server."""
import contextlib
import os
import socket
import struct
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from authentication_test import NSD, NameServer, deliver, to_recipients  # noqa: E402
from harness import PATIENCE, Server, Suite, check, own_address, wait_until  # noqa: E402

suite = Suite("blocklists")
TYPE_A = 1


def question_of(query):
    """Name in lower case, and type."""
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode("latin-1").lower())
        at += 1 + query[at]
    return ".".join(labels), struct.unpack("!H", query[at + 1:at + 3])[0], query[12:at + 5]


def response(query, rcode=0, address=None, truncated=False):
    _, _, question = question_of(query)
    flags = 0x8180 | rcode | (0x0200 if truncated else 0)
    answer = b"" if address is None else b"\xc0\x0c" + struct.pack("!HHIH", TYPE_A, 1, 0, 4) + socket.inet_aton(address)
    return query[:2] + struct.pack("!HHHHH", flags, 1, 1 if answer else 0, 0, 0) + question + answer


class Meddler:
    """Passes questions on to nsd, but for the zones that it has something in mind with."""

    def __init__(self, behind):
        self.behind = behind
        self.lying = True
        self.asked = []
        self.address = own_address()
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind((self.address, 0))
        self.port = self.udp.getsockname()[1]
        self.tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.tcp.bind((self.address, self.port))
        self.tcp.listen(16)
        self.stopped = threading.Event()
        self.threads = [threading.Thread(target=target, daemon=True) for target in (self.serve_udp, self.serve_tcp)]
        for thread in self.threads:
            thread.start()

    def own_answer(self, query, tcp):
        """None: nsd's. b"": silence."""
        name, kind, _ = question_of(query)
        self.asked.append((name, kind, tcp))
        if name.endswith("silent.test"):
            return b""
        if name.endswith("broken.test"):
            return response(query, rcode=2)
        if name.endswith("cut.test") and not tcp:
            return response(query, truncated=True)
        if name.endswith("liar.test"):
            listed = self.lying or name == "2.0.0.127.liar.test"
            return response(query, address="127.0.0.2") if listed and kind == TYPE_A else response(query, rcode=3)
        return None

    def serve_udp(self):
        self.udp.settimeout(0.2)
        while not self.stopped.is_set():
            try:
                query, peer = self.udp.recvfrom(4096)
                answer = self.own_answer(query, False)
                if answer is None:
                    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as upstream:
                        upstream.settimeout(2)
                        upstream.sendto(query, (self.behind.address, self.behind.port))
                        answer = upstream.recv(65535)
                if answer:
                    self.udp.sendto(answer, peer)
            except OSError:
                pass

    def serve_tcp(self):
        self.tcp.settimeout(0.2)
        while not self.stopped.is_set():
            try:
                connection, _ = self.tcp.accept()
                with connection:
                    connection.settimeout(2)
                    stream = connection.makefile("rb")
                    while size := stream.read(2):
                        query = stream.read(struct.unpack("!H", size)[0])
                        answer = self.own_answer(query, True)
                        if answer is None:
                            with socket.create_connection((self.behind.address, self.behind.port), 2) as upstream:
                                upstream.sendall(struct.pack("!H", len(query)) + query)
                                from_behind = upstream.makefile("rb")
                                answer = from_behind.read(struct.unpack("!H", from_behind.read(2))[0])
                        if answer:
                            connection.sendall(struct.pack("!H", len(answer)) + answer)
            except OSError:
                pass

    def close(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join()
        self.udp.close()
        self.tcp.close()


CUT = "66.2.0.192.cut IN A 127.0.0.2\n2.0.0.127.cut IN A 127.0.0.2\n2.0.0.127.bl IN A 127.0.0.2\n"
world = {}


def meddler():
    if not world:
        world["nsd"] = NameServer(more=CUT)
        world["meddler"] = Meddler(world["nsd"])
    return world["meddler"]


def lists(*zones):
    return [{"zone": zone, "kind": "ip", "answers": {"127.0.0.2": "listed"}, "score": 20.0} for zone in zones]


def gateway(zones, filters=None, **over):
    dns = meddler()
    tree = {"dns": {"resolvers": [f"{dns.address}:{dns.port}"], "timeout_ms": 800, "budget_ms": 1500}, "blocklist": lists(*zones),
            "filter": {"blocklist_probe_s": 3600, **(filters or {})}}
    tree.update(over)
    return contextlib.closing(Server(tree, listeners=("xclient",)))


def state_of(server, zone):
    for entry in server.json("status")["blocklists"]:
        if entry["zone"] == zone:
            return entry["state"]
    return None


@suite.case("a list that truncates is asked by TCP, and refuses at RCPT")
def truncated():
    with gateway(["cut.test"]) as server:
        server.start()
        refused, postmaster = to_recipients(server, "192.0.2.66", "a@soft.test", ["a@any.example", "postmaster@any.example"])
        check((refused.code, refused.enhanced) == (554, "5.7.1") and "cut.test" in refused.text, str(refused))
        check(postmaster.code == 250, str(postmaster))
        check(any(name == "66.2.0.192.cut.test" and tcp for name, _, tcp in meddler().asked), "it was not asked by TCP")
        server.stop()


@suite.case("lists that are silent, broken and absent keep nobody out, cost bounded time, and are named")
def trouble():
    with gateway(["silent.test", "broken.test", "nowhere.example"]) as server:
        server.start()
        started = time.monotonic()
        answer = deliver(server, "192.0.2.66", "a@soft.test", "a@soft.test", "trouble@any.example")
        took = time.monotonic() - started
        check(answer.code == 250, str(answer))
        check(took < 3.5 * PATIENCE, f"{took:.1f} s")
        incomplete = server.json("explain", answer.id)["incomplete"]
        for zone in ("silent.test", "broken.test"):
            check(any(entry.startswith(f"blocklist {zone}: ") for entry in incomplete), f"{zone} is not among {incomplete}")
        server.stop()


@suite.case("a list that lies is benched by its test entries, and comes back when it stops")
def liar():
    dns = meddler()
    dns.lying = True
    with gateway(["liar.test", "bl.test"], {"blocklist_probe_s": 1}) as server:
        server.start()
        wait_until(lambda: state_of(server, "liar.test") == "benched", 10, "liar.test is benched")
        wait_until(lambda: state_of(server, "bl.test") == "sound", 10, "bl.test is found sound")
        check(b"liar.test BENCHED" in server.cli("status").stdout, "the screen does not say so")
        accepted, = to_recipients(server, "192.0.2.10", "a@good.test", ["a@any.example"])
        check(accepted.code == 250, f"the liar was believed: {accepted}")
        refused, = to_recipients(server, "192.0.2.66", "a@good.test", ["a@any.example"])
        check(refused.code == 554, f"the other list is not asked: {refused}")
        server.wait_event("blocklist_benched", 5)
        dns.lying = False
        wait_until(lambda: state_of(server, "liar.test") == "sound", 20, "liar.test is taken back")
        server.wait_event("blocklist_returned", 5)
        server.stop()


@suite.case("greylisting: once 450, then taken, and a restart forgets nothing")
def greylisting():
    with gateway(["bl.test"], {"greylist": {"enabled": True, "delay_s": 2, "window_s": 600}}) as server:
        server.start()
        reply, postmaster = to_recipients(server, "192.0.2.99", "a@soft.test", ["a@any.example", "postmaster@any.example"])
        check((reply.code, reply.enhanced) == (450, "4.7.1") and "SPF gives softfail" in reply.text or "reverse name" in reply.text, str(reply))
        check(postmaster.code == 250, f"the postmaster: {postmaster}")
        sure, = to_recipients(server, "192.0.2.10", "a@good.test", ["a@any.example"])
        check(sure.code == 250, f"nothing speaks against this one: {sure}")
        time.sleep(2.2 * PATIENCE)
        server.stop()
        server.start()
        again, = to_recipients(server, "192.0.2.98", "a@soft.test", ["a@any.example"])
        check(again.code == 250, f"from another machine of its network: {again}")
        other, stranger = (to_recipients(server, "192.0.2.99", sender, ["b@any.example"])[0] for sender in ("a@soft.test", "b@soft.test"))
        check(other.code == 250, f"the sender is learned: {other}")
        check(stranger.code == 450, f"another is not: {stranger}")
        server.stop()


@suite.case("lists in files: refused, and allowed after the file has changed")
def files():
    with gateway([], {"authentication": {"enabled": False}, "block": {"client_files": ["clients.txt"], "sender_files": ["senders.txt"]}},
                 blocklist=None) as server:
        def write(name, text):
            path = os.path.join(server.folder, name)
            with open(path + ".new", "w", encoding="utf-8") as file:
                file.write(text)
            os.replace(path + ".new", path)
        write("clients.txt", "# who is not welcome\n203.0.113.0/24\nnonsense\n")
        write("senders.txt", "bad.example\n")
        server.start()
        server.wait_event("config_warning", 5)
        check(server.json("status")["local_lists"]["entries"] == 2, "two entries")
        with server.connect("xclient") as connection:
            connection.greeting()
            connection.ehlo()
            connection.command("XCLIENT ADDR=203.0.113.7 NAME=[UNAVAILABLE]", 554)
        with server.connect("xclient") as connection:
            connection.greeting()
            connection.ehlo()
            connection.command("MAIL FROM:<a@mail.bad.example>", 550)
        write("senders.txt", "worse.example\n")
        server.wait_event("lists_reloaded", 15)
        with server.connect("xclient") as connection:
            connection.greeting()
            connection.ehlo()
            connection.command("MAIL FROM:<a@mail.bad.example>", 250)
            connection.command("RSET", 250)
            connection.command("MAIL FROM:<a@worse.example>", 550)
        server.stop()


if __name__ == "__main__":
    if not os.path.exists(NSD):
        print("nsd is not installed: skipped")
        sys.exit(77)
    try:
        code = suite.run()
    finally:
        for part in reversed(list(world.values())):
            part.close()
    sys.exit(code)
