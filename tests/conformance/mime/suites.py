#!/usr/bin/env python3
"""Runs the published messages and header fields of shared/conformance/mime through build/postern_adapter.

    suites.py ADAPTER

The expectations are another parser's own output. Where we disagree the case stands in ARGUED with the reason; a case there that agrees
again is an error as well. Of the malformed messages and of the Postfix inputs only this is asked: there is an answer, and no octet of a
leaf is made up."""
import base64
import glob
import hashlib
import json
import os
import subprocess
import sys

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
SHARED = os.path.join(os.environ.get("POSTERN_SHARED") or os.path.join(SOURCE, "..", "shared"), "conformance", "mime")
SKIPPED = 77

UUENCODE = "x-uuencode is undone; the other parser gives it back as it stands."
NOT_BASE64 = ("Prose under base64: the other parser falls back to the text. What a reader that decodes shows is decoded, and the part has the "
              "oddities for it.")
RAW_SUBJECT = "A raw octet in the Subject: read as windows-1252, as readers do, where the other parser has U+FFFD."
ADDRESS_FIELDS = "A List- field read as addresses: nobody asks our reader of mailboxes for that, and a colon in angle brackets ends a route."
ARGUED = {
    **{f"legacy/{number}{ends}": text for ends in ("", " crlf") for number, text in (
        ("010", RAW_SUBJECT), ("020", RAW_SUBJECT), ("022", RAW_SUBJECT), ("052", RAW_SUBJECT + " The same for the text."),
        ("026", UUENCODE), ("048", UUENCODE))},
    **{f"{name}{ends}": NOT_BASE64 for ends in ("", " crlf") for name in ("rfc/000", "thirdparty/002")},
    "unstructured 14": "An encoded word glued to text: no blank is made up between them.",
    "content_type 17": "Blanks between encoded words go (RFC 2047 §6.2), where they do not belong as well; the other parser keeps them there.",
    "content_type 28": "An unended quotation of blanks: nothing is a better name than blanks.",
    "content_type 34": "A type without subtype: the field's value is given as it stands, and the part becomes text/plain (RFC 2045 §5.2).",
    "address 5": "A comment behind a group is no mailbox.",
    "address 7": "Blanks and comments around the dots of a domain are not part of it (RFC 5322 §4.4).",
    **{f"address {number}": ADDRESS_FIELDS for number in (19, 20, 22, 23)},
}


def b64(octets):
    return base64.b64encode(octets).decode()


def words(text):
    return " ".join((text or "").split())


def flattened(message):
    """(type, body) of the leaves in document order, a nested message before its own."""
    leaves = []
    for part in message["parts"]:
        kind, body = next(iter(part["body"].items()))
        if kind == "Multipart":
            continue
        types = [header["value"]["ContentType"] for header in part["headers"]
                 if header["name"] == "content_type" and "ContentType" in header["value"]]
        declared = f"{types[0]['c_type']}/{types[0]['c_subtype']}".lower() if types and types[0]["c_subtype"] else None
        charset = next((attribute["value"] for attribute in (types[0].get("attributes") or []) if attribute["name"] == "charset"), None) \
            if types else None
        leaves.append((declared, charset, kind, body))
        if kind == "Message":
            leaves += flattened(body)
    return leaves


def digests(body, charset):
    """The digests the octets may have that were decoded to this text."""
    result = set()
    for name in filter(None, (charset, "utf-8", "windows-1252", "iso-8859-1")):
        try:
            result.add(hashlib.sha256(body.encode(name)).hexdigest())
        except (LookupError, UnicodeError):
            pass
    return result


def header_of(message, name):
    values = [header["value"] for header in message["parts"][0]["headers"] if header["name"] == name]
    return values[0] if values else None


def addresses(value):
    found = []
    for entry in (value or {}).get("List") or []:
        found.append((entry["name"] or "", entry["address"]))
    for group in (value or {}).get("Group") or []:
        found += [(entry["name"] or "", entry["address"]) for entry in group["addresses"]]
    return found


