#!/usr/bin/env python3
"""The plan of the house, checked against the includes: which room may look into which, no cycle between modules, and every
arrow that the code draws is also drawn in CMake (a module links what it includes).

A module is a folder with a CMakeLists.txt that calls postern_module; a file belongs to the nearest one above it."""
import os
import re
import sys

SOURCE = os.environ.get("POSTERN_SOURCE") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# Rooms: what each may include of the others (gateway/README.md).
ROOMS = {"filters": {"filters"}, "storage": {"storage"}, "gateway": {"gateway", "filters", "storage"}}
# Inside the gateway: pure parts have no arrow to what waits.
PURE = {"gateway/smtp", "gateway/smtp/client", "gateway/smtp/sasl", "gateway/delivery/report", "gateway/proxy", "gateway/config", "gateway/tls", "gateway/log", "gateway/metrics"}
WAITING = "gateway/reactor"

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)


class Module:
    def __init__(self, name, folder, sources, links):
        self.name, self.folder, self.links = name, folder, links
        self.stems = {os.path.splitext(source)[0] for source in sources}


def modules():
    """Every postern_module of the three rooms, in the order of the folders."""
    found = []
    for room in ROOMS:
        for folder, _, files in os.walk(os.path.join(SOURCE, room)):
            if "CMakeLists.txt" not in files:
                continue
            with open(os.path.join(folder, "CMakeLists.txt"), encoding="utf-8") as file:
                text = re.sub(r"#.*", "", file.read())
            for call in re.findall(r"postern_module\(([^)]*)\)", text):
                words = call.split()
                sources = [word for word in words if word.endswith(".cc")]
                links = {word.removeprefix("postern::") for word in words if word.startswith("postern::")}
                found.append(Module(words[words.index("NAME") + 1], os.path.relpath(folder, SOURCE), sources, links))
    return found


def module_of(path, found):
    """The module of a file: the nearest folder above it, and there the one whose sources go by its name, else the first."""
    folder = os.path.dirname(path)
    while folder:
        here = [module for module in found if module.folder == folder]
        stem = os.path.splitext(os.path.relpath(path, folder))[0]
        for module in here:
            if stem in module.stems:
                return module.name
        if here:
            return here[0].name
        folder = os.path.dirname(folder)
    return os.path.dirname(path)  # main.cc and the like: a program, not a module


def main():
    found = modules()
    problems = []
    arrows = {}  # module → module → the file that draws it
    for room in ROOMS:
        for folder, _, files in os.walk(os.path.join(SOURCE, room)):
            for name in files:
                if not name.endswith((".h", ".cc")):
                    continue
                path = os.path.relpath(os.path.join(folder, name), SOURCE)
                with open(os.path.join(SOURCE, path), encoding="utf-8") as file:
                    text = file.read()
                own = module_of(path, found)
                for include in INCLUDE.findall(text):
                    other_room = include.split("/")[0]
                    if not os.path.exists(os.path.join(SOURCE, include)):
                        problems.append(f"{path}: includes {include}, which is not there (paths start at the top of the tree)")
                        continue
                    if other_room not in ROOMS[room]:
                        problems.append(f"{path}: {room} must not know {other_room} ({include})")
                    other = module_of(include, found)
                    if other != own:
                        arrows.setdefault(own, {}).setdefault(other, path)
    # A pure module reaches nothing that waits, directly or through others.
    def reach(name, seen):
        for other in arrows.get(name, {}):
            if other not in seen:
                seen.add(other)
                reach(other, seen)
        return seen
    waiting = {module.name for module in found if module.folder == WAITING}
    for module in found:
        if module.folder in PURE and waiting & reach(module.name, set()):
            problems.append(f"{module.name}: a pure module must not reach {WAITING}")
    # Cycles.
    state = {}

    def walk(folder, trail):
        state[folder] = "open"
        for other in sorted(arrows.get(folder, {})):
            if state.get(other) == "open":
                cycle = trail[trail.index(other):] + [other] if other in trail else [folder, other]
                problems.append("a cycle: " + " → ".join(cycle) + f" ({arrows[folder][other]})")
            elif other not in state:
                walk(other, trail + [other])
        state[folder] = "done"
    for folder in sorted(arrows):
        if folder not in state:
            walk(folder, [folder])
    # What is included is linked, directly or through what is linked.
    links = {module.name: module.links for module in found}

    def linked(name, seen):
        for other in links.get(name, ()):
            if other not in seen:
                seen.add(other)
                linked(other, seen)
        return seen
    for name, others in sorted(arrows.items()):
        if name not in links:
            continue
        have = linked(name, set())
        for other, path in sorted(others.items()):
            if other not in have:
                problems.append(f"{path}: {name} includes {other} but does not link it")
    if len(found) < 10:
        problems.append(f"only {len(found)} modules found: is POSTERN_SOURCE right?")
    for problem in problems:
        print(problem)
    print(f"{len(found)} modules, {sum(len(others) for others in arrows.values())} arrows, {len(problems)} problems")
    return 1 if problems else 0


sys.exit(main())
