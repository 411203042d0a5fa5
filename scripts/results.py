#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Results: what a measurement writes to build/results and prints.

As a module:
    write(path, name, kernel, metrics)  write a result file
    table(name, metrics)                the same as text, returned
    pair(metric, unit, values, baselines, better)
                                        a metric from two lists of samples
As a command:
    results.py FILE...                  print result files as tables
"""

import argparse
import json
import os
import re
import statistics
import sys
import tempfile

REQUIRED = ("metric", "unit", "value", "baseline", "ratio", "n")


def accel():
    """The accelerator of the guests of this run: KVM where the processor shows it."""
    chosen = os.environ.get("SCOME_ACCEL")
    if chosen:
        return chosen
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        flags = re.search(r"^flags\s*:.*\b(vmx|svm)\b", info.read(), re.M)
    return "kvm" if flags and os.access("/dev/kvm", os.R_OK | os.W_OK) else "tcg"


def spread(samples):
    """Relative width of the middle half of the samples, 0 for fewer than two."""
    if len(samples) < 2:
        return 0.0
    middle = statistics.median(samples)
    if not middle:
        return 0.0
    quarters = statistics.quantiles(samples, n=4, method="inclusive")
    return round((quarters[2] - quarters[0]) / abs(middle), 4)


def ratio(value, baseline):
    """value / baseline; None where one side is missing or the baseline is 0."""
    if value is None or not baseline:
        return None
    return round(value / baseline, 6)


def pair(metric, unit, values, baselines, better="lower", how=None):
    """A metric from the samples of both sides; either list may be empty."""
    value = statistics.median(values) if values else None
    baseline = statistics.median(baselines) if baselines else None
    entry = {
        "metric": metric,
        "unit": unit,
        "value": value,
        "baseline": baseline,
        "ratio": ratio(value, baseline),
        "n": len(values) or len(baselines),
        "better": better,
        "spread": spread(values),
        "baseline_spread": spread(baselines),
    }
    if how:
        entry["how"] = how
    return entry


def check(metrics):
    """Raise ValueError unless every metric is complete and its ratio true."""
    seen = set()
    for entry in metrics:
        for field in REQUIRED:
            if field not in entry:
                raise ValueError(f"metric {entry.get('metric')!r} lacks {field!r}")
        if entry["metric"] in seen:
            raise ValueError(f"metric {entry['metric']!r} appears twice")
        seen.add(entry["metric"])
        expected = ratio(entry["value"], entry["baseline"])
        if expected is None or entry["ratio"] is None:
            if expected is not entry["ratio"]:
                raise ValueError(f"metric {entry['metric']!r}: ratio without two sides")
        elif abs(expected - entry["ratio"]) > 1e-4 * max(1.0, abs(expected)):
            raise ValueError(f"metric {entry['metric']!r}: ratio is not value / baseline")


def write(path, name, kernel, metrics, **extra):
    """Write a result file atomically and print its table."""
    check(metrics)
    result = {"name": name, "kernel": kernel, "accel": accel(), "metrics": metrics}
    result.update(extra)
    directory = os.path.dirname(os.path.abspath(path))
    os.makedirs(directory, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=directory, prefix=".results-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            json.dump(result, stream, indent=1)
            stream.write("\n")
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    print(table(name, metrics, kernel), end="")
    return result


def number(value, unit):
    """A figure as people read it: KiB and µs where the unit allows."""
    if value is None:
        return "-"
    if unit == "bytes":
        return f"{value / 1024:,.0f} KiB"
    if unit == "ns":
        for limit, scale, name in ((1e9, 1e9, "s"), (1e6, 1e6, "ms"), (1e3, 1e3, "us")):
            if value >= limit:
                return f"{value / scale:,.2f} {name}"
        return f"{value:,.0f} ns"
    if isinstance(value, float) and not value.is_integer():
        return f"{value:,.2f}" if abs(value) < 100 else f"{value:,.0f}"
    return f"{value:,.0f}"


def verdicts(metrics):
    """A line for each metric that has a goal."""
    return [f"{'met' if entry['met'] else 'MISSED':<7}{entry['metric']}: {entry['goal']}"
            for entry in metrics if "goal" in entry]


def besides(metrics):
    """A line for each metric that somebody else's figure stands beside, or the reason why not."""
    lines = []
    for entry in metrics:
        for name, value in entry.get("beside", {}).items():
            told = value if isinstance(value, str) else number(value, entry["unit"])
            lines.append(f"{'beside':<7}{entry['metric']}: {name}: {told}")
    return lines


def table(name, metrics, kernel=None):
    """The metrics as a table under 80 columns, below it goals and what stands beside."""
    lines = []
    title = f"{name} on {kernel}" if kernel else name
    lines.append(title)
    lines.append(f"{'metric':<27}{'baseline':>14}{'value':>14}{'ratio':>11}{'n':>4}{'spread':>8}")
    for entry in metrics:
        shown = entry["ratio"]
        widest = max(entry.get("spread", 0), entry.get("baseline_spread", 0))
        lines.append(
            f"{entry['metric']:<27}"
            f"{number(entry['baseline'], entry['unit']):>14}"
            f"{number(entry['value'], entry['unit']):>14}"
            f"{'-' if shown is None else format(shown, '.5f'):>11}"
            f"{entry['n']:>4}"
            f"{widest * 100:>7.1f}%"
        )
    lines += verdicts(metrics) + besides(metrics)
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description="print result files as tables")
    parser.add_argument("files", nargs="+", metavar="FILE", help="a file of build/results")
    for path in parser.parse_args().files:
        try:
            with open(path, encoding="utf-8") as stream:
                result = json.load(stream)
            check(result["metrics"])
        except (OSError, ValueError, KeyError) as error:
            print(f"results.py: {path}: {error}", file=sys.stderr)
            return 1
        print(table(result["name"], result["metrics"], result["kernel"]), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
