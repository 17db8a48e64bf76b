#!/usr/bin/env python3
"""The client against next hops: scripted ones that misbehave in one way each, smtp-sink with its failure options, a whole Postfix,
and Dovecot's LMTP. What is sent is looked at on the other side."""
import base64
import glob
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from harness import BUILD, PATIENCE, Failure, Suite, check, free_port, make_certificate, own_address, wait_until

PROBE = os.path.join(BUILD, "postern_attempt_probe")
suite = Suite("attempt")
HELLO = ["mx.hop.example", "PIPELINING", "SIZE 100000", "8BITMIME", "DSN", "ENHANCEDSTATUSCODES"]
MESSAGE = b"From: a@one.example\r\nSubject: test\r\n\r\nHello\r\n.dot\r\n..two\r\nend\r\n"


def message(to=("b@two.example",), content=MESSAGE, **more):
    return {"from": "a@one.example", "to": [t if isinstance(t, dict) else {"address": t} for t in to],
            "content": base64.b64encode(content).decode(), **more}


def attempt(hop, *messages, **more):
    order = {"hop": hop, "messages": list(messages) or [message()], "hello": "client.test.example", **more}
    done = subprocess.run([PROBE], input=json.dumps(order).encode(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=120 * PATIENCE, check=False)
    if done.returncode == 77:
        print("skipped: no io_uring here")
        sys.exit(77)
    check(done.returncode == 0, f"the probe ended with {done.returncode}: {done.stderr.decode()[-2000:]}")
    return json.loads(done.stdout)


def kinds(answer, index=0):
    return [result["kind"] for result in answer["messages"][index]["results"]]


# ---- scripted next hops -------------------------------------------------------------------------------------------------------


class Hop:
    """Serves connections one after the other with `script(conversation)`."""

    def __init__(self, script, context=None, implicit=False):
        self.address = own_address()
        self.listener = socket.socket()
        self.listener.bind((self.address, 0))
        self.listener.listen(8)
        self.text = f"{self.address}:{self.listener.getsockname()[1]}"
        self.script, self.context, self.implicit = script, context, implicit
        self.conversations = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            conversation = Conversation(connection, self.context)
            self.conversations.append(conversation)
            try:
                if self.implicit:
                    conversation.start_tls()
                self.script(conversation)
            except (OSError, EOFError, ssl.SSLError) as problem:
                conversation.problem = problem
            finally:
                conversation.close()

    def close(self):
        self.listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Conversation:
    def __init__(self, connection, context):
        self.socket, self.context = connection, context
        self.socket.settimeout(20 * PATIENCE)
        self.buffer, self.heard, self.data, self.problem = b"", [], [], None

    def close(self):
        try:
            self.socket.close()
        except OSError:
            pass

    def say(self, *lines):
        self.socket.sendall("".join(line + "\r\n" for line in lines).encode())

    def reply(self, code, lines):
        self.say(*[f"{code}{'-' if i + 1 < len(lines) else ' '}{line}" for i, line in enumerate(lines)])

    def read_until(self, mark):
        while mark not in self.buffer:
            more = self.socket.recv(65536)
            if not more:
                raise EOFError
            self.buffer += more
        found, self.buffer = self.buffer.split(mark, 1)
        return found

    def line(self):
        text = self.read_until(b"\r\n").decode()
        self.heard.append(text)
        return text

    def octets(self, count):
        while len(self.buffer) < count:
            more = self.socket.recv(65536)
            if not more:
                raise EOFError
            self.buffer += more
        found, self.buffer = self.buffer[:count], self.buffer[count:]
        return found

    def take_data(self):
        """The octets between 354 and CRLF.CRLF, as they were sent."""
        if self.buffer[:3] == b".\r\n":
            self.buffer = self.buffer[3:]
            self.data.append(b"")
            return
        while b"\r\n.\r\n" not in self.buffer:
            more = self.socket.recv(65536)
            if not more:
                raise EOFError
            self.buffer += more
            if self.buffer[:3] == b".\r\n":
                self.buffer = self.buffer[3:]
                self.data.append(b"")
                return
        found, self.buffer = self.buffer.split(b"\r\n.\r\n", 1)
        self.data.append(found + b"\r\n")

    def start_tls(self):
        self.socket = self.context.wrap_socket(self.socket, server_side=True)

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self.socket.close()


def serve(hello=None, at=None, replies=None, end=None):
    """An ordinary server. `replies`: what it says to a verb (or "end" for the end of data) instead of 2yz; a value may be a list, one
    for each time. `at`: called with the conversation before the reply to that verb; true means it has dealt with it."""
    hello = hello or HELLO
    at, replies = at or {}, {key: list(value) if isinstance(value, list) else value for key, value in (replies or {}).items()}

    def answer(verb, otherwise):
        value = replies.get(verb, otherwise)
        if isinstance(value, list):
            return value.pop(0) if value else otherwise
        return value

    def script(talk):
        if at.get("greeting", lambda _: False)(talk):
            return
        talk.say(answer("greeting", "220 mx.hop.example ESMTP"))
        while True:
            line = talk.line()
            verb = line.split(" ")[0].upper()
            if at.get(verb, lambda _: False)(talk):
                return
            if verb in ("EHLO", "LHLO") and verb not in replies:
                talk.reply(250, hello)
            elif verb == "STARTTLS" and verb not in replies:
                talk.say("220 2.0.0 go")
                talk.start_tls()
            elif verb == "DATA":
                said = answer("DATA", "354 go")
                talk.say(said)
                if said.startswith("354"):
                    talk.take_data()
                    if at.get("end", lambda _: False)(talk):
                        return
                    talk.say(*(answer("end", "250 2.0.0 queued as 1").split("\n")))
            elif verb == "QUIT":
                talk.say(answer("QUIT", "221 2.0.0 bye"))
                return
            else:
                talk.say(answer(verb, "250 2.0.0 ok"))

    return script


def hop_of(server, **more):
    return {"host": "mx.hop.example", "address": server.text, **more}


@suite.case("a message arrives octet for octet, and the transcript is an ordinary one")
def ordinary():
    with Hop(serve()) as server:
        answer = attempt(hop_of(server), message(to=["b@two.example", "c@two.example"], head="Received: by us\r\n"))
        check(kinds(answer) == ["delivered", "delivered"], f"{answer}")
        result = answer["messages"][0]["results"][0]
        check(result["code"] == 250 and result["text"] == "queued as 1", f"the last word is kept: {result}")
        check(answer["messages"][0]["reusable"], "the connection can be used again")
        talk = server.conversations[0]
        wait_until(lambda: talk.heard[-1] == "QUIT", 5, "QUIT")
        size = len(MESSAGE) + len("Received: by us\r\n")
        check(talk.heard == ["EHLO client.test.example", f"MAIL FROM:<a@one.example> SIZE={size}", "RCPT TO:<b@two.example>",
                             "RCPT TO:<c@two.example>", "DATA", "QUIT"], f"{talk.heard}")
        wire = b"Received: by us\r\n" + MESSAGE.replace(b"\r\n.", b"\r\n..")
        check(talk.data == [wire], f"{talk.data}")


@suite.case("several messages share a connection, after failures too")
def several():
    replies = {"RCPT": ["250 ok", "550 5.1.1 no such user", "250 ok"],
               "DATA": ["354 go", "554 5.5.1 nobody to get it", "354 go"]}
    with Hop(serve(replies=replies)) as server:
        answer = attempt(hop_of(server), message(), message(to=["x@two.example"]), message())
        check([kinds(answer, i) for i in range(3)] == [["delivered"], ["permanent"], ["delivered"]], f"{answer}")
        check(len(server.conversations) == 1, "one connection")
        heard = server.conversations[0].heard
        check(heard.count("RSET") == 1 and heard.index("RSET") > 5, f"{heard}")
        check(answer["messages"][1]["results"][0]["enhanced"] == "5.1.1", f"{answer}")


@suite.case("no pipelining: one command at a time")
def one_at_a_time():
    early = []

    def wait_alone(talk):
        time.sleep(0.05)
        talk.socket.setblocking(False)
        try:
            early.append(talk.socket.recv(1000))
        except BlockingIOError:
            pass
        talk.socket.setblocking(True)
        return False

    with Hop(serve(hello=["mx"], at={verb: wait_alone for verb in ("MAIL", "RCPT", "DATA")})) as server:
        check(kinds(attempt(hop_of(server))) == ["delivered"], "delivered")
        check(not early, f"commands before their turn: {early}")


@suite.case("HELO when EHLO is unknown; nothing of ESMTP is said then")
def helo():
    with Hop(serve(replies={"EHLO": "500 what?"})) as server:
        answer = attempt(hop_of(server), message(to=[{"address": "b@two.example", "notify": 2, "orcpt": "rfc822;b@two.example"}]))
        check(kinds(answer) == ["delivered"], f"{answer}")
        check(not answer["messages"][0]["results"][0]["dsn_passed_on"], "no DSN there")
        check(server.conversations[0].heard[1:4] == ["HELO client.test.example", "MAIL FROM:<a@one.example>",
                                                     "RCPT TO:<b@two.example>"], f"{server.conversations[0].heard}")


@suite.case("DSN parameters are passed on")
def dsn():
    with Hop(serve()) as server:
        answer = attempt(hop_of(server), message(
            to=[{"address": "b@two.example", "notify": 6, "orcpt": "rfc822;b+x@two.example"}], envid="q=1"))
        check(answer["messages"][0]["results"][0]["dsn_passed_on"], f"{answer}")
        heard = server.conversations[0].heard
        check("ENVID=q+3D1" in heard[1], f"{heard}")
        check(heard[2] == "RCPT TO:<b@two.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;b+2Bx@two.example", f"{heard}")


@suite.case("refusals and delays at each stage stay what they are")
def stages():
    rows = [
        ("greeting", {"greeting": "554 5.7.1 go away"}, "temporary", "greeting", 554, "4.7.1"),
        ("hello", {"EHLO": "550 no", "HELO": "550 5.7.1 no"}, "permanent", "hello", 550, "5.7.1"),
        ("mail 4", {"MAIL": "451 4.7.1 greylisted"}, "temporary", "mail", 451, "4.7.1"),
        ("mail 5", {"MAIL": "550 5.7.1 spam"}, "permanent", "mail", 550, "5.7.1"),
        ("rcpt 4", {"RCPT": "450 4.2.1 later"}, "temporary", "rcpt", 450, "4.2.1"),
        ("rcpt 5", {"RCPT": "550 5.1.1 no such user"}, "permanent", "rcpt", 550, "5.1.1"),
        ("data 4", {"DATA": "452 4.3.1 full"}, "temporary", "data", 452, "4.3.1"),
        ("data 5", {"DATA": "554 5.5.1 no"}, "permanent", "data", 554, "5.5.1"),
        ("end 4", {"end": "451 4.3.0 later"}, "temporary", "message", 451, "4.3.0"),
        ("end 5", {"end": "550-5.7.1 spam\n550 5.7.1 really"}, "permanent", "message", 550, "5.7.1"),
        ("421 at the end", {"end": "421 4.3.2 closing"}, "temporary", "message", 421, "4.3.2"),
    ]
    for name, replies, kind, stage, code, enhanced in rows:
        with Hop(serve(replies=replies)) as server:
            answer = attempt(hop_of(server))
            result = answer.get("failure") or answer["messages"][0]["results"][0]
            found = (result["kind"], result["stage"], result["code"], result["enhanced"], result["in_doubt"])
            check(found == (kind, stage, code, enhanced, False), f"{name}: {result}")


@suite.case("a connection that breaks: in doubt only behind the final dot")
def breaks():
    def close(talk):
        talk.close()
        return True

    def reset(talk):
        talk.reset()
        return True

    for name, at, stage, doubt in [
            ("greeting", "greeting", "greeting", False), ("EHLO", "EHLO", "hello", False), ("MAIL", "MAIL", "mail", False),
            ("RCPT", "RCPT", "rcpt", False), ("DATA", "DATA", "data", False), ("end", "end", "message", True)]:
        for how in (close, reset):
            with Hop(serve(at={at: how})) as server:
                answer = attempt(hop_of(server), message(to=["b@two.example"]))
                result = answer.get("failure") or answer["messages"][0]["results"][0]
                check((result["kind"], result["code"], result["in_doubt"]) == ("temporary", 0, doubt), f"{name}: {result}")
                # A reset may overtake a reply that was sent before it.
                check(result["stage"] == stage or how is reset, f"{name}: {result}")
                if "messages" in answer:
                    check(not answer["messages"][0]["reusable"], f"{name}: not reusable")


@suite.case("a connection that breaks inside the data is not in doubt")
def breaks_inside():
    def stop_reading(talk):
        talk.say("354 go")
        talk.octets(1000)
        talk.reset()
        return True

    with Hop(serve(hello=["mx", "PIPELINING"], at={"DATA": stop_reading})) as server:
        answer = attempt(hop_of(server), message(content=b"A: b\r\n\r\n" + b"x" * 12_000_000 + b"\r\n"))
        result = answer["messages"][0]["results"][0]
        check((result["kind"], result["stage"], result["in_doubt"]) == ("temporary", "data", False), f"{result}")


@suite.case("silence is cut short at each stage")
def silence():
    def hang(_):
        time.sleep(4 * PATIENCE)
        return True

    for at, stage, doubt in [("greeting", "greeting", False), ("MAIL", "mail", False), ("DATA", "data", False),
                             ("end", "message", True)]:
        with Hop(serve(at={at: hang})) as server:
            started = time.monotonic()
            answer = attempt(hop_of(server), timeout_s=1)
            check(time.monotonic() - started < 3.5 * PATIENCE, f"{at}: it waited too long")
            result = answer.get("failure") or answer["messages"][0]["results"][0]
            check((result["kind"], result["stage"], result["in_doubt"]) == ("temporary", stage, doubt), f"{at}: {result}")


@suite.case("what is no SMTP server")
def strangers():
    for greeting in ("HTTP/1.1 400 Bad Request", "SSH-2.0-OpenSSH", "x" * 10000, "220-a\r\n" * 300):
        with Hop(serve(replies={"greeting": greeting})) as server:
            answer = attempt(hop_of(server))
            check(answer["failure"]["kind"] == "temporary" and answer["failure"]["stage"] == "greeting", f"{answer}")


@suite.case("nothing in a message ends it early or begins another")
def smuggling():
    evil = (b"A: b\r\n\r\nx\n.\nMAIL FROM:<e@evil.example>\n" b"y\r.\rz\r\n.\nq\n.\r\nRCPT TO:<v@evil.example>\r\n"
            b"\r\n.\r\nDATA\r\n.\r\nlast")
    with Hop(serve()) as server:
        answer = attempt(hop_of(server), message(content=evil), message())
        check(kinds(answer, 0) == ["delivered"] and kinds(answer, 1) == ["delivered"], f"{answer}")
        talk = server.conversations[0]
        check(len(talk.data) == 2, "two messages")
        check(not re.search(rb"[^\r]\n|\r[^\n]", talk.data[0]), "no bare line ending on the wire")
        check(not any("evil" in line for line in talk.heard), f"{talk.heard}")


@suite.case("BINARYMIME goes by BDAT, and is refused where it cannot go")
def binary():
    content = b"A: b\r\n\r\nx\n.\r\n\x00\xff\rend"

    def chunk(talk):
        count = int(talk.heard[-1].split()[1])
        talk.data.append(talk.octets(count))
        return False

    with Hop(serve(hello=["mx", "PIPELINING", "8BITMIME", "CHUNKING", "BINARYMIME"], at={"BDAT": chunk})) as server:
        answer = attempt(hop_of(server), message(content=content, body="binary"))
        check(kinds(answer) == ["delivered"], f"{answer}")
        check(server.conversations[0].data == [content], f"{server.conversations[0].data}")
    with Hop(serve()) as server:
        result = attempt(hop_of(server), message(content=content, body="binary"))["messages"][0]["results"][0]
        check((result["kind"], result["enhanced"]) == ("permanent", "5.6.3"), f"{result}")
        check(not any(line.startswith("MAIL") for line in server.conversations[0].heard), "nothing was tried")


@suite.case("size and internationalized mail are refused without a try")
def local_refusals():
    with Hop(serve(hello=["mx", "SIZE 10"])) as server:
        result = attempt(hop_of(server))["messages"][0]["results"][0]
        check((result["kind"], result["enhanced"], result["code"]) == ("permanent", "5.3.4", 0), f"{result}")
    with Hop(serve()) as server:
        answer = attempt(hop_of(server), message(to=["\u00fc@two.example", "b@two.example"], smtputf8=True))
        check(kinds(answer) == ["permanent", "delivered"], f"{answer}")
        check(answer["messages"][0]["results"][0]["enhanced"] == "5.6.7", f"{answer}")


@suite.case("LMTP: one reply for each recipient")
def lmtp():
    replies = {"end": "250 2.0.0 ok\n552 5.2.2 over quota\n451 4.3.0 later", "RCPT": ["250 ok", "550 5.1.1 who?", "250 ok", "250 ok"]}
    with Hop(serve(replies=replies)) as server:
        answer = attempt(hop_of(server, lmtp=True), message(to=[f"{name}@two.example" for name in "abcd"]))
        check(kinds(answer) == ["delivered", "permanent", "permanent", "temporary"], f"{answer}")
        check(server.conversations[0].heard[0].startswith("LHLO "), "LHLO")
        check(answer["messages"][0]["results"][2]["enhanced"] == "5.2.2", f"{answer}")


# ---- TLS ----------------------------------------------------------------------------------------------------------------------


def certificates():
    folder = tempfile.mkdtemp(prefix="postern-attempt-")
    certificate, key = make_certificate(folder, "hop", ["mx.hop.example"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return folder, certificate, context


TLS_HELLO = HELLO + ["STARTTLS", "AUTH PLAIN LOGIN"]


@suite.case("STARTTLS: policies against certificates")
def policies():
    folder, certificate, context = certificates()
    seen = []
    context.sni_callback = lambda _, name, __: seen.append(name)
    try:
        rows = [
            ("may, unknown certificate", dict(tls="may"), {}, True, False),
            ("may, known certificate", dict(tls="may"), {"authorities": certificate}, True, True),
            ("encrypt, unknown certificate", dict(tls="encrypt"), {}, True, False),
            ("verify, known", dict(tls="verify"), {"authorities": certificate}, True, True),
            ("verify, unknown", dict(tls="verify"), {}, None, None),
            ("verify, another name", dict(tls="verify", host="other.example"), {"authorities": certificate}, None, None),
            ("verify, names", dict(tls="verify", host="other.example", names=["x.example", "mx.hop.example"]),
             {"authorities": certificate}, True, True),
            ("none", dict(tls="none"), {}, False, False),
        ]
        for name, more, options, tls, verified in rows:
            with Hop(serve(hello=TLS_HELLO), context) as server:
                answer = attempt(hop_of(server, **more), **options)
                if tls is None:
                    check("failure" in answer, f"{name}: {answer}")
                    check(answer["failure"]["stage"] == "tls" and answer["failure"]["kind"] == "temporary", f"{name}: {answer}")
                    check("certificate verify failed" in answer["failure"]["text"], f"{name}: {answer}")
                    check(len(server.conversations) == 1, f"{name}: no second try in the clear")
                    continue
                check(kinds(answer) == ["delivered"], f"{name}: {answer}")
                check(("tls" in answer) == tls, f"{name}: {answer}")
                if tls:
                    check(answer["tls"]["verified"] == verified, f"{name}: {answer}")
        check("mx.hop.example" in seen, f"SNI: {seen}")
    finally:
        shutil.rmtree(folder)


@suite.case("broken TLS: in the clear where that is allowed, never where it is not")
def broken_tls():
    def garbage(talk):
        talk.say("220 go")
        talk.socket.sendall(b"this is no TLS record at all\r\n" * 3)
        time.sleep(0.2)
        return True

    def hang_up(talk):
        talk.say("220 go")
        return True

    for how in (garbage, hang_up):
        with Hop(serve(hello=TLS_HELLO, at={"STARTTLS": how})) as server:
            answer = attempt(hop_of(server, tls="may"))
            check(kinds(answer) == ["delivered"] and "tls" not in answer, f"{answer}")
            check(len(server.conversations) == 2, "a second connection without TLS")
        for policy in ("encrypt", "verify"):
            with Hop(serve(hello=TLS_HELLO, at={"STARTTLS": how})) as server:
                answer = attempt(hop_of(server, tls=policy))
                check(answer["failure"]["stage"] == "tls", f"{answer}")
                check(len(server.conversations) == 1, "no second try")
    with Hop(serve(hello=HELLO)) as server:
        answer = attempt(hop_of(server, tls="encrypt"))
        check(answer["failure"]["enhanced"] == "4.7.4", f"{answer}")


@suite.case("replies that were slipped in before TLS are not believed")
def injection():
    def slip(talk):
        talk.say("220 go", "250-evil", "250 AUTH PLAIN")
        time.sleep(0.2)
        return True

    with Hop(serve(hello=TLS_HELLO, at={"STARTTLS": slip})) as server:
        answer = attempt(hop_of(server, tls="encrypt"))
        check(answer["failure"]["stage"] == "tls", f"{answer}")


@suite.case("credentials: under TLS only, PLAIN and LOGIN, and a wrong password is temporary")
def credentials():
    folder, _, context = certificates()
    secret = dict(user="robot", password="s3cret \u00fc")
    plain = base64.b64encode("\0robot\0s3cret \u00fc".encode()).decode()
    try:
        with Hop(serve(hello=TLS_HELLO, replies={"AUTH": "235 2.7.0 welcome"}), context) as server:
            answer = attempt(hop_of(server, tls="encrypt", **secret))
            check(kinds(answer) == ["delivered"], f"{answer}")
            check(f"AUTH PLAIN {plain}" in server.conversations[0].heard, f"{server.conversations[0].heard}")

        def login(talk):
            talk.say("334 VXNlcm5hbWU6")
            user = base64.b64decode(talk.line()).decode()
            talk.say("334 UGFzc3dvcmQ6")
            password = base64.b64decode(talk.line()).decode()
            talk.say("235 2.7.0 ok" if (user, password) == ("robot", "s3cret \u00fc") else "535 5.7.8 no")
            talk.heard.append("(login)")
            return False

        only_login = serve(hello=HELLO + ["AUTH LOGIN"], at={"AUTH": login}, replies={"AUTH": "250 unused"})

        def script(talk):  # `serve` answers behind `login` once more; that line is taken for MAIL's
            only_login(talk)

        with Hop(script, context, implicit=True) as server:
            answer = attempt(hop_of(server, implicit_tls=True, **secret))
            check("(login)" in server.conversations[0].heard, f"{answer} {server.conversations[0].heard}")
            check("failure" not in answer, f"{answer}")
        with Hop(serve(hello=TLS_HELLO, replies={"AUTH": "535 5.7.8 no"}), context) as server:
            answer = attempt(hop_of(server, tls="encrypt", **secret))
            found = answer["failure"]
            check((found["stage"], found["kind"], found["code"], found["enhanced"]) == ("auth", "temporary", 535, "4.7.8"), f"{found}")
        with Hop(serve(hello=HELLO + ["AUTH PLAIN"])) as server:
            answer = attempt(hop_of(server, tls="may", **secret))
            check(answer["failure"]["stage"] == "auth", f"{answer}")
            check(not any("AUTH" in line for line in server.conversations[0].heard), "nothing was said in the clear")
    finally:
        shutil.rmtree(folder)


@suite.case("connecting: nobody there, an address of ours to start from, a Unix socket")
def connecting():
    address = own_address()
    answer = attempt({"host": "x.example", "address": f"{address}:{free_port(address)}"})
    check(answer["failure"]["stage"] == "connect" and answer["failure"]["enhanced"] == "4.4.1", f"{answer}")
    with Hop(serve()) as server:
        source = own_address()
        attempt(hop_of(server, source=f"{source}:0"))
        peer = []
        with Hop(lambda talk: (peer.append(talk.socket.getpeername()[0]), serve()(talk))) as second:
            check(kinds(attempt(hop_of(second, source=f"{source}:0"))) == ["delivered"], "delivered")
            check(peer == [source], f"{peer}")


# ---- programs that nobody here wrote --------------------------------------------------------------------------------------------


class Sink:
    def __init__(self, *arguments):
        self.address = own_address()
        self.port = free_port(self.address)
        self.folder = tempfile.mkdtemp(prefix="postern-sink-")
        self.process = subprocess.Popen(["smtp-sink", *(["-u", "nobody"] if os.geteuid() == 0 else []), "-d",
                                         os.path.join(self.folder, "%M."), *arguments, f"{self.address}:{self.port}", "100"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.folder)
        os.chmod(self.folder, 0o777)

        def listening():
            with socket.socket() as probe:
                return probe.connect_ex((self.address, self.port)) == 0
        wait_until(listening, 10, "smtp-sink listens")

    def hop(self, **more):
        return {"host": "sink.example", "address": f"{self.address}:{self.port}", **more}

    def messages(self):
        return sum(1 for path in glob.glob(os.path.join(self.folder, "*")) if os.path.getsize(path) > 0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


@suite.case("smtp-sink: plain, without ESMTP, without pipelining, LMTP, and each of its failures")
def sink():
    if not shutil.which("smtp-sink"):
        print("        smtp-sink is not installed")
        return
    rows = [
        ("plain", [], {}, "delivered", None),
        ("no ESMTP", ["-e"], {}, "delivered", None),
        ("no pipelining", ["-p"], {}, "delivered", None),
        ("no 8BITMIME", ["-8"], {}, "delivered", None),
        ("LMTP", ["-L"], {"lmtp": True}, "delivered", None),
        ("slow", ["-w", "1"], {}, "delivered", None),
        ("soft at MAIL", ["-r", "MAIL"], {}, "temporary", "mail"),
        ("soft at RCPT", ["-r", "RCPT"], {}, "temporary", "rcpt"),
        ("soft at DATA", ["-r", "DATA"], {}, "temporary", "data"),
        ("soft at the end", ["-r", "."], {}, "temporary", "message"),
        ("hard at MAIL", ["-f", "MAIL"], {}, "permanent", "mail"),
        ("hard at RCPT", ["-f", "RCPT"], {}, "permanent", "rcpt"),
        ("hard at DATA", ["-f", "DATA"], {}, "permanent", "data"),
        ("hard at the end", ["-f", "."], {}, "permanent", "message"),
        ("drops at RCPT", ["-q", "RCPT"], {}, "temporary", "rcpt"),
        ("drops behind the dot", ["-q", "."], {}, "temporary", "message"),
        ("550 inside data", ["-A", "1"], {}, "permanent", "message"),
    ]
    for name, arguments, more, kind, stage in rows:
        with Sink(*arguments) as server:
            answer = attempt(server.hop(**more), timeout_s=10)
            result = answer.get("failure") or answer["messages"][0]["results"][0]
            check(result["kind"] == kind, f"{name}: {result}")
            if stage:
                check(result["stage"] == stage, f"{name}: {result}")
                check(result["in_doubt"] == (name == "drops behind the dot"), f"{name}: {result}")


@suite.case("smtp-sink gets a hundred messages on one connection")
def sink_many():
    if not shutil.which("smtp-sink"):
        return
    with Sink() as server:
        answer = attempt(server.hop(), *[message(to=["a@x.example", "b@x.example"]) for _ in range(100)])
        check(all(kinds(answer, i) == ["delivered", "delivered"] for i in range(100)), "all delivered")
        wait_until(lambda: server.messages() == 100, 10, f"100 files, not {server.messages()}")


class Dovecot:
    """Only its LMTP, on a Unix socket and a port, with users from a file."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="postern-dovecot-")
        os.chmod(self.folder, 0o755)
        self.address = own_address()
        self.port = free_port(self.address)
        user = "nobody" if os.geteuid() == 0 else os.environ.get("USER", "nobody")
        configuration = f"""
base_dir = {self.folder}/run
log_path = {self.folder}/log
protocols = lmtp
ssl = no
default_internal_user = {user}
default_login_user = {user}
default_internal_group = nogroup
first_valid_uid = 1
mail_location = maildir:{self.folder}/mail/%n
postmaster_address = postmaster@two.example
service lmtp {{
  unix_listener {self.folder}/lmtp {{
    mode = 0666
  }}
  inet_listener lmtp {{
    address = {self.address}
    port = {self.port}
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
passdb {{
  driver = passwd-file
  args = {self.folder}/users
}}
userdb {{
  driver = passwd-file
  args = {self.folder}/users
  default_fields = uid={user} gid=nogroup home={self.folder}/mail/%n
}}
"""
        with open(os.path.join(self.folder, "dovecot.conf"), "w", encoding="utf-8") as file:
            file.write(configuration)
        with open(os.path.join(self.folder, "users"), "w", encoding="utf-8") as file:
            file.write("anna@two.example:{PLAIN}x::::::\nbert@two.example:{PLAIN}x::::::\n")
        os.makedirs(os.path.join(self.folder, "mail"))
        if os.geteuid() == 0:
            shutil.chown(os.path.join(self.folder, "mail"), "nobody", "nogroup")
        self.process = subprocess.Popen(["dovecot", "-F", "-c", os.path.join(self.folder, "dovecot.conf")],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            wait_until(lambda: os.path.exists(os.path.join(self.folder, "lmtp")), 15, "dovecot's socket")
        except Failure:
            self.process.kill()
            print(self.process.stderr.read().decode())
            raise

    def delivered(self, name):
        return [open(path, "rb").read() for path in glob.glob(os.path.join(self.folder, "mail", name, "new", "*"))]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


@suite.case("Dovecot's LMTP: over TCP and a Unix socket, known and unknown users")
def dovecot():
    if not shutil.which("dovecot"):
        print("        dovecot is not installed")
        return
    with Dovecot() as server:
        for address in (f"{server.address}:{server.port}", f"unix:{server.folder}/lmtp"):
            answer = attempt({"host": "dovecot", "address": address, "lmtp": True},
                             message(to=["anna@two.example", "nobody@two.example", "bert@two.example"]))
            check(kinds(answer) == ["delivered", "permanent", "delivered"], f"{address}: {answer}")
            check(answer["messages"][0]["results"][1]["enhanced"] == "5.1.1", f"{address}: {answer}")
        for name in ("anna", "bert"):
            stored = server.delivered(name)
            check(len(stored) == 2, f"{name}: {len(stored)} messages")
            body = stored[0].replace(b"\r\n", b"\n").split(b"\n\n", 1)[1]
            check(body == b"Hello\n.dot\n..two\nend\n", f"{name}: {body}")


class Postfix:
    """A whole Postfix of its own that takes mail for two.example and keeps it in a mailbox file."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="postern-postfix-")
        os.chmod(self.folder, 0o755)
        self.address = "127.0.0.1"  # Postfix takes addresses of interfaces only
        self.port = free_port(self.address)
        os.makedirs(os.path.join(self.folder, "etc"))
        certificate, key = make_certificate(self.folder, "postfix", ["mx.two.example"])
        self.certificate = certificate
        for name in ("queue", "data", "mail"):
            os.makedirs(os.path.join(self.folder, name))
        for name in ("data", "mail"):
            shutil.chown(os.path.join(self.folder, name), "postfix", "postfix")
        self.virtual = os.path.join(self.folder, "mail", "box")
        with open(os.path.join(self.folder, "etc", "main.cf"), "w", encoding="utf-8") as file:
            file.write(f"""
compatibility_level = 3.6
queue_directory = {self.folder}/queue
mail_owner = postfix
setgid_group = postdrop
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
alias_maps =
data_directory = {self.folder}/data
myhostname = mx.two.example
mydestination =
inet_interfaces = {self.address}
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
virtual_mailbox_domains = two.example
virtual_mailbox_base = {self.folder}/mail
virtual_mailbox_maps = inline:{{ anna@two.example=box/, bert@two.example=box2/ }}
virtual_minimum_uid = 1
virtual_uid_maps = static:{os.stat(os.path.join(self.folder, 'mail')).st_uid}
virtual_gid_maps = static:{os.stat(os.path.join(self.folder, 'mail')).st_gid}
smtpd_tls_cert_file = {certificate}
smtpd_tls_key_file = {key}
smtpd_tls_security_level = may
maillog_file = {self.folder}/queue/log
maillog_file_prefixes = {self.folder}
smtputf8_enable = no
""")
        packaged = "/usr/share/postfix/master.cf.dist"
        with open(packaged if os.path.exists(packaged) else "/etc/postfix/master.cf", encoding="utf-8") as file:
            lines = [line for line in file.read().splitlines() if line and line[0] not in "# \t"]
        services = [line.split() for line in lines]
        # No chroot: the folder has none of the files that it would need.
        kept = [" ".join([*words[:4], "n", *words[5:]]) for words in services if words[1] != "inet" and words[7] != "pipe"]
        kept.append(f"{self.address}:{self.port} inet n - n - - smtpd")
        with open(os.path.join(self.folder, "etc", "master.cf"), "w", encoding="utf-8") as file:
            file.write("\n".join(kept) + "\n")
        self.run("start")

        def listening():
            with socket.socket() as probe:
                return probe.connect_ex((self.address, self.port)) == 0
        wait_until(listening, 20, "postfix listens")

    def run(self, verb):
        done = subprocess.run(["postfix", "-c", os.path.join(self.folder, "etc"), verb], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False, timeout=60)
        log = os.path.join(self.folder, "queue", "log")
        said = open(log, encoding="utf-8").read() if os.path.exists(log) else ""
        check(done.returncode == 0, f"postfix {verb}: {done.stdout.decode()} {said}")

    def log(self):
        with open(os.path.join(self.folder, "queue", "log"), encoding="utf-8") as file:
            return file.read()

    def hop(self, **more):
        return {"host": "mx.two.example", "address": f"{self.address}:{self.port}", **more}

    def delivered(self, box):
        return [open(path, "rb").read() for path in glob.glob(os.path.join(self.folder, "mail", box, "new", "*"))]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.run("stop")
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)


@suite.case("a whole Postfix: STARTTLS verified, several recipients, an unknown one, a relay it does not do")
def postfix():
    if not shutil.which("postfix") or os.geteuid() != 0:
        print("        postfix is not installed, or this is not root")
        return
    with Postfix() as server:
        answer = attempt(server.hop(tls="verify"),
                         message(to=["anna@two.example", "who@two.example", "bert@two.example"]),
                         message(to=["x@elsewhere.example"], content=b"Subject: \xc3\xa4\r\n\r\n\xc3\xa4\r\n"),
                         authorities=server.certificate)
        check(answer.get("tls", {}).get("verified"), f"{answer}")
        check(kinds(answer) == ["delivered", "permanent", "delivered"], f"{answer}")
        check(answer["messages"][0]["results"][1]["enhanced"] == "5.1.1", f"{answer}")
        wait_until(lambda: len(server.delivered("box")) == 1 and len(server.delivered("box2")) == 1, 10, f"two copies; {server.log()[-3000:]}")
        body = server.delivered("box")[0].split(b"\n\n", 1)[1]
        check(body == b"Hello\n.dot\n..two\nend\n", f"{body}")


sys.exit(suite.run())
