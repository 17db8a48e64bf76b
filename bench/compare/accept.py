#!/usr/bin/env python3
"""What accepting a message costs: Postern into a mailbox and Postfix into its queue, side by side.

Both take the same load from Postfix's smtp-source over loopback, in alternating runs on the same file system, both with their
synced writes. Postfix's deliveries go to its discard transport and are counted, as its queue is not a place mail stays;
Postern's message is delivered when it is acknowledged. CPU is user+system of all processes of the server, from /proc.

    bench/compare/accept.py [--messages 5000] [--sessions 20] [--octets 4096] [--runs 5] [--postern build/postern]

Needs root (Postfix does) and Debian's package postfix; uses loopback addresses and a temporary folder of its own."""
import argparse
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

TICK = os.sysconf("SC_CLK_TCK")
SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def processes():
    """pid → (parent, own CPU seconds, CPU seconds of children that have ended, resident octets)"""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8") as file:
                fields = file.read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        found[int(name)] = (int(fields[1]), (int(fields[11]) + int(fields[12])) / TICK, (int(fields[13]) + int(fields[14])) / TICK,
                            int(fields[21]) * os.sysconf("SC_PAGE_SIZE"))
    return found


def cpu_of(root):
    """Of a process and everything below it, living or reaped."""
    table = processes()
    total, front = 0.0, [root]
    while front:
        pid = front.pop()
        if pid in table:
            total += table[pid][1] + table[pid][2]
        front += [child for child, row in table.items() if row[0] == pid]
    return total


def memory_of(root):
    """Proportional set size of the tree, octets."""
    table = processes()
    total, front = 0, [root]
    while front:
        pid = front.pop()
        try:
            with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
                total += int(re.search(r"^Pss:\s+(\d+) kB", file.read(), re.M).group(1)) * 1024
        except (OSError, AttributeError):
            pass
        front += [child for child, row in table.items() if row[0] == pid]
    return total


def free_port(address):
    with socket.socket() as probe:
        probe.bind((address, 0))
        return probe.getsockname()[1]


def wait_for(predicate, seconds, what):
    deadline = time.monotonic() + seconds
    while not predicate():
        if time.monotonic() > deadline:
            raise SystemExit(f"not within {seconds} s: {what}")
        time.sleep(0.02)


def greets(address, port):
    try:
        with socket.create_connection((address, port), 1) as connection:
            return connection.recv(3) == b"220"
    except OSError:
        return False


class Postern:
    name = "Postern, mailbox, synced"

    def __init__(self, folder, program, filters, cores):
        self.folder, self.program = folder, program
        self.address, self.port = "127.0.0.1", free_port("127.0.0.1")
        self.metrics = free_port("127.0.0.1")
        os.makedirs(folder)
        self.manifest = os.path.join(folder, "postern.toml")
        with open(self.manifest, "w", encoding="utf-8") as file:
            file.write(f"""hostname = "mx.bench.example"
postmaster = "sink@bench.example"
{f'cores = {cores}' if cores else ''}
[store]
path = "store"
[control]
socket = "control.sock"
[metrics]
listen = "127.0.0.1:{self.metrics}"
[log]
file = "log"
[[listener]]
address = "{self.address}:{self.port}"
[[domain]]
name = "bench.example"
[[account]]
address = "sink@bench.example"
[filter]
enabled = {'true' if filters else 'false'}
""")

    def start(self):
        self.process = subprocess.Popen([self.program, "serve", "--config", self.manifest], stdin=subprocess.DEVNULL)
        wait_for(lambda: greets(self.address, self.port), 20, "Postern greets")
        return self.process.pid

    def settle(self, sent):
        """A 250 means stored; nothing to wait for. Counted all the same."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        taken = sum(int(float(value)) for value in re.findall(r"^postern_messages_received_total(?:\{[^}]*\})? (\S+)", text, re.M))
        if taken < sent:
            raise SystemExit(f"Postern counts {taken} messages, {sent} were sent")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


class Postfix:
    name = "Postfix, queue, discard"

    def __init__(self, folder):
        self.folder = folder
        self.address, self.port = "127.0.0.1", free_port("127.0.0.1")
        for part in ("etc", "queue", "data"):
            os.makedirs(os.path.join(folder, part))
        os.chmod(os.path.dirname(folder), 0o755)
        os.chmod(folder, 0o755)
        etc = os.path.join(folder, "etc")
        shutil.chown(os.path.join(folder, "data"), "postfix")
        with open(os.path.join(etc, "main.cf"), "w", encoding="utf-8") as file:
            file.write(f"""compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
