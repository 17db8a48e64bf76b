#!/usr/bin/env python3
"""Small habits that no compiler keeps: how co_await lines look, how standards are cited, what may not stand in the tree."""
import os
import re
import subprocess
import sys

SOURCE = os.environ.get("POSTERN_SOURCE") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

LINE_RULES = [
    # Forms of co_await that older compilers get wrong, and that hide what is awaited (gateway/README.md, "Coroutines").
    (r"\bco_await\b[^;]*\?[^:;]*:", "a choice inside a co_await line: choose first"),
    (r"\[[&=]\][^;{]*\{[^}]*\bco_await\b", "a capturing lambda that awaits: its captures die before it does"),
    # Citations name the section, not a line or nothing.
    (r"//.*\b[Ss]ee RFC \d+\.?\s*$", "cite the section of the RFC"),
    (r"//.*\b(TODO|FIXME|XXX)\b", "unfinished work belongs into the note of the change, not into the tree"),
]
MODULES = ("gateway", "filters", "storage", "bench")


def awaiting_condition(line):
    """An if whose condition awaits without naming the result first (an initialiser before a semicolon does)."""
    start = line.find("if (")
    if start < 0:
        return False
    depth, end = 0, len(line)
    for position in range(start + 3, len(line)):
        depth += (line[position] == "(") - (line[position] == ")")
        if depth == 0:
            end = position
            break
    condition = line[start:end]
    return "co_await" in condition and ";" not in condition


def files(rooms, endings):
    for room in rooms:
        for folder, _, names in os.walk(os.path.join(SOURCE, room)):
            for name in names:
                if name.endswith(endings):
                    yield os.path.relpath(os.path.join(folder, name), SOURCE)


def main():
    problems = []
    count = 0
    for path in sorted(files((*MODULES, "tests"), (".h", ".cc"))):
        count += 1
        with open(os.path.join(SOURCE, path), encoding="utf-8") as file:
            lines = file.read().split("\n")
        for number, line in enumerate(lines, 1):
            for pattern, what in LINE_RULES:
                if re.search(pattern, line):
                    problems.append(f"{path}:{number}: {what}: {line.strip()}")
            if awaiting_condition(line):
                problems.append(f"{path}:{number}: co_await in an if condition: name the result first: {line.strip()}")
            if "\t" in line:
                problems.append(f"{path}:{number}: a tab")
        if len(lines) > 700:
            problems.append(f"{path}: {len(lines)} lines: is there a second idea in it?")
    top = set(os.listdir(SOURCE)) - {"CMakeLists.txt", "README.md", "gateway", "filters", "storage", "bench", "tests", "deploy"}
    problems += [f"{name}: not in the plan of the tree" for name in sorted(top) if not name.startswith((".", "build"))]
    for program in ("tests/run", "deploy/quickstart", ".ci/run"):
        if not os.access(os.path.join(SOURCE, program), os.X_OK):
            problems.append(f"{program}: missing or not executable")
    if "--format" in sys.argv:
        sources = sorted(files((*MODULES, "tests"), (".h", ".cc")))
        run = subprocess.run(["clang-format-19", "--dry-run", "-Werror", *sources], cwd=SOURCE, capture_output=True, text=True)
        if run.returncode != 0:
            wrong = sorted({line.split(":")[0] for line in run.stderr.split("\n") if "error:" in line})
            problems += [f"{path}: clang-format-19 -i {path}" for path in wrong]
    print("\n".join(problems))
    print(f"{count} files, {len(problems)} problems")
    return 1 if problems or count == 0 else 0


sys.exit(main())
