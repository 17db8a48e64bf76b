#!/usr/bin/env python3
"""Every header compiles alone: includes what it uses, has #pragma once, and opens no namespace for its readers."""
import concurrent.futures
import json
import os
import re
import shlex
import subprocess
import sys

SOURCE = os.environ.get("POSTERN_SOURCE") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("POSTERN_BUILD") or os.path.join(SOURCE, "build")


def flags():
    """The include paths and definitions of all targets together, and the first compiler."""
    compiler, kept = None, []
    with open(os.path.join(BUILD, "compile_commands.json"), encoding="utf-8") as file:
        commands = json.load(file)
    for entry in commands:
        words = shlex.split(entry["command"])
        words = [word for word in words if not word.endswith("ccache")]
        compiler = compiler or words[0]
        index = 1
        while index < len(words):
            word = words[index]
            take = None
            if word in ("-I", "-isystem", "-D"):
                take = [word, words[index + 1]]
                index += 1
            elif word.startswith(("-I", "-D", "-std=")):
                take = [word]
            if take and take not in kept:
                kept.append(take)
            index += 1
    return compiler, [word for take in kept for word in take]


def main():
    compiler, options = flags()
    headers = []
    for room in ("gateway", "filters", "storage", "bench", "tests"):
        for folder, _, files in os.walk(os.path.join(SOURCE, room)):
            headers += [os.path.relpath(os.path.join(folder, name), SOURCE) for name in files if name.endswith(".h")]
    headers.sort()

    def check(header):
        with open(os.path.join(SOURCE, header), encoding="utf-8") as file:
            text = file.read()
        problems = []
        if "#pragma once" not in text:
            problems.append(f"{header}: no #pragma once")
        if re.search(r"^\s*using namespace", text, re.M):
            problems.append(f"{header}: using namespace in a header")
        run = subprocess.run([compiler, "-fsyntax-only", "-x", "c++", "-Wall", "-Wextra", "-Werror", "-Wno-unused-const-variable",
                              "-Wno-missing-designated-field-initializers", "-Wno-unneeded-internal-declaration",
                              *options, "-include", header, "-"],
                             cwd=SOURCE, input="", capture_output=True, text=True)
        if run.returncode != 0:
            problems.append(f"{header}: does not compile alone:\n{run.stderr[:1500]}")
        return problems

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        problems = [problem for found in pool.map(check, headers) for problem in found]
    print("\n".join(problems))
    print(f"{len(headers)} headers, {len(problems)} problems")
    return 1 if problems or not headers else 0


sys.exit(main())