mail_owner = postfix
setgid_group = postdrop
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
myhostname = mx.bench.example
mydestination =
relay_domains = bench.example
transport_maps = static:discard
inet_interfaces = {self.address}
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
maillog_file = {folder}/queue/maillog
maillog_file_prefixes = {folder}
default_process_limit = 100
smtpd_peername_lookup = no
alias_maps =
smtpd_client_connection_rate_limit = 0
""")
        packaged = "/usr/share/postfix/master.cf.dist"
        with open(packaged if os.path.exists(packaged) else "/etc/postfix/master.cf", encoding="utf-8") as file:
            services = [line for line in file.read().split("\n") if line and not line.startswith("#")]
        kept, skip = [], False
        for line in services:
            if line[0] in " \t":
                if not skip:
                    kept.append(line)
                continue
            words = line.split()
            skip = words[0] in ("smtp",) and words[1] == "inet" or words[7] == "pipe"
            if not skip:
                words[4] = "n"  # no chroot: the measured folder has none of the files it would need
                kept.append("  ".join(words))
        kept.append(f"{self.address}:{self.port} inet n - n - - smtpd")
        if not any(line.startswith("postlog ") for line in kept):
            kept.append("postlog unix-dgram n - n - 1 postlogd")
        with open(os.path.join(etc, "master.cf"), "w", encoding="utf-8") as file:
            file.write("\n".join(kept) + "\n")

    def command(self, *words):
        return subprocess.run(["postfix", "-c", os.path.join(self.folder, "etc"), *words], capture_output=True, text=True, check=False)

    def start(self):
        done = self.command("start")
        if done.returncode != 0:
            raise SystemExit(f"postfix start: {done.stderr}{done.stdout}")
        wait_for(lambda: greets(self.address, self.port), 30, "Postfix greets")
        with open(os.path.join(self.folder, "queue/pid/master.pid"), encoding="ascii") as file:
            return int(file.read())

    def settle(self, sent):
        def empty():
            for part in ("incoming", "active", "deferred", "maildrop"):
                for _, _, names in os.walk(os.path.join(self.folder, "queue", part)):
                    if names:
                        return False
            return True
        wait_for(empty, 120, "Postfix's queue is empty")

    def stop(self):
        self.command("stop")


def load(server, arguments, kept):
    command = ["smtp-source", "-s", str(arguments.sessions), "-m", str(arguments.messages), "-l", str(arguments.octets),
               "-f", "source@client.example", "-t", "sink@bench.example", *(["-d"] if kept else []), f"{server.address}:{server.port}"]
    started = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    if done.returncode != 0 or done.stderr.strip():
        raise SystemExit(f"{' '.join(command)}: {done.stderr[-1000:]}")
    return time.monotonic() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=5000)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--octets", type=int, default=4096)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--cores", type=int, default=0, help="reactors of Postern; 0: all")
    parser.add_argument("--filters", action="store_true", help="Postern judges as well")
    parser.add_argument("--no-postfix", action="store_true")
    parser.add_argument("--folder", help="where both keep their files (default: a temporary folder)")
    parser.add_argument("--postern", default=os.path.join(SOURCE, "build", "postern"))
    arguments = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="accept-", dir=arguments.folder)
    servers = [Postern(os.path.join(folder, "postern"), arguments.postern, arguments.filters, arguments.cores)]
    if not arguments.no_postfix:
        servers.append(Postfix(os.path.join(folder, "postfix")))
    results = {}
    try:
        roots = {server: server.start() for server in servers}
        for run in range(arguments.runs + 1):  # the first warms up and is not counted
            for kept in (False, True):
                for server in servers:
                    before = cpu_of(roots[server])
                    seconds = load(server, arguments, kept)
                    server.settle(arguments.messages)
                    used = cpu_of(roots[server]) - before
                    if run > 0:
                        results.setdefault((kept, server.name), []).append((used * 1000 / arguments.messages, arguments.messages / seconds))
        memory = {server.name: memory_of(roots[server]) for server in servers}
    finally:
        for server in servers:
            try:
                server.stop()
            except Exception as problem:  # the other one must be stopped as well
                print(f"{server.name}: {problem}", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)

    print(f"{arguments.messages} messages of {arguments.octets} octets, {arguments.sessions} sessions, {arguments.runs} runs each, "
          f"{os.cpu_count()} cores shared with smtp-source")
    print(f"{'':34} {'CPU s / 1,000: median (min-max)':34} {'msg/s: median':>14} {'PSS MiB':>8}")
    for kept in (False, True):
        print("connections kept" if kept else "one connection per message")
        medians = {}
        for server in servers:
            rows = results[(kept, server.name)]
            cpu, rate = [row[0] for row in rows], [row[1] for row in rows]
            medians[server.name] = statistics.median(cpu)
            print(f"  {server.name:32} {statistics.median(cpu):.4f} ({min(cpu):.4f}-{max(cpu):.4f}){'':12} "
                  f"{statistics.median(rate):>14.0f} {memory[server.name] / 2**20:>8.0f}")
        if len(servers) == 2:
            ours, theirs = (results[(kept, server.name)] for server in servers)
            ratios = [b[0] / a[0] for a, b in zip(ours, theirs)]
            print(f"  Postfix / Postern, run by run: median {statistics.median(ratios):.1f} ({min(ratios):.1f}-{max(ratios):.1f})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
