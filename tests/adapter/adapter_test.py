#!/usr/bin/env python3
"""Drives postern_adapter, one process per area, with a few questions whose answers are known. Usage: adapter_test.py PROGRAM"""
import base64
import json
import subprocess
import sys
import unittest

PROGRAM = sys.argv.pop(1)


def b64(octets):
    return base64.b64encode(octets).decode("ascii")


def ask_lines(area, lines):
    """The answers to lines that need not be JSON."""
    text = "".join(line + "\n" for line in lines)
    done = subprocess.run([PROGRAM, area], input=text.encode("utf-8", "surrogateescape"), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=60, check=False)
    if done.returncode != 0:
        raise AssertionError(f"exit code {done.returncode}: {done.stderr.decode(errors='replace')}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def ask(area, questions):
    numbered = [dict(question, id=number) for number, question in enumerate(questions)]
    answers = ask_lines(area, [json.dumps(question) for question in numbered])
    assert [answer.pop("id") for answer in answers] == list(range(len(questions)))
    return answers


class Lines(unittest.TestCase):
    def test_what_is_no_question_is_answered_with_an_error(self):
        bad = ["{", "[]", "1", "null", '"x"', "{}", '{"text": 1}', "\udcff", '{"text": "\udcff"}', '{"id": "a", "text": []}', "[" * 100000]
        good = '{"id": "b", "text": "a@b.example"}'
        for area in ("address", "proxy", "judge"):
            with self.subTest(area):
                answers = ask_lines(area, bad)
                self.assertEqual(len(answers), len(bad))
                for answer in answers:
                    self.assertTrue(answer["error"])
                self.assertEqual(answers[-2]["id"], "a")
        answers = ask_lines("address", bad + ["", good])
        self.assertEqual(answers[-1], {"id": "b", "local": "a", "domain": "b.example"})

    def test_ids_are_echoed_as_they_are(self):
        for value in ("x", 7, None, [1, {"a": 2}], "\u00e4"):
            answers = ask_lines("address", [json.dumps({"id": value, "text": "a@b.example"})])
            self.assertEqual(answers[0]["id"], value)

    def test_an_unknown_area_is_a_usage_error(self):
        for arguments in ([], ["nonsense"], ["address", "proxy"]):
            done = subprocess.run([PROGRAM, *arguments], input=b"", stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  timeout=60, check=False)
            self.assertEqual(done.returncode, 64)
            self.assertIn(b"usage:", done.stderr)


class Address(unittest.TestCase):
    def test_mailboxes(self):
        rows = [
            ({"text": "a@B.Example"}, {"local": "a", "domain": "b.example"}),
            ({"text": "\"a b\"@b.example"}, {"local": "a b", "domain": "b.example"}),
            ({"text": "a@[192.0.2.1]"}, {"local": "a", "domain": "[192.0.2.1]"}),
            ({"text": "\u00e4@b.example", "smtputf8": True}, {"local": "\u00e4", "domain": "b.example"}),
        ]
        self.assertEqual(ask("address", [question for question, _ in rows]), [answer for _, answer in rows])

    def test_no_mailboxes(self):
        texts = ["", "a", "@b", "a@", "a b@c", "<a@b.example>", "a@b@c", "\u00e4@b.example", "a..b@c.example"]
        for text, answer in zip(texts, ask("address", [{"text": text} for text in texts])):
            self.assertEqual(list(answer), ["error"], text)


SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


class Proxy(unittest.TestCase):
    def test_headers(self):
        rows = [
            (b"PROXY TCP4 192.0.2.1 198.51.100.2 4711 25\r\nEHLO",
             {"protocol": "tcp4", "consumed": 43, "source": "192.0.2.1:4711", "destination": "198.51.100.2:25"}),
            (b"PROXY TCP6 2001:DB8::1 ::1 4711 25\r\n",
             {"protocol": "tcp6", "consumed": 36, "source": "[2001:db8::1]:4711", "destination": "[::1]:25"}),
            (b"PROXY UNKNOWN\r\n", {"protocol": "unknown", "consumed": 15}),
            (SIGNATURE + b"\x20\x00\x00\x00", {"protocol": "local", "consumed": 16}),
            (SIGNATURE + b"\x21\x12\x00\x10\xc0\x00\x02\x01\xc6\x33\x64\x02\x12\x67\x00\x19\xee\x00\x01\xff",
             {"protocol": "udp4", "consumed": 32, "source": "192.0.2.1:4711", "destination": "198.51.100.2:25",
              "tlvs": [{"type": 238, "value_hex": "ff"}]}),
            (SIGNATURE + b"\x21\x31\x00\xd8" + b"/a".ljust(108, b"\0") + b"/b".ljust(108, b"\0"),
             {"protocol": "unix", "consumed": 232, "source": "/a", "destination": "/b"}),
            (b"", {"incomplete": True}),
            (b"PROXY TCP4 192.", {"incomplete": True}),
            (SIGNATURE[:5], {"incomplete": True}),
        ]
        self.assertEqual(ask("proxy", [{"bytes_b64": b64(octets)} for octets, _ in rows]), [answer for _, answer in rows])

    def test_no_headers(self):
        for octets in (b"EHLO a\r\n", b"PROXY TCP4 ::1 ::1 1 2\r\n", SIGNATURE + b"\x31"):
            self.assertEqual(list(ask("proxy", [{"bytes_b64": b64(octets)}])[0]), ["error"], octets)
        for text in ("x", "====", "A===", "AA*=", "AAAA\n"):
            self.assertEqual(ask("proxy", [{"bytes_b64": text}])[0], {"error": "bytes_b64: not base64"})


ORDINARY = b"From: a@a.example\r\nDate: x\r\nMessage-ID: <1@a.example>\r\n\r\nhello\r\n"
GTUBE = b"XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
ENVELOPE = {"ip": "192.0.2.1", "helo": "a.example", "mail_from": "s@a.example", "rcpt": ["r@b.example"], "tls": True}
MANIFEST = """hostname = "mx.test.example"
[filter.allow]
senders = ["friend@a.example"]
[filter.block]
clients = ["198.51.100.0/24"]
senders = ["@spam.example", "<>"]
recipients = ["closed@b.example"]
"""


def question(message=ORDINARY, policy=MANIFEST, **envelope):
    return {"envelope": dict(ENVELOPE, **envelope), "message_b64": b64(message), "policy": policy}


class Judge(unittest.TestCase):
    def judge(self, *arguments, **envelope):
        return ask("judge", [question(*arguments, **envelope)])[0]

    def test_an_ordinary_message(self):
        answer = self.judge()
        self.assertEqual(answer["action"], "accept")
        self.assertEqual(answer["score"], 0)
        self.assertEqual(answer["findings"], [])
        self.assertEqual(answer["incomplete"], [])
        self.assertEqual(answer["authentication_results"], "mx.test.example; none")

    def test_gtube(self):
        answer = self.judge(ORDINARY + GTUBE + b"\r\n")
        self.assertEqual(answer["action"], "reject")
        self.assertEqual([finding["name"] for finding in answer["findings"]], ["GTUBE"])
        self.assertEqual(set(answer["findings"][0]), {"name", "score", "evidence"})
        self.assertEqual(answer["refusal"]["code"], 554)

    def test_thresholds_come_from_the_policy(self):
        bare = b"\r\nhello\r\n"
        self.assertEqual(self.judge(bare)["action"], "accept")
        for key, action in (("tag_score", "tag"), ("quarantine_score", "quarantine"), ("reject_score", "reject")):
            order = ["tag_score", "quarantine_score", "reject_score"]
            lines = [f"{name} = {1.0 if order.index(name) <= order.index(key) else 50.0}" for name in order]
            self.assertEqual(self.judge(bare, "[filter]\n" + "\n".join(lines) + "\n")["action"], action)

    def test_lists(self):
        rows = [
            ({"ip": "198.51.100.7"}, "reject", ["LOCAL_BLOCK_CLIENT"]),
            ({"mail_from": "x@spam.example"}, "reject", ["LOCAL_BLOCK_SENDER"]),
            ({"mail_from": ""}, "reject", ["LOCAL_BLOCK_SENDER"]),
            ({"rcpt": ["r@b.example", "closed@b.example"]}, "reject", ["LOCAL_BLOCK_RECIPIENT"]),
            ({"mail_from": "friend@a.example"}, "accept", ["LOCAL_ALLOW_SENDER"]),
        ]
        answers = ask("judge", [question(**envelope) for envelope, _, _ in rows])
        for (envelope, action, names), answer in zip(rows, answers):
            with self.subTest(str(envelope)):
                self.assertEqual(answer["action"], action)
                self.assertEqual([finding["name"] for finding in answer["findings"]], names)

    def test_a_loop(self):
        message = b"Received: from a by b\r\n" * 101 + ORDINARY
        for policy in (MANIFEST, "[filter]\nenabled = false\n"):
            answer = self.judge(message, policy, mail_from="friend@a.example")
            self.assertEqual(answer["action"], "reject")
            self.assertEqual(answer["refusal"]["enhanced"], "5.4.6")
        self.assertEqual(self.judge(message[len(b"Received: from a by b\r\n"):])["action"], "accept")

    def test_the_same_question_has_the_same_answer(self):
        first, second = ask("judge", [question(GTUBE), question(GTUBE)])
        self.assertEqual(json.dumps(first), json.dumps(second))

    def test_mistakes_in_the_question(self):
        rows = [
            (question(ip="nowhere"), "envelope.ip: nowhere is no address"),
            (question(mail_from="a b"), "a b: octet 1"),
            (question(policy="hostname = 1\n"), "/policy.toml:1: hostname"),
            (question(policy="[filter]\nnonsense = 1\n"), "nonsense"),
            ({"message_b64": ""}, "envelope"),
        ]
        for asked, expected in rows:
            answer = ask("judge", [asked])[0]
            self.assertEqual(list(answer), ["error"])
            self.assertIn(expected, answer["error"])


if __name__ == "__main__":
    unittest.main()
