#!/usr/bin/env python3
"""Accuracy of the classifier on a stream of messages, on-line: each message is classified, then learned with the truth.

    bench/accuracy/stream.py build/postern INDEX [--flip 0.05] [--errors-only] [--delay 300] [--limit N] [--scores FILE]

INDEX has a line "spam|ham PATH" for each message, paths relative to its folder. Prints what the TREC spam track printed:
(1-ROCA)% is the area above the ROC curve in percent, ties counted half; hm% ham called spam, sm% spam called ham, lam% their
logistic mean; sm@hm.1 and sm@hm1 the spam missed at a threshold that loses at most 0.1 % and 1 % of the ham.
"""
import argparse
import bisect
import math
import pathlib
import random
import subprocess
import tempfile
import time


def read_index(path):
    folder = pathlib.Path(path).resolve().parent
    for line in pathlib.Path(path).read_text().splitlines():
        label, name = line.split(" ", 1)
        yield label == "spam", str((folder / name).resolve())


class Classifier:
    """`postern classify --stdio` with a store of its own."""

    def __init__(self, program, store):
        self.process = subprocess.Popen([program, "classify", "--stdio", "--store", store], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, bufsize=1)

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().rstrip("\n")
        if not answer or answer.startswith("error"):
            raise SystemExit(f"{line}: {answer or 'the program has ended'}")
        return answer

    def classify(self, path):
        verdict, score = self.ask(f"classify {path}").split(" ")
        return verdict == "spam", float(score)

    def learn(self, path, spam):
        self.ask(f"learn {'spam' if spam else 'ham'} {path}")

    def close(self):
        self.process.stdin.close()
        if self.process.wait() != 0:
            raise SystemExit("the program has failed at its end")


def logit(p):
    return math.log(p / (1 - p))


def figures(rows):
    """rows: (is spam, called spam, score)."""
    ham = sorted(score for spam, _, score in rows if not spam)
    spam = sorted(score for spam, _, score in rows if spam)
    if not ham or not spam:
        return {"messages": len(rows), "ham": len(ham), "spam": len(spam)}
    above = 0.0
    for score in spam:
        lower, upper = bisect.bisect_left(ham, score), bisect.bisect_right(ham, score)
        above += len(ham) - upper + (upper - lower) / 2
    hm = sum(called for is_spam, called, _ in rows if not is_spam)
    sm = sum(not called for is_spam, called, _ in rows if is_spam)
    # No error at all counts as half a one, or the logarithm had no value.
    mean = (logit(max(hm, 0.5) / len(ham)) + logit(max(sm, 0.5) / len(spam))) / 2

    def missed_at(share):
        threshold = ham[len(ham) - 1 - int(share * len(ham))]
        return 100 * bisect.bisect_right(spam, threshold) / len(spam)

    return {"messages": len(rows), "ham": len(ham), "spam": len(spam),
            "(1-ROCA)%": 100 * above / (len(ham) * len(spam)), "hm%": 100 * hm / len(ham), "sm%": 100 * sm / len(spam),
            "lam%": 100 / (1 + math.exp(-mean)), "sm@hm.1": missed_at(0.001), "sm@hm1": missed_at(0.01)}


def run(classifier, messages, options):
    rows, waiting = [], []
    choice = random.Random(options.seed)
    for number, (spam, path) in enumerate(messages):
        for entry in [entry for entry in waiting if entry[0] <= number]:
            classifier.learn(entry[1], entry[2])
            waiting.remove(entry)
        called, score = classifier.classify(path)
        rows.append((spam, called, score))
        told = spam != (choice.random() < options.flip)
        if options.errors_only and called == told:
            continue
        if options.delay:
            waiting.append((number + 1 + choice.randint(0, 2 * options.delay), path, told))
        else:
            classifier.learn(path, told)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("index")
    parser.add_argument("--flip", type=float, default=0, help="share of truths that are wrong")
    parser.add_argument("--errors-only", action="store_true", help="only what was classified wrongly is learned")
    parser.add_argument("--delay", type=int, default=0, help="truths come so many messages later on average")
    parser.add_argument("--limit", type=int, help="the first so many messages")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scores", help="file for a line 'truth score' of each message")
    options = parser.parse_args()
    messages = list(read_index(options.index))[:options.limit]
    with tempfile.TemporaryDirectory() as folder:
        classifier = Classifier(options.program, folder + "/store")
        start = time.monotonic()
        rows = run(classifier, messages, options)
        took = time.monotonic() - start
        classifier.close()
    if options.scores:
        pathlib.Path(options.scores).write_text(
            "".join(f"{'spam' if spam else 'ham'} {score}\n" for spam, _, score in rows))
    for name, value in figures(rows).items():
        print(f"{name:10} {value:.4f}" if isinstance(value, float) else f"{name:10} {value}")
    print(f"{'messages/s':10} {len(rows) / took:.0f}")


if __name__ == "__main__":
    main()
