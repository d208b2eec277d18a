# tree_docs.awk - functions in headers that no comment is about; prints them, and exits with 1 then
#
# A function is documented when its paragraph (lines up to a blank one) holds a comment, or a comment of the header
# names it ("rk_x_get", or all of a kind as "rk_*_get"), or names another of its paragraph.  Members of public structs
# that are functions need a comment "name - ...".
FNR == 1 { finish(); file = FILENAME; comments = ""; n = 0; para = 0; has = "" }

/^[ \t]*$/ { para++ }

{
    line = $0
    if (in_comment || line ~ /\/\*/) {
        comments = comments " " line
        if (!in_external(line))
            has = has " " para " "
    }
    in_comment = in_comment ? line !~ /\*\// : line ~ /\/\*/ && line !~ /\*\/[^*]*$/
    sub(/\/\*.*/, "", line)
}

# A declaration begins in the first column and ends its head with "name(".
!in_comment && line ~ /^[a-z][a-z_0-9 ]*[ *]rk_[a-z0-9_]+\(/ && line !~ /^(typedef|static|#)/ {
    match(line, /rk_[a-z0-9_]+\(/)
    name[++n] = substr(line, RSTART, RLENGTH - 1)
    place[n] = FNR
    of[n] = para
}
!in_comment && FILENAME ~ /include\/rekey\// && match(line, /\(\*[a-z_0-9]+\)\(/) {
    member = substr(line, RSTART + 2, RLENGTH - 4)
    if (index(comments, " " member " - ") == 0)
        report(FNR, member)
}

function in_external(l) { return l ~ /^\/\* [a-z_]+\.h - / }

function report(where, what) { print file ":" where ": " what; bad = 1 }

function named(f,   any) {
    any = f
    sub(/_[a-z0-9]+$/, "", any)
    any = substr(f, length(any) + 1)
    return index(comments, f) > 0 || index(comments, "rk_*" any) > 0
}

function finish(   i, k, fine) {
    for (i = 1; i <= n; i++) {
        fine = index(has, " " of[i] " ") > 0
        for (k = 1; k <= n && !fine; k++)
            fine = of[k] == of[i] && named(name[k])
        if (!fine)
            report(place[i], name[i])
    }
}

END { finish(); exit bad }
