#!/usr/bin/env python3
"""`postern check` and `postern dkim` as a postmaster uses them: without a server, against a real name server (nsd), and with keys and
signatures that another implementation made or verifies (python3-dkim, where it is installed)."""
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from authentication_test import NSD, NameServer  # noqa: E402
from harness import PATIENCE, PROGRAM, Suite, check, free_port, own_address  # noqa: E402

try:
    import dkim
except ImportError:
    dkim = None

suite = Suite("check and dkim")
FOLDER = tempfile.mkdtemp(prefix="check-")
KEYS = {}
MESSAGE = b"From: Ann <ann@signed.test>\r\nTo: bob@other.example\r\nSubject: hello\r\nDate: Tue, 24 Nov 2026 12:00:00 +0000\r\n\r\nHello, Bob.\r\n"


def postern(*arguments, stdin=b"", expect=0):
    done = subprocess.run([PROGRAM, *arguments], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60 * PATIENCE, check=False)
    check(done.returncode == expect, f"{' '.join(arguments)}: exit code {done.returncode}, expected {expect}\n{done.stdout.decode()[-2000:]}{done.stderr.decode()[-1000:]}")
    return done.stdout.decode()


def make_key(kind, bits=()):
    file = os.path.join(FOLDER, kind + "".join(bits[1:]) + ".pem")
    line = postern("dkim", "keygen", "--type", kind, *bits, "--domain", "signed.test", "--selector", kind + "".join(bits[1:]), "--out", file)
    KEYS[kind + "".join(bits[1:])] = (file, line.strip())


def name_server():
    make_key("rsa")
    make_key("rsa", ("--bits", "4096"))
    make_key("ed25519")
    lines = ["$ORIGIN signed.test.", "$TTL 300", "@ IN SOA ns.test. postmaster.test. 1 3600 600 86400 300", "@ IN NS ns.test.",
             '_dmarc IN TXT "v=DMARC1; p=reject; rua=mailto:reports@signed.test"', '@ IN TXT "v=spf1 ip4:192.0.2.10 -all"']
    lines += [line for _, line in KEYS.values()]
    return NameServer([("signed.test", "\n".join(lines) + "\n")])


def ask(*arguments, **keywords):
    return postern("check", *arguments, "--resolver", f"{suite.name_server.address}:{suite.name_server.port}", **keywords)


def ask_json(*arguments, **keywords):
    return json.loads(ask(*arguments, "--json", **keywords))


@suite.case("spf: prose and JSON tell the same")
def spf():
    text = ask("spf", "--ip", "192.0.2.10", "--helo", "host.good.test", "--mail-from", "a@good.test")
    for wanted in ("pass", "v=spf1 ip4:192.0.2.10 -all", "TXT good.test:", "TTL", " ms)", "of 10 terms"):
        check(wanted in text, f"no {wanted!r} in:\n{text}")
    found = ask_json("spf", "--ip", "192.0.2.99", "--mail-from", "a@strict.test")
    check(found["result"] == "fail" and found["term"] == "-all" and found["advice"], found)
    check(found["facts"][0]["status"] == "data" and found["facts"][0]["ttl"] > 0, found["facts"])


@suite.case("DNS trouble is 75, and the result says so")
def trouble():
    address = own_address()
    found = json.loads(postern("check", "spf", "--ip", "192.0.2.1", "--mail-from", "a@good.test", "--json", "--resolver", f"{address}:{free_port(address)}", expect=75))
    check(found["result"] == "temperror", found)


@suite.case("dnsbl: listed, not listed, refused, and a list without test points")
def dnsbl():
    for last, result in ((66, "listed"), (68, "not_listed"), (67, "unknown")):
        found = ask_json("dnsbl", f"192.0.2.{last}", "--zone", "bl.test")
        check(found["result"] == result, found)
    check(found["lists"][0]["works"] is False, "a list that lacks its test points passes for one that works")


@suite.case("dmarc of results alone")
def dmarc():
    found = ask_json("dmarc", "--from", "ann@signed.test", "--spf", "pass:bounce.signed.test", "--dkim", "fail:signed.test")
    check(found["result"] == "pass" and found["aligned"] == {"spf": True, "dkim": False}, found)
    found = ask_json("dmarc", "--from", "signed.test")
    check(found["result"] == "fail" and found["policy"] == found["disposition"] == "reject", found)


