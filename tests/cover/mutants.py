# mutants.py - small mistakes, one at a time, in a file of C: what a hand or an eye could get wrong.
#
# Works on tokens, not on a syntax tree: what does not compile is left to the compiler.  Not touched: comments, texts,
# preprocessor lines, static assertions.
import re

TOKEN = re.compile(r"""
    (?P<skip>/\*.*?\*/|//[^\n]*|\s+)
  | (?P<line>\#(?:\\\n|[^\n])*)
  | (?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
  | (?P<number>\d\w*)
  | (?P<word>[A-Za-z_]\w*)
  | (?P<sign><<=|>>=|\.\.\.|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|.)
""", re.X | re.S)

COMPARE = {"<": ["<=", ">="], "<=": ["<", ">"], ">": [">=", "<="], ">=": [">", "<"], "==": ["!="], "!=": ["=="]}
BINARY = {"&&": ["||"], "||": ["&&"], "+": ["-"], "-": ["+"], "*": ["/"], "/": ["*"], "%": ["/"], "&": ["|"],
          "|": ["&"], "^": ["&"], "<<": [">>"], ">>": ["<<"]}
ASSIGN = {"+=": ["-=", "="], "-=": ["+=", "="], "*=": ["/="], "/=": ["*="], "|=": ["&=", "="], "&=": ["|=", "="]}
UNARY = {"!": [""], "~": [""], "++": ["--"], "--": ["++"]}
TYPES = {"const", "static", "struct", "enum", "union", "unsigned", "int", "char", "bool", "long", "void", "double",
         "typedef", "extern", "inline"}
CONTROL = {"if", "while", "for", "switch", "do", "else", "case", "default", "goto", "return"}


class Token:
    def __init__(self, kind, text, at):
        self.kind, self.text, self.at, self.end = kind, text, at, at + len(text)
        self.mate = None    # index of the bracket that closes or opens this one


class Mutant:
    def __init__(self, at, end, new, what):
        self.at, self.end, self.new, self.what = at, end, new, what

    def apply(self, text):
        old = text[self.at:self.end]
        return text[:self.at] + self.new + "\n" * (old.count("\n") - self.new.count("\n")) + text[self.end:]


def tokens(text):
    found = []
    for m in TOKEN.finditer(text):
        if m.lastgroup not in ("skip", "line"):
            found.append(Token(m.lastgroup, m.group(), m.start()))
    opened = []
    for i, t in enumerate(found):
        if t.kind != "sign":
            continue
        if t.text in "([{":
            opened.append(i)
        elif t.text in ")]}":
            t.mate = opened.pop()
            found[t.mate].mate = i
    return found


class Source:
    def __init__(self, text):
        self.text = text
        self.t = tokens(text)

    def between(self, first, last):
        return self.text[self.t[first].at:self.t[last].end]

    def after_operand(self, i):
        before = self.t[i - 1]
        return before.kind in ("number", "text") or (before.kind == "word" and before.text not in CONTROL) or \
            before.text in (")", "]")

    def until(self, i, stop):
        """The first token from i on that is one of stop and in no bracket of its own; None at a closing one."""
        while i < len(self.t):
            text = self.t[i].text
            if text in stop:
                return i
            if self.t[i].kind == "sign" and text in "([{":
                i = self.t[i].mate
            elif self.t[i].kind == "sign" and text in ")]}":
                return None
            i += 1
        return None

    def starts_statement(self, i):
        before = self.t[i - 1] if i else None
        if before is None:
            return False
        if before.text in (";", "{", "}", "else"):
            return True
        if before.text == ")":
            return self.t[before.mate - 1].text in ("if", "while", "for")
        return before.text == ":" and self.t[i - 3].text == "case" or \
            before.text == ":" and self.t[i - 2].text == "default"

    def in_function(self, i):
        """Inside a body, and outside of all brackets but those of blocks."""
        depth = [t.text for t in self.t[:i] if t.kind == "sign" and t.text in "([{" and t.mate > i]
        return bool(depth) and all(d == "{" for d in depth)


