# layout.awk - from public headers, a C program that prints every size, offset and constant of them
#
# usage: awk -f layout.awk header...   Knows what the headers use: structs without nested ones, enums, #defines.
function out(line) { body = body line "\n" }

function member(s, m, text,   words, n) {
    sub(/\[.*/, "", text)
    n = split(text, words, /[^A-Za-z0-9_]+/)
    while (n > 0 && words[n] == "")
        n--
    if (n)
        out("    M(" s ", " words[n] ");")
}

function members(s, list,   n, i, k, c, each, parts) {
    n = split(list, each, ";")
    for (i = 1; i <= n; i++) {
        if (match(each[i], /\(\*[a-z_0-9]+\)/)) {
            out("    M(" s ", " substr(each[i], RSTART + 2, RLENGTH - 3) ");")
            continue
        }
        c = split(each[i], parts, ",")
        for (k = 1; k <= c; k++)
            member(s, i, parts[k])
    }
}

function constants(list,   n, i, each) {
    n = split(list, each, ",")
    for (i = 1; i <= n; i++)
        if (match(each[i], /RK_[A-Z0-9_]+/))
            out("    C(" substr(each[i], RSTART, RLENGTH) ");")
}

FNR == 1 { header = FILENAME; sub(/.*\//, "", header); includes = includes "#include <rekey/" header ">\n" }

# One-line #defines that have a value; function-like macros and guards have none.
/^#define RK_[A-Z0-9_]+ +[^ ]/ && !/\\$/ {
    line = $0
    sub(/\/\*.*/, "", line)
    split(line, d, /[ ]+/)
    if (line ~ /"/)
        out("    T(" d[2] ");")
    else if (d[2] != "RK_PRINTF")
        out("    C(" d[2] ");")
}
/^#/ { next }
{ text = text " " $0 }

END {
    while (match(text, /\/\*/)) {
        rest = substr(text, RSTART)
        end = index(rest, "*/")
        text = substr(text, 1, RSTART - 1) " " substr(rest, end + 2)
    }
    while (match(text, /(struct|enum) rk_[a-z_]+ *\{/)) {
        head = substr(text, RSTART, RLENGTH)
        text = substr(text, RSTART + RLENGTH)
        end = index(text, "}")
        inside = substr(text, 1, end - 1)
        text = substr(text, end + 1)
        split(head, w, /[ {]+/)
        if (w[1] == "enum") {
            constants(inside)
        } else {
            out("    S(" w[2] ");")
            members(w[2], inside)
        }
    }
    printf "%s", includes
    print "#include <stdio.h>"
    print "#define S(s) printf(\"struct %s size %zu\\n\", #s, sizeof(struct s))"
    print "#define M(s, m) printf(\"struct %s.%s at %zu size %zu\\n\", #s, #m, offsetof(struct s, m), " \
          "sizeof(((struct s *)0)->m))"
    print "#define C(c) printf(\"%s = %lld\\n\", #c, (long long)(c))"
    print "#define T(c) printf(\"%s = %s\\n\", #c, c)"
    print "int main(void)\n{\n" body "    return 0;\n}"
}
