#!/usr/bin/env python3
"""What relaying a message costs: Postern with its filters on and Postfix with none, side by side, to the same next hop.

smtp-source sends the same load to both in alternating runs; both hand it on over loopback to one smtp-sink, both with their synced
queues. A run ends when the sink's side is through: nothing waits in the queue any more. CPU is user+system of all processes of the
server, from /proc. The last column is how fast each drains a queue that was filled while the next hop was away.

    bench/compare/relay.py [--messages 3000] [--sessions 20] [--octets 4096] [--runs 3] [--postern build/postern]

Needs root (Postfix does) and Debian's package postfix; uses loopback addresses and a temporary folder of its own."""
import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import accept  # noqa: E402
from accept import cpu_of, free_port, greets, load, wait_for  # noqa: E402

FLOOR = 20  # Postfix's CPU over ours
SECONDS = 300  # for one queue to drain


class Sink:
    """Postfix's smtp-sink: takes everything and keeps nothing."""

    def __init__(self, folder):
        self.folder, self.address, self.port = folder, "127.0.0.1", free_port("127.0.0.1")
        self.process = None

    def start(self):
        user = ["-u", "postfix"] if os.geteuid() == 0 else []
        self.process = subprocess.Popen(["smtp-sink", *user, f"{self.address}:{self.port}", "1000"], cwd=self.folder,
                                        stdin=subprocess.DEVNULL)
        wait_for(lambda: greets(self.address, self.port), 10, "smtp-sink greets")

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(10)


class Postern(accept.Postern):
    name = "Postern, filters on"

    def __init__(self, folder, program, cores, sink):
        super().__init__(folder, program, True, cores)
        with open(self.manifest, encoding="utf-8") as file:
            text = file.read()
        text = text[:text.index("[[account]]")] + text[text.index("[filter]"):]
        text = text.replace('postmaster = "sink@bench.example"\n', '')
        text = text.replace('name = "bench.example"\n',
                            f'name = "bench.example"\ndeliver = "relay"\nto = ["{sink.address}:{sink.port}"]\nrecipients = "any"\n')
        with open(self.manifest, "w", encoding="utf-8") as file:
            file.write(text)
        self.relayed = 0

    def figures(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics", timeout=10) as answer:
            text = answer.read().decode()

        def figure(name):
            found = re.search(rf"^{re.escape(name)} (\S+)", text, re.M)
            return float(found.group(1)) if found else 0
        return int(figure("postern_queue_entries")), int(figure('postern_queue_recipients_total{result="relayed"}'))

    def waiting(self):
        return self.figures()[0]

    def settle(self, sent):
        wait_for(lambda: self.waiting() == 0, SECONDS, "Postern's queue is empty")
        relayed = self.figures()[1]
        if relayed - self.relayed < sent:
            raise SystemExit(f"Postern relayed {relayed - self.relayed} messages, {sent} were sent")
        self.relayed = relayed

    def retry(self):
        subprocess.run([self.program, "queue", "retry", "--config", self.manifest, "--all", "--yes"],
                       stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL, check=True, timeout=60)


class Postfix(accept.Postfix):
    name = "Postfix, no filter"

    def __init__(self, folder, sink):
        super().__init__(folder)
        main = os.path.join(folder, "etc/main.cf")
        with open(main, encoding="utf-8") as file:
            text = file.read()
        with open(main, "w", encoding="utf-8") as file:
            file.write(text.replace("transport_maps = static:discard", f"transport_maps = static:smtp:[{sink.address}]:{sink.port}"))

    def waiting(self):
        return sum(len(names) for part in ("incoming", "active", "deferred", "maildrop")
                   for _, _, names in os.walk(os.path.join(self.folder, "queue", part)))

    def settle(self, sent):
        wait_for(lambda: self.waiting() == 0, SECONDS, "Postfix's queue is empty")

    def retry(self):
        subprocess.run(["postqueue", "-c", os.path.join(self.folder, "etc"), "-f"], check=True, timeout=60)


def drain(server, sink, arguments):
    """Messages per second out of a queue that had to wait."""
    sink.stop()
    load(server, arguments, True)
    time.sleep(2)  # both have noticed by now that nobody is there
    waiting = server.waiting()
    sink.start()
    started = time.monotonic()
    server.retry()
    server.settle(arguments.messages)
    return waiting / (time.monotonic() - started)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=3000)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--octets", type=int, default=4096)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--cores", type=int, default=0, help="reactors of Postern; 0: all")
    parser.add_argument("--no-postfix", action="store_true")
    parser.add_argument("--folder", help="where both keep their files (default: a temporary folder)")
    parser.add_argument("--postern", default=os.path.join(accept.SOURCE, "build", "postern"))
    arguments = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="relay-", dir=arguments.folder)
    sink = Sink(folder)
    servers = [Postern(os.path.join(folder, "postern"), arguments.postern, arguments.cores, sink)]
    if not arguments.no_postfix:
        servers.append(Postfix(os.path.join(folder, "postfix"), sink))
    results, drained = {}, {}
    try:
        os.chmod(folder, 0o755)
        sink.start()
        roots = {server: server.start() for server in servers}
        for run in range(arguments.runs + 1):  # the first warms up and is not counted
            for server in servers:
                before, started = cpu_of(roots[server]), time.monotonic()
                load(server, arguments, True)
                server.settle(arguments.messages)
                seconds = time.monotonic() - started
                used = cpu_of(roots[server]) - before
                if run > 0:
                    results.setdefault(server.name, []).append((used * 1000 / arguments.messages, arguments.messages / seconds))
        for server in servers:
            drained[server.name] = drain(server, sink, arguments)
    finally:
        for server in servers:
            try:
                server.stop()
            except Exception as problem:  # the other one must be stopped as well
                print(f"{server.name}: {problem}", file=sys.stderr)
        sink.stop()
        shutil.rmtree(folder, ignore_errors=True)

    print(f"{arguments.messages} messages of {arguments.octets} octets, {arguments.sessions} sessions, {arguments.runs} runs each, "
          f"{os.cpu_count()} cores shared with smtp-source and smtp-sink")
    print(f"{'':24} {'CPU s / 1,000: median (min-max)':34} {'msg/s: median':>14} {'drained msg/s':>14}")
    for server in servers:
        cpu, rate = zip(*results[server.name])
        print(f"  {server.name:22} {statistics.median(cpu):.4f} ({min(cpu):.4f}-{max(cpu):.4f}){'':12} "
              f"{statistics.median(rate):>14.0f} {drained[server.name]:>14.0f}")
    if len(servers) == 2:
        ours, theirs = (results[server.name] for server in servers)
        ratios = [b[0] / a[0] for a, b in zip(ours, theirs)]
        print(f"  Postfix / Postern, run by run: median {statistics.median(ratios):.1f} ({min(ratios):.1f}-{max(ratios):.1f}); "
              f"the floor is {FLOOR}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
