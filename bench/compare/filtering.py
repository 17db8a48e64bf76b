#!/usr/bin/env python3
"""What a message costs with everything judged: Postern against Postfix + rspamd + Redis + unbound, side by side.

Both take the same corpus from postern_load in alternating runs, in a network namespace of the script's own: its loopback device has a
public address, so that SPF and blocklists have something to judge. Both ask one unbound that knows the sender's domain (SPF, DMARC, MX)
and answers NXDOMAIN for everything else; its CPU counts for whoever caused it. Both have learned the same 250 messages of each class.
Postern puts mail into a mailbox, synced; Postfix into its queue, synced, its deliveries go to `discard`. rspamd stands as packaged
but for greylisting and for its fuzzy hashes, which ask a service of its makers',
behind the milter protocol, scanning in the proxy process, its classifier in Redis. CPU is user+system of all processes.

    bench/compare/filtering.py --ham DIR --spam DIR [--messages 2000] [--connections 20] [--runs 3] [--postern build/postern]

DIR: messages as files, the shared corpus for instance. Needs root and Debian's packages postfix, rspamd, redis-server, unbound,
iproute2, which it installs where they are missing (--install)."""
import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import accept  # noqa: E402
from accept import cpu_of, free_port, greets, memory_of, wait_for  # noqa: E402

ADDRESS = "198.51.100.7"  # of the loopback device in the namespace: client and servers (RFC 5737)
PACKAGES = ["postfix", "rspamd", "redis-server", "unbound", "iproute2"]
LEARNED = 250  # messages of each class
LISTS = ("bl1.lists.example", "bl2.lists.example")


def spawn(words, folder, name):
    with open(os.path.join(folder, name + ".out"), "ab") as out:
        return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=folder)


def accepts(address, port):
    try:
        with accept.socket.create_connection((address, port), 1):
            return True
    except OSError:
        return False


class Peer:
    """A process of somebody else's, ended with ours."""

    def __init__(self, folder):
        self.folder, self.port, self.process = folder, free_port("127.0.0.1"), None
        os.makedirs(folder)

    def run(self, words, name):
        self.process = spawn(words, self.folder, name)
        try:
            wait_for(lambda: accepts("127.0.0.1", self.port), 150, f"{name} listens")
        except SystemExit:
            with open(os.path.join(self.folder, name + ".out"), encoding="utf-8", errors="replace") as file:
                print(file.read()[-3000:], file=sys.stderr)
            raise

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)


class Unbound(Peer):
    def start(self):
        configuration = os.path.join(self.folder, "unbound.conf")
        with open(configuration, "w", encoding="ascii") as file:
            file.write(f"""server:
  interface: 127.0.0.1@{self.port}
  access-control: 127.0.0.0/8 allow
  do-daemonize: no
  use-syslog: no
  logfile: ""
  verbosity: 0
  chroot: ""
  username: ""
  directory: "{self.folder}"
  pidfile: "{self.folder}/pid"
  module-config: "iterator"
  local-zone: "." static
  local-data: "source.example. 3600 MX 10 mx.source.example."
  local-data: "mx.source.example. 3600 A {ADDRESS}"
  local-data: 'source.example. 3600 TXT "v=spf1 include:spf.source.example -all"'
  local-data: 'spf.source.example. 3600 TXT "v=spf1 ip4:198.51.100.0/24 -all"'
  local-data: '_dmarc.source.example. 3600 TXT "v=DMARC1; p=none"'
  local-data-ptr: "{ADDRESS} 3600 mx.source.example"
remote-control:
  control-enable: no
""")
        self.run(["unbound", "-d", "-c", configuration], "unbound")


class Redis(Peer):
    def start(self):
        self.run(["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", self.folder, "--save", "",
                  "--appendonly", "no"], "redis")


class Rspamd(Peer):
    """As packaged; what is set here is only where things are."""

    def __init__(self, folder, unbound, redis):
        super().__init__(folder)
        self.controller = free_port("127.0.0.1")
        local = os.path.join(folder, "conf", "local.d")
        os.makedirs(local)
        for part in ("db", "run", "log"):
            os.makedirs(os.path.join(folder, part))
        files = {
            "options.inc": f'dns {{ nameserver = ["127.0.0.1:{unbound.port}"]; }}\nlocal_addrs = [];\n',
            "worker-proxy.inc": f'bind_socket = "127.0.0.1:{self.port}";\nupstream "local" {{ default = yes; self_scan = yes; }}\n',
            "worker-normal.inc": "enabled = false;\n",
            "worker-controller.inc": f'bind_socket = "127.0.0.1:{self.controller}";\nsecure_ip = "127.0.0.1";\n',
            "redis.conf": f'servers = "127.0.0.1:{redis.port}";\n',
            "logging.inc": 'level = "warning";\n',
            "greylist.conf": "enabled = false;\n",
            "fuzzy_check.conf": "enabled = false;\n",  # asks a service of its makers'
        }
        for name, text in files.items():
            with open(os.path.join(local, name), "w", encoding="ascii") as file:
                file.write(text)
        for path, names, _ in os.walk(folder):
            for name in [path] + [os.path.join(path, one) for one in names]:
                shutil.chown(name, "_rspamd", "_rspamd")

    def start(self):
        folder = self.folder
        self.run(["rspamd", "-f", "-u", "_rspamd", "-g", "_rspamd", "-c", "/etc/rspamd/rspamd.conf",
                  f"--var=LOCAL_CONFDIR={folder}/conf", f"--var=DBDIR={folder}/db", f"--var=RUNDIR={folder}/run",
                  f"--var=LOGDIR={folder}/log"], "rspamd")

    def learn(self, kind, files):
        done = subprocess.run(["rspamc", "-h", f"127.0.0.1:{self.controller}", f"learn_{kind}", *files], capture_output=True,
                              text=True, check=False, timeout=300)
        if "success = true" not in done.stdout:
            raise SystemExit(f"rspamc learn_{kind}: {done.stdout[-500:]}{done.stderr[-500:]}")