@suite.case("keys: mode, never over another, records of several files")
def keys():
    file, line = KEYS["rsa"]
    check(stat.S_IMODE(os.stat(file).st_mode) == 0o600, "others may read the key")
    before = open(file, "rb").read()
    postern("dkim", "keygen", "--domain", "signed.test", "--selector", "x", "--out", file, expect=73)
    check(open(file, "rb").read() == before, "the key was overwritten")
    lines = postern("dkim", "record", *(name for name, _ in KEYS.values())).splitlines()
    check(lines == [one for _, one in KEYS.values()], lines)
    for string in line.split('"')[1::2]:
        check(len(string) <= 255, "a character-string that is too long")
    pem = os.path.join(FOLDER, "plain.pem")
    with open(pem, "wb") as plain:
        plain.write(before[before.index(b"-----BEGIN"):])
    postern("dkim", "record", pem, expect=64)
    named = json.loads(postern("dkim", "record", "--json", "--domain", "signed.test", "--selector", "rsa", pem))
    check(named[0]["zone_line"] == line, named)
    postern("dkim", "record", "-", stdin=b"no key", expect=65)


def published(name, **_):
    """What the zone says, for python3-dkim."""
    wanted = (name if isinstance(name, str) else name.decode()).rstrip(".").lower()
    for _, line in KEYS.values():
        if line.split(". IN TXT")[0].lower() == wanted:
            return "".join(line.split('"')[1::2]).encode()
    return None


@suite.case("what another implementation signs with our keys verifies here, and the record satisfies it")
def signed_elsewhere():
    if dkim is None:
        print("        (python3-dkim is not installed: left out)")
        return
    for selector, (file, _) in KEYS.items():
        ed25519 = selector == "ed25519"
        if ed25519 and not hasattr(dkim, "NaCl"):
            try:
                import nacl  # noqa: F401
            except ImportError:
                continue
        pem = open(file, "rb").read()
        private = pem[pem.index(b"-----BEGIN"):]
        if ed25519:  # it wants the 32 octets, in base64: the end of the PKCS#8 structure
            import base64
            der = base64.b64decode(b"".join(private.splitlines()[1:-1]))
            private = base64.b64encode(der[-32:])
        field = dkim.sign(MESSAGE, selector.encode(), b"signed.test", private, signature_algorithm=b"ed25519-sha256" if ed25519 else b"rsa-sha256")
        message = field + MESSAGE
        check(dkim.verify(message, dnsfunc=published), f"{selector}: python3-dkim does not accept our record")
        name = os.path.join(FOLDER, selector + ".eml")
        with open(name, "wb") as out:
            out.write(message)
        found = ask_json("dkim", name)
        check(found["result"] == "pass", found)
        found = ask_json("dmarc", name)
        check(found["result"] == "pass" and found["aligned"]["dkim"], found)
        broken = message.replace(b"Hello, Bob", b"Hello, Eve")
        found = json.loads(ask("dkim", "-", "--json", stdin=broken))
        check(found["result"] == "fail" and not found["signatures"][0]["body_matches"], found)


@suite.case("dmarc of a message with its client")
def dmarc_of_message():
    name = os.path.join(FOLDER, "plain.eml")
    with open(name, "wb") as out:
        out.write(MESSAGE.replace(b"\r\n", b"\n"))
    found = ask_json("dmarc", name, "--ip", "192.0.2.10", "--mail-from", "ann@signed.test")
    check(found["result"] == "pass" and found["spf"]["result"] == "pass" and found["dkim"]["result"] == "none", found)
    text = ask("dmarc", name, "--ip", "192.0.2.11", "--mail-from", "ann@signed.test")
    check("would be aligned" in text, text)


@suite.case("what is no message")
def no_message():
    ask("dkim", "-", stdin=b"\r\nno header\r\n", expect=65)
    ask("dkim", "-", stdin=b"", expect=65)
    ask("arc", os.path.join(FOLDER, "nowhere.eml"), expect=66)


if __name__ == "__main__":
    if not os.path.exists(NSD):
        print("nsd is not installed: skipped")
        sys.exit(77)
    suite.name_server = name_server()
    try:
        code = suite.run()
    finally:
        suite.name_server.close()
        shutil.rmtree(FOLDER, ignore_errors=True)
    sys.exit(code)