def judge_message(expected):
    def judge(answer):
        problems = []
        leaves = flattened(expected)
        got = answer["parts"]
        if len(leaves) != len(got):
            problems.append(f"{len(leaves)} parts, got {[(part['path'], part['type']) for part in got]}")
        for number, ((declared, charset, kind, body), part) in enumerate(zip(leaves, got)):
            if declared and declared != part["type"]:
                problems.append(f"part {number}: type {declared}, got {part['type']}")
            if kind in ("Binary", "InlineBinary") and hashlib.sha256(bytes(body)).hexdigest() != part["sha256"]:
                problems.append(f"part {number}: {len(body)} octets of other content, got {part['octets']}")
            if kind in ("Text", "Html") and part["sha256"] not in digests(body, charset) \
                    and words(body.replace("\ufffd", "")) not in words(answer["text"].replace("\ufffd", "")):
                problems.append(f"part {number}: other text, {len(body)} characters, got {part['octets']} octets")
        subject = header_of(expected, "subject")
        if subject and words(subject.get("Text")) != words(answer["subject"]):
            problems.append(f"subject {subject.get('Text')!r}, got {answer['subject']!r}")
        for name in ("from", "to"):
            value = header_of(expected, name)
            if value and "Address" in value:
                wanted = [address or name for name, address in addresses(value["Address"])]
                if wanted != [entry["address"] for entry in answer[name]]:
                    problems.append(f"{name} {wanted}, got {answer[name]}")
        return "; ".join(problems) or True
    return judge


def answered(answer):
    return bool(answer["parts"]) or "no parts"


def messages():
    for path in sorted(glob.glob(os.path.join(SHARED, "mail-parser", "*", "[0-9]*.eml"))):
        name = os.path.relpath(path, os.path.join(SHARED, "mail-parser"))[:-4]
        with open(path, "rb") as file:
            octets = file.read()
        for ends, text in (("", octets.replace(b"\r\n", b"\n")), (" crlf", octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))):
            expectation = path[:-4] + (".crlf.json" if ends else ".json")
            if name.startswith("malformed/") or not os.path.exists(expectation):
                yield name + ends, {"message_b64": b64(text)}, answered
                continue
            with open(expectation, encoding="utf-8") as file:
                yield name + ends, {"message_b64": b64(text)}, judge_message(json.load(file))
    for path in sorted(glob.glob(os.path.join(SHARED, "postfix", "*.in"))):
        with open(path, "rb") as file:
            yield "postfix/" + os.path.basename(path), {"message_b64": b64(file.read())}, answered


def header_fields():
    def fields(name):
        with open(os.path.join(SHARED, "mail-parser", "header-fields", name + ".even.json"), encoding="utf-8") as file:
            for index, case in enumerate(json.load(file)):
                yield f"{name} {index}", case["header"].encode("utf-8", "surrogateescape"), case["expected"]

    for name, octets, expected in fields("unstructured"):
        def judge_text(answer, expected=expected):
            return words(answer["text"]) == words(expected) or f"expected {expected!r}"
        yield name, {"field": "text", "value_b64": b64(octets)}, judge_text
    for name, octets, expected in fields("content_type"):
        def judge_type(answer, expected=expected):
            value = expected and (f"{expected['c_type']}/{expected['c_subtype']}" if expected["c_subtype"] else expected["c_type"])
            if expected and value != answer["value"]:
                return f"expected {value!r}"
            wanted = {key: text for key, text in (expected or {}).get("attributes") or [] if not key.endswith("-language")}
            return not expected or wanted == dict(answer["parameters"]) or f"expected {wanted}"
        yield name, {"field": "content-type", "value_b64": b64(octets)}, judge_type
    for name, octets, expected in fields("address"):
        def judge_addresses(answer, expected=expected):
            wanted = [address or name for name, address in addresses(expected)]
            return wanted == [entry["address"] for entry in answer["mailboxes"]] or f"expected {addresses(expected)}"
        yield name, {"field": "addresses", "value_b64": b64(octets)}, judge_addresses


def main(adapter):
    if not os.path.isdir(SHARED):
        print(f"{SHARED} is not there: skipped")
        return SKIPPED
    cases = [*messages(), *header_fields()]
    lines = "".join(json.dumps({"id": index, **question}) + "\n" for index, (_, question, _) in enumerate(cases))
    done = subprocess.run([adapter, "mime"], input=lines, capture_output=True, text=True, check=False, timeout=240)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    failed, argued = [], 0
    if done.returncode != 0 or len(answers) != len(cases):
        failed.append(f"exit code {done.returncode}, {len(answers)} answers to {len(cases)} cases: {done.stderr[-2000:]}")
    for (name, _, judge), answer in zip(cases, answers):
        problem = "error: " + answer["error"] if "error" in answer else judge(answer)
        if problem is True:
            if name in ARGUED:
                failed.append(f"{name}: agrees although it is argued against")
        elif name in ARGUED:
            argued += 1
        else:
            failed.append(f"{name}: {problem}" + (f", got {answer}" if len(str(answer)) < 1000 else ""))
    print("\n".join(failed))
    print(f"mime: {len(cases)} cases, {argued} argued against, {len(failed)} failed")
    return 1 if failed or not cases else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