class Postfix(accept.Postfix):
    name = "Postfix + rspamd"

    def __init__(self, folder, rspamd):
        super().__init__(folder)
        self.address = ADDRESS
        for name, change in (("main.cf", lambda text: text.replace("127.0.0.1", ADDRESS) + f"""smtpd_milters = inet:127.0.0.1:{rspamd.port}
milter_default_action = tempfail
message_size_limit = 104857600
mynetworks = 203.0.113.1/32
smtpd_recipient_restrictions = permit_mynetworks, reject_unauth_destination
"""), ("master.cf", lambda text: text.replace(f"127.0.0.1:{self.port}", f"{ADDRESS}:{self.port}"))):
            path = os.path.join(folder, "etc", name)
            with open(path, encoding="utf-8") as file:
                text = file.read()
            with open(path, "w", encoding="utf-8") as file:
                file.write(change(text))


class Postern(accept.Postern):
    name = "Postern"

    def __init__(self, folder, program, unbound):
        super().__init__(folder, program, True, 0)
        self.address = ADDRESS
        shutil.copytree(os.path.join(accept.SOURCE, "deploy/manifests/rules"), os.path.join(folder, "rules"))
        with open(self.manifest, encoding="utf-8") as file:
            text = file.read().replace(f'"127.0.0.1:{self.port}"', f'"{ADDRESS}:{self.port}"')
        lists = "".join(f'[[blocklist]]\nzone = "{zone}"\nkind = "ip"\nanswers = {{ "127.0.0.2" = "listed" }}\nscore = 4.0\n' for zone in LISTS)
        with open(self.manifest, "w", encoding="utf-8") as file:
            file.write(text + f'[filter.bayes]\nenabled = true\n[dns]\nresolvers = ["127.0.0.1:{unbound.port}"]\n' + lists)

    def start(self):
        self.process = spawn([self.program, "serve", "--config", self.manifest], self.folder, "postern")
        wait_for(lambda: greets(self.address, self.port), 150, "Postern greets")  # the rules are compiled first
        return self.process.pid

    def learn(self, kind, files):
        subprocess.run([self.program, "learn", kind, "--config", self.manifest, *files], check=True, timeout=300,
                       stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)

    def settle(self, sent):
        """A 250 means stored; nothing to wait for."""


def load(server, arguments, corpus):
    words = [arguments.load, "--target", f"{server.address}:{server.port}", "--rcpt", "sink@bench.example", "--from", "bounce@source.example",
             "--helo", "mx.source.example", "--connections", str(arguments.connections), "--messages", str(arguments.messages),
             "--messages-per-connection", "10", "--corpus", corpus, "--timeout", "60", "--json"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=900)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(words)}: {done.stderr[-1000:]}")
    report = json.loads(done.stdout)
    counts = report["messages"]
    if counts["accepted"] + counts["refused"] != arguments.messages:
        raise SystemExit(f"{server.name}: {counts} {report['errors']}")
    if counts["accepted"] == 0:
        raise SystemExit(f"{server.name} accepts nothing: {report['replies']}")
    return report


def latency(report):
    return report["latency_ms"]["data to reply"]


def chosen(folder, count, seed):
    """Files, always the same ones: learned, and sent."""
    names = sorted(os.path.join(path, name) for path, _, found in os.walk(folder) for name in found)
    random.Random(seed).shuffle(names)
    if len(names) < 2 * count:
        raise SystemExit(f"{folder}: {len(names)} messages, {2 * count} are needed")
    return names[:count], names[count:]


