#!/usr/bin/env python3
"""Guards the paths that every message takes: how many instructions of our own they execute.

    bench/instructions/instructions.py PROGRAM [--update]

PROGRAM is the release build's postern_paths. Each path runs under callgrind; counted is what stands in the program itself, not in the
libraries it calls, which choose their code by processor. baseline.json beside this file holds the counts agreed on: a path that takes
more than a tenth more fails, until the baseline is changed with --update, in the commit that is to blame. Without valgrind: exit 77.
"""
import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

BASELINE = pathlib.Path(__file__).with_name("baseline.json")
GROWTH = 1.10


def own_instructions(text, program):
    """The exclusive costs in callgrind's file of the functions in one object file."""
    total, inside, of_a_call = 0, False, False
    for line in text.splitlines():
        if line.startswith("ob="):
            inside = pathlib.Path(line[3:]).name == program
        elif line.startswith("calls="):
            of_a_call = True  # the next line is what the callee took
        elif cost := re.fullmatch(r"\d+ (\d+)", line):
            if inside and not of_a_call:
                total += int(cost[1])
            of_a_call = False
    return total


def count(program, path):
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "out"
        subprocess.run(["valgrind", "--tool=callgrind", "--collect-atstart=no", "--toggle-collect=measured_path",
                        "--compress-strings=no", "--compress-pos=no", f"--callgrind-out-file={out}", program, path],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)
        return own_instructions(out.read_text(), pathlib.Path(program).name)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--update", action="store_true", help="write what is counted as the new baseline")
    options = parser.parse_args()
    if shutil.which("valgrind") is None:
        print("skipped: valgrind is not installed (apt-get install valgrind)")
        return 77
    paths = subprocess.run([options.program], check=True, capture_output=True, text=True).stdout.split()
    counts = {path: count(options.program, path) for path in paths}
    if options.update:
        BASELINE.write_text(json.dumps(counts, indent=2) + "\n")
    baseline = json.loads(BASELINE.read_text())
    failed = sorted(set(baseline) ^ set(counts))
    for path in failed:
        print(f"{path}: either in the program or in the baseline, not in both")
    for path, now in counts.items():
        before = baseline.get(path, 0)
        grown = now == 0 or now > before * GROWTH
        print(f"{path:15} {before:>12,} {now:>12,} {100 * (now / before - 1) if before else 0:+7.1f} %" + ("  TOO MUCH" if grown else ""))
        if grown:
            failed.append(path)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
