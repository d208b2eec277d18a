# pages.py - the manual pages of plugins say what the headers say, which are the specification: what is public is named
# in the page of its header, with its parameters, its class or its value, and what a page names is public.
import os
import re
import sys

TOP = os.environ["top_srcdir"]
PAGES = {"rekey-plugin": ("plugin", "conf", "err", "secret", "version"), "rekey-source": ("source",),
         "rekey-device": ("device",), "rekey-channel": ("channel",)}
LIMIT = re.compile(r"_MAX$|_MS$|^RK_SEEN_KEYS$")
NAMING = {"Dv", "Vt", "Va", "Fa", "Fn"}
MACROS = NAMING | set("Pq Pa Ql Pf No Ns It Bl El Sh Sx Xr Dl Dt Ic In Nm Nd Li".split())
KEYWORDS = {"struct", "enum", "const", "NULL"}


class Header:
    def __init__(self, text):
        self.text = text
        code = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
        code = re.sub(r"^\s*#if.*|^\s*#include.*|^\s*#define REKEY_.*|\bextern\b.*", "", code, flags=re.M)
        self.words = set(re.findall(r"[A-Za-z_]\w*", code))
        self.values = dict(re.findall(r"^#define (RK_\w+) (\d+)", code, re.M))
        self.functions = {}  # name: parameters
        self.public = set(re.findall(r"^#define (RK_\w+)", code, re.M)) | set(re.findall(r"\b(RK_\w+) = -?\d", code))
        self.public |= set(re.findall(r"^(?:struct|enum) (rk_\w+)(?=;| \{)", code, re.M))
        self.public |= set(re.findall(r"^typedef .*?\b(rk_\w+_fn)\(", code, re.M))
        for body in re.findall(r"^struct rk_\w+ \{\n(.*?)^\};", code, re.M | re.S):
            for member in body.split(";"):
                self.add_member(" ".join(member.split()))

    def add_member(self, member):
        function = re.search(r"\(\*(\w+)\)\((.*?)\)(?: RK_PRINTF.*)?$", member)
        if function:
            words = [re.sub(r"\[.*", "", p).split()[-1].lstrip("*") for p in function.group(2).split(",")]
            self.functions.setdefault(function.group(1), []).append(words)
            self.public.add(function.group(1))
        elif member:
            self.public |= {re.sub(r"\[.*", "", part).split()[-1].lstrip("*") for part in member.split(",")}


class Page:
    def __init__(self, text):
        self.text = re.sub(r'^\.\\" (\w+): begin$.*?^\.\\" \1: end$', "", text, flags=re.M | re.S)
        self.named, self.calls = set(), []
        for line in self.text.splitlines():
            if line.startswith("."):
                self.read(line[1:].split())

    def read(self, words):
        macro, call = None, []
        for word in words:
            if word in MACROS:
                macro, call = word, []
                if word == "Fn":
                    self.calls.append(call)
                continue
            name = word if word == "..." else word.strip('.,:;()"')
            if macro in NAMING and name and name not in KEYWORDS:
                self.named.add(name)
                call.append(name)

    def limits(self):
        return dict(re.findall(r"Dv (RK_\w+) Pq (\d+)", self.text))

    def classes(self):
        part = re.search(r"^\.Sh RESULTS AND THEIR CLASSES$(.*?)^\.Sh", self.text, re.M | re.S)
        found, at = {}, None
        for line in part.group(1).splitlines() if part else ():
            at = line[4:] if re.match(r"\.It [A-Z]+$", line) else at
            if line.startswith(".It Dv "):
                found[line[7:]] = at
        return found


def classes_of(header):
    found, at = {}, None
    for line in header.text.splitlines():
        begins, code = re.search(r"/\* class (\w+)", line), re.match(r"\s+(RK_E_\w+) =", line)
        at = begins.group(1) if begins else at
        if code:
            found[code.group(1)] = at
    return found


def missing(headers, page):
    return sorted(set().union(*(h.public for h in headers)) - page.named)


def unknown(words, page):
    """What looks like a name of ours and is none"""
    names = {n for n in page.named if n != "..." and not n.endswith("_LTX_rk_plugin")}
    names |= set(re.findall(r"\b(?:RK_[A-Z]\w*|rk_[a-z]\w*)", page.text)) - {"rk_plugin"}
    return sorted(names - words)


def wrong_calls(headers, page):
    """Functions that are shown with other parameters than they have"""
    functions = {}
    for h in headers:
        for name, ways in h.functions.items():
            functions[name] = functions.get(name, []) + ways
    return [" ".join(c) for c in page.calls if len(c) > 1 and c[0] in functions and c[1:] not in functions[c[0]]]


def wrong_limits(headers, page):
    shown = page.limits()
    values = {n: v for h in headers for n, v in h.values.items() if LIMIT.search(n)}
    return sorted(n for n, v in values.items() if shown.get(n) != v)


def read(path):
    with open("%s/%s" % (TOP, path)) as f:
        return f.read()


def main():
    headers = {name: Header(read("include/rekey/%s.h" % name)) for names in PAGES.values() for name in names}
    words = set().union(*(h.words for h in headers.values()))
    results = []
    for name, of in PAGES.items():
        page, mine = Page(read("doc/man/%s.3" % name)), [headers[h] for h in of]
        results += [(name + " names all that is public in " + ", ".join(of), missing(mine, page)),
                    (name + " names nothing that is not there", unknown(words, page)),
                    (name + " shows functions with their parameters", wrong_calls(headers.values(), page)),
                    (name + " has the values of limits", wrong_limits(mine, page))]
        planted = Page(page.text + ".It Dv RK_NO_SUCH\n.Fn no_such call\n.Vt struct rk_none\n")
        if unknown(words, planted) != unknown(words, page) + ["RK_NO_SUCH", "no_such", "rk_none"]:
            results.append(("what is planted in %s is seen" % name, unknown(words, planted)))
    page = Page(read("doc/man/rekey-plugin.3"))
    ours, theirs = classes_of(headers["err"]), page.classes()
    results.append(("codes are in their classes", sorted(set(ours.items()) ^ set(theirs.items()))))
    read_well = len(headers["plugin"].functions) > 15 and len(headers["device"].values) >= 5 and len(ours) > 15
    results.append(("headers have functions, limits and codes",
                    [] if read_well and all(h.public for h in headers.values()) else ["they are not read"]))
    print("1..%d" % len(results))
    for number, (what, wrong) in enumerate(results, 1):
        print("%s %d - %s" % ("not ok" if wrong else "ok", number, what))
        print("".join("# %s\n" % (w,) for w in wrong), end="")
    return 1 if any(wrong for _, wrong in results) else 0


sys.exit(main())
