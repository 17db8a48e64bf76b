r"""The language of dialogues/*.txt: an SMTP conversation as text, one case after another.

    == name of the case
    on: strict              which server and listener (servers.py); default mx
    from: 127.0.0.5         the client's address
    greeting: no            nothing is expected at connect
    H:                      EHLO, 250
    C: MAIL FROM:<a@b.example>        one line, CRLF is added
    c: DATA\r\n.\r\n        octets as they are
    S: 250 2.1.0            a reply: code (alternatives with |, x is any digit), enhanced code, ~ regular expression on its text
    T:                      TLS handshake
    E:                      the server closes and says nothing more
    Q:                      whether the server closes now is left open: the case ends here
    N: someone@any.example 1          at the very end the mailbox holds so many messages

Escapes in C: and c: are \r \n \t \0 \\ \xNN, and {a*300} is 300 times "a". A case that ends in neither E: nor Q: ends with QUIT.
"""
import re

from harness import Failure, check


class Dialogue:
    def __init__(self, name):
        self.name = name
        self.server, self.source, self.greeting = "mx", None, True
        self.steps = []
        self.counts = []


def parse(path):
    dialogues = []
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            line = line.rstrip("\n")
            if not line.strip() or line.startswith("#"):
                continue
            if line.startswith("== "):
                dialogues.append(Dialogue(line[3:].strip()))
                continue
            key, separator, value = line.partition(":")
            if not separator or not dialogues:
                raise ValueError(f"{path}:{number}: not a step: {line}")
            value = value.removeprefix(" ")
            current = dialogues[-1]
            if key == "on":
                current.server = value.strip()
            elif key == "from":
                current.source = value.strip()
            elif key == "greeting":
                current.greeting = value.strip() != "no"
            elif key == "N":
                address, count = value.split()
                current.counts.append((address, int(count)))
            elif key in ("C", "c", "S", "H", "T", "E", "Q"):
                current.steps.append((key, value, number))
            else:
                raise ValueError(f"{path}:{number}: unknown step: {key}")
    return dialogues


ESCAPES = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"0": b"\0", b"\\": b"\\"}


def octets(text):
    raw = text.encode("utf-8")
    raw = re.sub(rb"\{(.)\*(\d+)\}", lambda found: found.group(1) * int(found.group(2)), raw)
    return re.sub(rb"\\(x[0-9a-fA-F]{2}|.)", lambda found: ESCAPES.get(found.group(1)) or bytes.fromhex(found.group(1)[1:].decode()),
                  raw)


def matches(reply, pattern):
    expected, _, regex = pattern.partition("~")
    words = expected.split()
    codes = words[0].split("|")
    if not any(re.fullmatch(code.replace("x", r"\d"), str(reply.code)) for code in codes):
        return False
    if len(words) > 1 and reply.enhanced not in words[1].split("|"):
        return False
    return not regex or re.search(regex.strip(), reply.text) is not None


def perform(dialogue, client):
    """Runs one case on a fresh connection."""
    ended = False
    if dialogue.greeting:
        client.greeting()
    for key, value, number in dialogue.steps:
        if key == "C":
            client.send(octets(value) + b"\r\n")
        elif key == "c":
            client.send(octets(value))
        elif key == "H":
            client.ehlo(value or "client.test.example")
        elif key == "T":
            client.handshake()
        elif key == "E":
            check(client.closed(), f"line {number}: the connection is still open, or the server said {client.buffer!r}")
            ended = True
        elif key == "Q":
            ended = True
        else:
            reply = client.reply()
            if not matches(reply, value):
                raise Failure(f"line {number}: expected {value}, got {reply}")
    if not ended:
        client.quit()
