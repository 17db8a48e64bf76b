#!/usr/bin/env python3
"""How often each rule holds on ham and on spam, and what the rules alone decide.

  postern rules hits --config FILE --index INDEX >hits.txt
  bench/rules/hit_rates.py hits.txt… [--rules FOLDER]

Each line of the input: class, score, rules by comma, path. Of a message that a score was fitted on nothing is reported: the path decides
(see half_of), and fit_scores.py takes the other half. --all reports everything all the same."""
import argparse
import collections
import glob
import os
import zlib


def half_of(path):
    """0: for fitting, 1: for reporting. By the file's name alone, so that it stays wherever the corpus lies."""
    return zlib.crc32(path.rsplit("/", 2)[-2].encode() + b"/" + path.rsplit("/", 1)[-1].encode()) & 1


def read(names, halves):
    messages = []
    for name in names:
        with open(name, encoding="utf-8", errors="replace") as file:
            for line in file:
                kind, score, rules, path = line.rstrip("\n").split(" ", 3)
                if half_of(path) in halves:
                    messages.append((kind == "spam", float(score), [] if rules == "-" else rules.split(","), path))
    return messages


def rescored(messages, folder):
    """With the scores and caps that stand in the files now, where these have changed since the rules were tried."""
    scores, groups, caps, rule = {}, {}, {}, None
    for name in sorted(glob.glob(os.path.join(folder, "*.rules"))):
        for line in open(name, encoding="utf-8"):
            words = line.split()
            if line.startswith("group "):
                caps[words[1]] = float(words[3])
            elif line.startswith("rule "):
                rule = words[1]
            elif words[:1] == ["score"]:
                scores[rule] = float(words[1])
            elif words[:1] == ["group"]:
                groups[rule] = words[1]
    out = []
    for spam, _, rules, path in messages:
        total, grouped = 0.0, dict.fromkeys(caps, 0.0)
        for each in rules:
            score = scores.get(each, 0.0)
            if score > 0 and each in groups:
                grouped[groups[each]] += score
            else:
                total += score
        out.append((spam, total + sum(min(grouped[group], caps[group]) for group in caps), rules, path))
    return out


def operating_points(messages):
    """At which threshold how much of each class is beyond it."""
    ham = sorted((score for spam, score, _, _ in messages if not spam), reverse=True)
    spam = [score for is_spam, score, _, _ in messages if is_spam]
    lines = []
    for label, threshold in [("score 5", 5.0), ("score 10", 10.0), ("score 15", 15.0)] + [
            (f"{share:.1%} of ham lost", ham[int(len(ham) * share)] + 1e-9) for share in (0.001, 0.01) if ham]:
        lost = sum(score >= threshold for score in ham)
        caught = sum(score >= threshold for score in spam)
        lines.append((label, threshold, lost, len(ham), caught, len(spam)))
    return lines


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("hits", nargs="+")
    parser.add_argument("--rules", help="folder of rule files: count their scores instead of those in the input")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--least", type=int, default=0, help="leave out rules that hold less often")
    options = parser.parse_args()
    messages = read(options.hits, (0, 1) if options.all else (1,))
    if options.rules:
        messages = rescored(messages, options.rules)
    ham = sum(not spam for spam, *_ in messages)
    spam = len(messages) - ham
    counts = collections.defaultdict(lambda: [0, 0])
    for is_spam, _, rules, _ in messages:
        for rule in set(rules):
            counts[rule][is_spam] += 1
    print(f"{len(messages)} messages: {ham} ham, {spam} spam")
    print(f"{'rule':42} {'ham':>6} {'ham %':>7} {'spam':>6} {'spam %':>7} {'of hits spam':>12}")
    for rule, (in_ham, in_spam) in sorted(counts.items(), key=lambda item: -item[1][1]):
        if in_ham + in_spam < options.least:
            continue
        print(f"{rule:42} {in_ham:6} {in_ham / max(ham, 1):7.2%} {in_spam:6} {in_spam / max(spam, 1):7.2%} "
              f"{in_spam / (in_ham + in_spam):12.1%}")
    print()
    for label, threshold, lost, of_ham, caught, of_spam in operating_points(messages):
        print(f"{label:22} threshold {threshold:6.2f}: ham {lost}/{of_ham} ({lost / max(of_ham, 1):.2%}), "
              f"spam {caught}/{of_spam} ({caught / max(of_spam, 1):.2%})")


if __name__ == "__main__":
    main()
