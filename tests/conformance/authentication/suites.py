#!/usr/bin/env python3
"""Runs one of the published suites (spf, dkim, arc, dmarc, authres) through build/postern_adapter.

    suites.py AREA ADAPTER

Where we disagree with a suite the case stands in ARGUED with the reason; a case there that agrees again is an error as well."""
import base64
import json
import os
import subprocess
import sys

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
SHARED = os.path.join(os.environ.get("POSTERN_SHARED") or os.path.join(SOURCE, "..", "shared"), "conformance")
NOW = 1_500_000_000  # between the signing and the expiry of every signed example
SKIPPED = 77

ARGUED = {
    "dkim second, unsigned from header put on top":
        "RFC 6376 §8.15 leaves such a message to local policy. A reader shows the upper From, the signature speaks of the lower: we "
        "refuse to call that a pass, as the suite's own authors do (local_policy).",
    "dmarc dmarc-063":
        "RFC 9989 §4.10 step 2 discards several records of one name, and §4.10.1 then says 'if no valid DMARC Policy Record is found by "
        "the first query, perform a DNS Tree Walk': the record of the organizational domain applies. The case stops at the discarding.",
}


def crlf(octets):
    return octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def read(*path):
    with open(os.path.join(SHARED, *path), "rb") as file:
        return file.read()


def yaml_documents(*path):
    import yaml
    return [document for document in yaml.safe_load_all(read(*path)) if document]


def spf():
    for document in yaml_documents("spf", "rfc7208-tests.yml"):
        zone = {str(name): entries for name, entries in document["zonedata"].items()}
        for name, test in document["tests"].items():
            results = test["result"] if isinstance(test["result"], list) else [test["result"]]

            def judge(answer, results=results, explanation=test.get("explanation")):
                if answer.get("result") not in results:
                    return f"expected {' or '.join(results)}"
                wanted = "" if explanation == "DEFAULT" else explanation
                return wanted is None or answer.get("explanation", "") == wanted or f"expected explanation {wanted!r}"
            yield name, {"zone": zone, "ip": test["host"], "helo": test["helo"], "mail_from": test["mailfrom"]}, judge


def dkim():
    keys = json.loads(read("dkim", "lieser", "dns.json"))
    for case in json.loads(read("dkim", "lieser", "cases.json")):
        zone = {name: [{"TXT": text}] for name, text in {**keys, **case.get("dns_override", {})}.items()}

        def judge(answer, expected=case["expect"]):
            got = [signature["result"] for signature in answer.get("signatures", [])]
            return got == expected or f"expected {expected}"
        message = crlf(read("dkim", "lieser", case["message"]))
        yield case["name"], {"zone": zone, "message_b64": base64.b64encode(message).decode(), "now": NOW}, judge
    rfc = json.loads(read("dkim", "mailauth", "rfc8463", "dns.json"))
    message = crlf(read("dkim", "mailauth", "rfc8463", "signed.eml"))
    zone = {name: [{"TXT": record} for record in types.get("TXT", [])] for name, types in rfc.items()}

    def both(answer):
        got = [signature["result"] for signature in answer.get("signatures", [])]
        return got == ["pass", "pass"] or "expected two passes"
    yield "RFC 8463 appendix A", {"zone": zone, "message_b64": base64.b64encode(message).decode(), "now": NOW}, both


def arc():
    for document in yaml_documents("arc", "arc-draft-validation-tests.half.yml"):
        zone = {name: [{"TXT": text.replace("\n", "")}] for name, text in (document.get("txt-records") or {}).items()}
        for name, test in document["tests"].items():
            def judge(answer, status=(test["cv"] or "").lower()):
                return not status or answer.get("cv") == status or f"expected {status}"
            message = crlf(test["message"].encode("utf-8"))
            yield name, {"zone": zone, "message_b64": base64.b64encode(message).decode(), "now": NOW}, judge


