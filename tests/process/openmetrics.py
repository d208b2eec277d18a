# openmetrics.py - reads OpenMetrics text strictly: what is not as the format has it is an error.
# Of the format: OpenMetrics 1.0, "Text format" (ABNF) and "Overall structure"; no exemplars, timestamps or created times.
import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"'
SAMPLE = re.compile(r"(%s)(?:\{(%s(?:,%s)*)\})? (-?[0-9]+(?:\.[0-9]+)?(?:e[-+][0-9]+)?)" % (NAME, LABEL, LABEL))
META = re.compile(r"# (TYPE|UNIT|HELP) (%s) (.+)" % NAME)


class Wrong(Exception):
    pass


def must(ok, line, why):
    if not ok:
        raise Wrong("%s: %r" % (why, line))


def take_meta(family, line, what, value):
    must(what not in family, line, "said twice")
    must(not family["samples"], line, "after the samples")
    must(what != "TYPE" or value in ("gauge", "counter"), line, "no type that is used here")
    must(what != "HELP" or not re.search(r"\\(?![\\n\"])", value), line, "a backslash that escapes nothing")
    must(what != "UNIT" or family["name"].endswith("_" + value), line, "the name does not end with the unit")
    family[what] = value


def take_sample(family, line, seen):
    match = SAMPLE.fullmatch(line)
    must(match, line, "no sample")
    name, labels, value = match.group(1), re.findall(LABEL, match.group(2) or ""), float(match.group(match.lastindex))
    must(family and "TYPE" in family and "HELP" in family, line, "no type or help before it")
    must(name == family["name"] + ("_total" if family["TYPE"] == "counter" else ""), line, "of another family")
    must(family["TYPE"] != "counter" or value >= 0, line, "a counter below 0")
    must(len({key for key, _ in labels}) == len(labels), line, "a label twice")
    series = (name, frozenset(labels))
    must(series not in seen, line, "the series is there already")
    seen.add(series)
    family["samples"].append((dict(labels), value))


def read(text):
    """{name of a family: {"TYPE", "HELP", "samples": [({label: value}, number)]}}"""
    families, family, seen = {}, None, set()
    must(text.endswith("\n# EOF\n") and text.count("# EOF") == 1, text[-20:], "the end is not the end")
    for line in text[:-len("# EOF\n")].splitlines():
        meta = META.fullmatch(line)
        must(meta or not line.startswith("#"), line, "no comment is allowed")
        if meta and (not family or meta.group(2) != family["name"]):
            must(meta.group(2) not in families, line, "the family was told before: it must stand together")
            family = families[meta.group(2)] = {"name": meta.group(2), "samples": []}
        if meta:
            take_meta(family, line, meta.group(1), meta.group(3))
        else:
            take_sample(family, line, seen)
    must(all(f["samples"] for f in families.values()), text[:20], "a family without samples")
    return families
