#!/usr/bin/env python3
"""Fits the scores of rules to messages: logistic regression on which rules hold, around the scores that were set by hand.

  bench/rules/fit_scores.py hits.txt… --rules deploy/manifests/rules [--write]

The model: a message is spam with probability sigmoid(sum of scores - 5), 5 being tag_score. Scores stay near those in the files (a
quadratic penalty, whose weight is chosen by five-fold cross-validation) and within bounds around them, because a corpus of one place and
time praises what is merely customary there; a rule that holds too seldom keeps its score, and so does one that speaks for a message: a sender can
write what it looks for. Losing ham weighs ten times as much as missing
spam. Only the half of the messages that hit_rates.py does not report on is looked at. No randomness: the same input gives the same scores."""
import argparse
import glob
import math
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hit_rates import read  # noqa: E402

TAG_SCORE = 5.0
HAM_WEIGHT = 10.0
SELDOM = 8  # messages
FOLDS = 5
PENALTIES = (3.0, 10.0, 30.0)
ROUNDS = 150


def written_scores(folder):
    """Each rule's score as it stands in the files: name -> (file, line, score)."""
    scores = {}
    for file in sorted(glob.glob(os.path.join(folder, "*.rules"))):
        rule = None
        for number, line in enumerate(open(file, encoding="utf-8")):
            if match := re.match(r"rule (\S+)", line):
                rule = match[1]
            elif (match := re.match(r"\s+score (-?[\d.]+)", line)) and rule:
                scores[rule] = (file, number, float(match[1]))
    return scores


def bounds_of(score):
    return 0.25 * score, 1.5 * score + 0.3


def loss_and_gradient(rows, weights, scores):
    loss, gradient = 0.0, [0.0] * len(scores)
    for (spam, hits), weight in zip(rows, weights):
        margin = sum(scores[i] for i in hits) - TAG_SCORE
        probability = 1 / (1 + math.exp(-max(-30.0, min(30.0, margin))))
        loss -= weight * math.log(max(probability if spam else 1 - probability, 1e-12))
        step = weight * (probability - spam)
        for i in hits:
            gradient[i] += step
    return loss, gradient


def fit(rows, start, bounds, free, penalty):
    """Gradient descent with a step for each score by how often its rule holds; the problem is convex."""
    weights = [1.0 if spam else HAM_WEIGHT for spam, _ in rows]
    curvature = [penalty] * len(start)
    for (_, hits), weight in zip(rows, weights):
        for i in hits:
            curvature[i] += 0.25 * weight * len(hits)
    scores = list(start)
    for _ in range(ROUNDS):
        _, gradient = loss_and_gradient(rows, weights, scores)
        for i in range(len(scores)):
            if free[i]:
                step = (gradient[i] + penalty * (scores[i] - start[i])) / curvature[i]
                scores[i] = min(max(scores[i] - step, bounds[i][0]), bounds[i][1])
    return scores


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("hits", nargs="+")
    parser.add_argument("--rules", required=True)
    parser.add_argument("--write", action="store_true", help="put the scores into the files")
    options = parser.parse_args()
    written = written_scores(options.rules)
    names = sorted(written)
    place = {name: i for i, name in enumerate(names)}
    start = [written[name][2] for name in names]
    bounds = [bounds_of(score) for score in start]
    rows = [(spam, [place[rule] for rule in set(rules) if rule in place]) for spam, _, rules, _ in read(options.hits, (0,))]
    counts = [0] * len(names)
    for _, hits in rows:
        for i in hits:
            counts[i] += 1
    free = [count >= SELDOM and score > 0 for count, score in zip(counts, start)]

    def held_out(penalty):
        total = 0.0
        for fold in range(FOLDS):
            train = [row for at, row in enumerate(rows) if at % FOLDS != fold]
            test = [row for at, row in enumerate(rows) if at % FOLDS == fold]
            scores = fit(train, start, bounds, free, penalty)
            total += loss_and_gradient(test, [1.0 if spam else HAM_WEIGHT for spam, _ in test], scores)[0]
        return total / len(rows)

    print(f"{len(rows)} messages to fit on; held-out loss with the scores as written: "
          f"{loss_and_gradient(rows, [1.0 if spam else HAM_WEIGHT for spam, _ in rows], start)[0] / len(rows):.4f}")
    losses = {}
    for penalty in PENALTIES:
        losses[penalty] = held_out(penalty)
        print(f"penalty {penalty:6.1f}: held-out loss {losses[penalty]:.4f}")
    best = min(losses, key=losses.get)
    scores = fit(rows, start, bounds, free, best)
    lines = {}
    for name, before, after, count in zip(names, start, scores, counts):
        rounded = round(after, 2)
        if rounded == before:
            continue
        print(f"{name:42} {before:6.2f} -> {rounded:6.2f}   holds for {count}")
        file, number, _ = written[name]
        lines.setdefault(file, {})[number] = rounded
    if options.write:
        for file, changes in lines.items():
            text = open(file, encoding="utf-8").readlines()
            for number, score in changes.items():
                text[number] = re.sub(r"score -?[\d.]+", f"score {score:g}", text[number])
            open(file, "w", encoding="utf-8").writelines(text)


if __name__ == "__main__":
    main()