def dmarc():
    def zone_of(types_by_name):
        zone = {}
        for name, types in types_by_name.items():
            entries = zone[name] = []
            for kind, records in types.items():
                if isinstance(records, dict):
                    entries.append({kind: "TIMEOUT"})
                    continue
                for record in records:
                    if kind == "MX":
                        entries.append({"MX": [record["priority"], record["exchange"]]} if isinstance(record, dict) else {"MX": [1, "x.example"]})
                    elif kind in ("A", "AAAA"):
                        entries.append({kind: record if isinstance(record, str) else record[0]})
                    else:
                        entries.append({kind: record})
        return zone

    for case in json.loads(read("dmarc", "mailauth-dmarc-cases.json")):
        if case["call"] != "evaluate":
            continue
        given = case["input"]
        author = given["header_from"]
        domains = {side: [entry if isinstance(entry, str) else entry["domain"] for entry in given[side]] for side in ("dkim_pass", "spf_pass")}
        question = {
            "zone": zone_of(case["zone"]),
            "from": ", ".join(author) if isinstance(author, list) else author,
            "dkim": [{"result": "pass", "domain": domain} for domain in domains["dkim_pass"]],
            "spf": {"result": "pass", "domain": domains["spf_pass"][0]} if domains["spf_pass"] else {"result": "none", "domain": ""},
        }
        # The suite speaks of its own program's result; what is not in ours (comment texts, its own tags) is left out. A case of two
        # calls lists both results: either is right.
        results = [entry["value"] for entry in case["expect"] if entry["field"] == "status.result" and entry["op"] == "equal"]
        wanted = {entry["field"]: entry["value"] for entry in case["expect"] if entry["op"] == "equal"}
        testing = "t=y" in json.dumps(case["zone"])

        def judge(answer, results=results, wanted=wanted, testing=testing):
            if results and answer.get("result") not in results:
                return f"expected {results}"
            if "policy" in wanted and answer.get("disposition" if testing else "policy") != wanted["policy"]:
                return f"expected policy {wanted['policy']}"
            if "domain" in wanted and answer.get("record_domain") != wanted["domain"]:
                return f"expected the record of {wanted['domain']}"
            return True
        yield case["id"], question, judge


def authres():
    for case in json.loads(read("authres", "lieser", "parse-cases.json")):
        def judge(answer, expected=case["expect"]):
            # The paths are the suite's; ours are put in front of them.
            flat = {"authserv_id": answer.get("authserv_id"), "authres_version": answer.get("version"),
                    "resinfo.length": len(answer.get("results", []))}
            for index, result in enumerate(answer.get("results", [])):
                flat.update({f"resinfo[{index}].method": result["method"], f"resinfo[{index}].method_version": result["version"],
                             f"resinfo[{index}].result": result["result"], f"resinfo[{index}].reason": result.get("reason")})
                flat.update({f"resinfo[{index}].properties.{name}": value for name, value in result["properties"].items()})
            for entry in expected:
                if entry.get("parse_fails"):
                    if "error" not in answer:
                        return "expected an error"
                elif "error" in answer:
                    return "error: " + answer["error"]
                elif entry["op"] == "equal" and flat.get(entry["field"]) != entry["value"]:
                    return f"expected {entry['field']} = {entry['value']!r}"
            return True
        judge.takes_errors = True
        yield case["id"], {"header": case["header"], "relaxed": case["relaxed_parsing"], "internationalized": case["internationalized"]}, judge


def main(area, adapter):
    if not os.path.isdir(os.path.join(SHARED, area)):
        print(f"{os.path.join(SHARED, area)} is not there: skipped")
        return SKIPPED
    cases = list({"spf": spf, "dkim": dkim, "arc": arc, "dmarc": dmarc, "authres": authres}[area]())
    lines = "".join(json.dumps({"id": index, **question}) + "\n" for index, (_, question, _) in enumerate(cases))
    done = subprocess.run([adapter, area], input=lines, capture_output=True, text=True, check=False, timeout=240)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    failed, argued = [], 0
    if done.returncode != 0 or len(answers) != len(cases):
        failed.append(f"exit code {done.returncode}, {len(answers)} answers to {len(cases)} cases: {done.stderr[-2000:]}")
    for (name, _, judge), answer in zip(cases, answers):
        takes_errors = getattr(judge, "takes_errors", False)
        problem = "error: " + answer["error"] if "error" in answer and not takes_errors else judge(answer)
        reason = ARGUED.get(f"{area} {name}")
        if problem is True:
            if reason:
                failed.append(f"{name}: agrees although it is argued against")
        elif reason:
            argued += 1
        else:
            failed.append(f"{name}: {problem}, got {answer}")
    print("\n".join(failed))
    print(f"{area}: {len(cases)} cases, {argued} argued against, {len(failed)} failed")
    return 1 if failed or not cases else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
