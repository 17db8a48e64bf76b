#!/usr/bin/env python3
"""Compares build/postern_adapter with Python's email package over a sample of the shared corpus: the same leaves, the same octets.

    referee.py ADAPTER [COUNT [SEED]]

A disagreement is put down to the first reason of REASONS that explains it. What none explains is an error, and so is more of one kind
than its bound (in thousandths of the sample)."""
import base64
import binascii
import collections
import email
import email.policy
import glob
import hashlib
import json
import os
import random
import subprocess
import sys
import tarfile

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
SHARED = os.environ.get("POSTERN_SHARED") or os.path.join(SOURCE, "..", "shared")
SKIPPED = 77

# name: (bound in thousandths, function that says whether it explains the disagreement)
REASONS = {}


def reason(bound):
    def register(function):
        REASONS[function.__name__] = (bound, function)
        return function
    return register


def leaves(message, path=""):
    """(type, octets) in the order of our parts; None for the octets of a nested message, which Python does not keep."""
    found = []
    if message.get_content_type() in ("message/rfc822", "message/global") and message.is_multipart():
        found.append((message.get_content_type(), None))
        for nested in message.get_payload():
            found += leaves(nested)
    elif message.is_multipart() and message.get_content_maintype() != "multipart":
        # message/delivery-status is taken apart into header blocks by Python; it is one leaf.
        found.append((message.get_content_type(), None))
    elif message.is_multipart():
        for child in message.get_payload():
            found += leaves(child)
    else:
        found.append((message.get_content_type(), payload(message)))
    return found


def payload(message):
    return message.get_payload(decode=True) or b""


def octets_of_corpus(count, seed):
    members = []
    for archive in sorted(glob.glob(os.path.join(SHARED, "corpus", "*.tar.xz"))):
        with tarfile.open(archive) as tar:
            for member in tar:
                if member.isfile():
                    members.append((member.name, tar.extractfile(member).read()))
    random.Random(seed).shuffle(members)
    return members[:count]


@reason(40)
def junk_in_header(octets, answer, ours, theirs):
    """A line in the message's header that is no field: we skip it, Python starts the body there."""
    return bool({"junk_line", "continuation_first", "header_unended", "bare_cr"} & set(answer["oddities"]))


@reason(10)
def encoded_message(octets, answer, ours, theirs):
    """base64 over message/rfc822: we undo it and read the message, Python reads what stands there."""
    return "encoded_message" in answer["oddities"]


@reason(10)
def delimiter_with_text(octets, answer, ours, theirs):
    return "delimiter_with_text" in answer["oddities"]


@reason(10)
def parameters(octets, answer, ours, theirs):
    """Content-Type fields that break the grammar."""
    return bool({"parameter_broken", "content_type_broken", "duplicate_content_type", "parameter_repeated"} & set(answer["oddities"]))


@reason(10)
def carriage_returns(octets, answer, ours, theirs):
    """Python ends lines at a bare CR, and so sees header fields and delimiters where nobody else does."""
    return b"\r" in octets.replace(b"\r\n", b"")


def same_types(ours, theirs):
    return [kind for kind, _ in ours] == [kind for kind, _ in theirs]


def differing(ours, theirs, answer):
    return [part for part, (_, digest), (_, wanted) in zip(answer["parts"], ours, theirs) if wanted is not None and digest != wanted]


@reason(30)
def trailing_blanks(octets, answer, ours, theirs):
    """RFC 2045 §6.7 rule 3: blanks at the end of a quoted-printable line are deleted. Python keeps them."""
    return same_types(ours, theirs) and all(part["encoding"] == "quoted-printable" for part in differing(ours, theirs, answer))


@reason(10)
def no_final_delimiter(octets, answer, ours, theirs):
    """Without a final delimiter there is none to own the last line end: it stays with the part. Python takes it off."""
    return same_types(ours, theirs) and "no_final_delimiter" in answer["oddities"] and differing(ours, theirs, answer) == answer["parts"][-1:]


@reason(20)
def odd_base64(octets, answer, ours, theirs):
    """Octets outside the alphabet or data behind the padding: Python stops there or gives the text back, we go on."""
    return same_types(ours, theirs) and all(
        part["encoding"] == "base64" and {"base64_foreign_octet", "base64_data_after_padding", "base64_incomplete"} & set(part["oddities"])
        for part in differing(ours, theirs, answer))


def main(adapter, count="500", seed="1"):
    if not glob.glob(os.path.join(SHARED, "corpus", "*.tar.xz")):
        print(f"no corpus in {SHARED}: skipped")
        return SKIPPED
    print(f"seed {seed}")
    sample = octets_of_corpus(int(count), int(seed))
    lines = "".join(json.dumps({"id": index, "message_b64": base64.b64encode(octets).decode()}) + "\n"
                    for index, (_, octets) in enumerate(sample))
    done = subprocess.run([adapter, "mime"], input=lines, capture_output=True, text=True, check=False, timeout=280)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    if done.returncode != 0 or len(answers) != len(sample):
        print(f"exit code {done.returncode}, {len(answers)} answers to {len(sample)} messages: {done.stderr[-2000:]}")
        return 1
    failed, counts = [], collections.Counter()
    for (name, octets), answer in zip(sample, answers):
        if "error" in answer:
            failed.append(f"{name}: {answer['error']}")
            continue
        message = email.message_from_bytes(octets, policy=email.policy.compat32)
        try:
            wanted = [(kind, None if body is None else hashlib.sha256(body).hexdigest()) for kind, body in leaves(message)]
        except (binascii.Error, ValueError, LookupError, AttributeError) as exception:
            counts["python_fails"] += 1
            print(f"{name}: Python fails: {exception!r}")
            continue
        ours = [(part["type"], part["sha256"]) for part in answer["parts"]]
        if same_types(ours, wanted) and not differing(ours, wanted, answer):
            continue
        for explanation, (_, explains) in REASONS.items():
            if explains(octets, answer, ours, wanted):
                counts[explanation] += 1
                break
        else:
            failed.append(f"{name}: {[kind for kind, _ in wanted]}, got {[(part['path'], part['type']) for part in answer['parts']]}, "
                          f"other octets in {[(part['path'], part['encoding'], part['octets']) for part in differing(ours, wanted, answer)]}, "
                          f"oddities {answer['oddities']}")
    for explanation, number in sorted(counts.items()):
        bound = REASONS[explanation][0] if explanation in REASONS else 5
        print(f"{explanation}: {number}")
        if number * 1000 > bound * len(sample):
            failed.append(f"{explanation}: {number} of {len(sample)} are more than {bound} in a thousand")
    print("\n".join(failed))
    print(f"mime: {len(sample)} messages, {sum(counts.values())} explained disagreements, {len(failed)} failed")
    return 1 if failed or not sample else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))