def bench(arguments, folder):
    os.chmod(folder, 0o755)
    ham, other_ham = chosen(arguments.ham, LEARNED, 1)
    spam, other_spam = chosen(arguments.spam, LEARNED, 2)
    corpus = os.path.join(folder, "corpus")
    os.makedirs(corpus)
    sent = other_ham[:len(other_spam)] + other_spam[:len(other_ham)]
    random.Random(3).shuffle(sent)
    for number, path in enumerate(sent):
        shutil.copy(path, os.path.join(corpus, f"{number:05}.eml"))
    octets = sum(os.path.getsize(os.path.join(corpus, name)) for name in os.listdir(corpus)) / len(sent)
    peers, servers = [], []
    results, memory = {}, {}
    try:
        unbound = Unbound(os.path.join(folder, "unbound"))
        redis = Redis(os.path.join(folder, "redis"))
        for peer in (unbound, redis):
            peers.append(peer)
            peer.start()
        rspamd = Rspamd(os.path.join(folder, "rspamd"), unbound, redis)
        peers.append(rspamd)
        rspamd.start()
        ours = Postern(os.path.join(folder, "postern"), arguments.postern, unbound)
        theirs = Postfix(os.path.join(folder, "postfix"), rspamd)
        roots = {}
        for server in (ours, theirs):
            roots[server] = [server.start()]
            servers.append(server)
        roots[ours] += [unbound.process.pid]
        roots[theirs] += [unbound.process.pid, rspamd.process.pid, redis.process.pid]
        for kind, files in (("ham", ham), ("spam", spam)):
            rspamd.learn(kind, files)
            ours.learn(kind, files)
        for run in range(arguments.runs + 1):  # the first warms up and is not counted
            for server in servers:
                before = [cpu_of(root) for root in roots[server]]
                report = load(server, arguments, corpus)
                server.settle(arguments.messages)
                used = [cpu_of(root) - was for root, was in zip(roots[server], before)]
                if run > 0:
                    results.setdefault(server, []).append((sum(used) * 1000 / arguments.messages, report, used))
        for server in servers:
            memory[server] = sum(memory_of(root) for root in roots[server]) / 2**20
    finally:
        for one in servers + peers[::-1]:
            try:
                one.stop()
            except Exception as problem:  # the others must be stopped as well
                print(f"{type(one).__name__}: {problem}", file=sys.stderr)
    print(f"{arguments.messages} messages of {len(sent)} (mean {octets:.0f} octets, half of them spam), {arguments.connections} connections with "
          f"10 messages each, {arguments.runs} runs, {os.cpu_count()} cores shared with the generator")
    print(f"{'':18} {'CPU s / 1,000: median (min-max)':34} {'msg/s':>7} {'p50 ms':>8} {'p99 ms':>8} {'PSS MiB':>8}  replies")
    for server in servers:
        cpu = [row[0] for row in results[server]]
        reports = [row[1] for row in results[server]]

        def median(read):
            return statistics.median(read(report) for report in reports)
        print(f"  {server.name:16} {statistics.median(cpu):.3f} ({min(cpu):.3f}-{max(cpu):.3f}){'':14} "
              f"{median(lambda r: arguments.messages / r['elapsed_s']):>7.0f} {median(lambda r: latency(r)['p50']):>8.2f} "
              f"{median(lambda r: latency(r)['p99']):>8.2f} {memory[server]:>8.0f}  "
              f"{reports[-1]['messages']['accepted']} accepted, {reports[-1]['messages']['refused']} refused")
    parts = [statistics.median(row[2][i] * 1000 / arguments.messages for row in results[servers[1]]) for i in range(4)]
    print("  of these: " + ", ".join(f"{name} {value:.2f}" for name, value in zip(("Postfix", "unbound", "rspamd", "Redis"), parts)))
    ratios = [theirs[0] / ours[0] for ours, theirs in zip(results[servers[0]], results[servers[1]])]
    print(f"  Postfix + rspamd / Postern, run by run: median {statistics.median(ratios):.1f} ({min(ratios):.1f}-{max(ratios):.1f})")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ham", required=True)
    parser.add_argument("--spam", required=True)
    parser.add_argument("--messages", type=int, default=2000)
    parser.add_argument("--connections", type=int, default=20)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--install", action="store_true", help="install missing packages first")
    parser.add_argument("--postern", default=os.path.join(accept.SOURCE, "build", "postern"))
    parser.add_argument("--load", default=os.path.join(accept.SOURCE, "build", "postern_load"))
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.inside:
        if arguments.install:
            script = f'. "{accept.SOURCE}/deploy/lib/packages.sh" && postern_install {" ".join(PACKAGES)}'
            subprocess.run(["bash", "-c", script], check=True)
        os.execvp("unshare", ["unshare", "--net", sys.executable, os.path.abspath(__file__), "--inside", *sys.argv[1:]])
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["ip", "address", "add", f"{ADDRESS}/32", "dev", "lo"], check=True)
    for name in ("ham", "spam", "postern", "load"):
        setattr(arguments, name, os.path.abspath(getattr(arguments, name)))
    folder = tempfile.mkdtemp(prefix="filtering-")
    try:
        bench(arguments, folder)
    finally:
        time.sleep(0.5)  # the last of them close their files
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