def simple(source, first, last):
    """One comparison or one negation: to negate it is what another mutant does."""
    signs = [source.t[i].text for i in range(first, last)]
    return not {"&&", "||"} & set(signs) and (signs[0] == "!" or any(s in COMPARE for s in signs))


def of_signs(s, i):
    t = s.t[i]
    if t.text in COMPARE:
        yield from ((t.at, t.end, new) for new in COMPARE[t.text])
    elif t.text in BINARY and s.after_operand(i):
        yield from ((t.at, t.end, new) for new in BINARY[t.text])
    elif t.text in ASSIGN:
        yield from ((t.at, t.end, new) for new in ASSIGN[t.text])
    elif t.text in UNARY and not (t.text == "!" and s.t[i + 1].text == "="):
        yield from ((t.at, t.end, new) for new in UNARY[t.text])


def of_values(s, i):
    t = s.t[i]
    if t.text in ("true", "false"):
        yield t.at, t.end, "false" if t.text == "true" else "true"
    elif t.kind == "number" and re.fullmatch(r"\d+u?", t.text):
        value = int(t.text.rstrip("u"))
        yield t.at, t.end, str(value + 1)
        if value > 0:
            yield t.at, t.end, str(value - 1)


def of_conditions(s, i):
    t = s.t[i]
    if t.text in ("if", "while") and s.t[i + 1].text == "(":
        first, last = i + 2, s.t[i + 1].mate
        if not simple(s, first, last):
            yield s.t[first].at, s.t[last - 1].end, "!(%s)" % s.between(first, last - 1)
    elif t.text == "?":
        first = i
        while first and s.t[first - 1].text not in ("(", ",", "=", "return", "?", ":", "&&", "||", ";", "{"):
            first = s.t[first - 1].mate if s.t[first - 1].text in (")", "]") else first - 1
        if first < i and not simple(s, first, i):
            yield s.t[first].at, s.t[i - 1].end, "!(%s)" % s.between(first, i - 1)


def of_statements(s, i):
    t = s.t[i]
    if t.text == "case" and s.t[i + 2].text == ":":
        yield t.at, s.t[i + 2].end, ""
    if not s.starts_statement(i) or not s.in_function(i):
        return
    end = s.until(i, ";")
    if end is None:
        return
    if t.text == "return" and end > i + 1:
        value = s.between(i + 1, end - 1)
        if s.t[i + 1].kind != "text" and value not in ("0", "NULL", "true", "false", "RK_OK"):
            yield s.t[i + 1].at, s.t[end - 1].end, "0"
            if any(k.text in ("&&", "||") for k in s.t[i + 1:end]):
                yield s.t[i + 1].at, s.t[end - 1].end, "!(%s)" % value
    elif t.text in ("return", "break", "continue"):
        yield t.at, s.t[end].end, ";"
    elif t.kind == "word" and t.text not in TYPES | CONTROL and s.t[i + 1].kind != "word" or t.text in ("*", "++"):
        if not re.match(r"\w+_t \*|struct|handler", s.text[t.at:t.at + 40]):
            yield t.at, s.t[end].end, ";"


def mutants(text):
    """All of one file, each once, in the order of the file."""
    s = Source(text)
    seen = {}
    for i, t in enumerate(s.t):
        if t.text == "_Static_assert":
            t.mate = s.until(i, ";")
    silent = {k for i, t in enumerate(s.t) if t.text == "_Static_assert" for k in range(i, t.mate)}
    for i in range(len(s.t) - 1):
        if i in silent:
            continue
        for rule in (of_signs, of_values, of_conditions, of_statements):
            for at, end, new in rule(s, i):
                old = " ".join(text[at:end].split())
                what = "%s -> %s" % (old, " ".join(new.split())) if new not in ("", ";") else "without %s" % old
                seen.setdefault((at, end, new), Mutant(at, end, new, what))
    return [seen[k] for k in sorted(seen)]
