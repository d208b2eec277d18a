# tree_includes.awk - who may include whom; prints every line that breaks the rule, and exits with 1 then
#
# usage: awk -f tree_includes.awk FILE...   with paths from the top of the tree.
BEGIN {
    may["core/base"] = ""
    may["core/model"] = "base"
    may["core/sched"] = "base model"
    may["core/conf"] = "base"
    may["core/ipc"] = "base"
    may["core/host"] = "base ipc conf"
    may["core/daemon"] = "base model sched conf ipc"
    may["core/cli"] = "base ipc"
    may["core/check"] = "base ipc conf"
    # A library's headers, and the only folders that may use them (tests may use all).
    only["yaml.h"] = "core/conf contrib"
    only["ltdl.h"] = "core/host"
    only["sqlite3.h"] = "core/daemon"
    only["openssl/"] = "core/host plugins/source/etsi014 plugins/common/tls plugins/common/https " \
                       "plugins/channel/peer plugins/device/junos-event contrib"
    only["event2/"] = "core/daemon plugins/common/https plugins/channel/peer " \
                      "plugins/device/junos-event contrib"
    only["event.h"] = "core/daemon contrib"
    only["curl/"] = "plugins"
    only["libmnl/"] = "plugins"
    only["libssh2"] = "plugins contrib/plugin-walkthrough"
    only["libxml/"] = "plugins contrib"
}

function complain(why) { print FILENAME ":" FNR ": " $0 ": " why; bad = 1 }

function has(list, word) { return index(" " list " ", " " word " ") > 0 }

# core/base of core/base/x.h; plugins, contrib, tests, include of others.  A test beside what it tests is a test.
function area(path,   p) {
    if (path ~ /(^|\/)(test|fuzz)[-_][^\/]*$/ || path ~ /[-_]test\.[ch]$/)
        return "tests"
    split(path, p, "/")
    return p[1] == "core" ? p[1] "/" p[2] : p[1]
}

# The path, from the top, of what "name" in the file means.
function target(name,   dir) {
    if (name ~ /^(core|plugins|tests|contrib|include)\//)
        return name
    dir = FILENAME
    sub(/\/[^\/]*$/, "", dir)
    while (sub(/^\.\.\//, "", name))
        sub(/\/?[^\/]+$/, "", dir)
    return dir == "" ? name : dir "/" name
}

function check_ours(name,   here, there) {
    here = area(FILENAME)
    there = area(target(name))
    if (here == there || here == "tests")
        return
    if (here == "include")
        complain("public headers include <rekey/...> only")
    else if (here == "plugins")
        complain("plugins include <rekey/...> and their own libraries, never " there)
    else if (here in may && !has(may[here], substr(there, 6)))
        complain(here " may include: " (may[here] == "" ? "nothing of core" : may[here]))
    else if (here == "contrib" && (there == "core/host" || there == "core/daemon"))
        complain("contrib does not reach into the daemon")
}

# A plugin is one folder; plugins/common is for all of them.
function check_plugin(name,   t, here) {
    if (area(FILENAME) != "plugins")
        return
    t = target(name)
    here = FILENAME
    sub(/\/[^\/]*$/, "/", here)
    if (t ~ /^plugins\// && index(t, here) != 1 && t !~ /^plugins\/common\//)
        complain("a plugin never includes another plugin")
}

function check_library(name,   l, dir) {
    if (area(FILENAME) == "tests")
        return
    dir = FILENAME
    sub(/\/[^\/]*$/, "", dir)
    for (l in only)
        if (index(name, l) == 1 && !has(only[l], area(FILENAME)) && !has(only[l], dir))
            complain(l " is for " only[l] " only")
    if (area(FILENAME) == "include" && name !~ /^(stddef\.h|stdint\.h|rekey\/)/)
        complain("public headers need <stddef.h> and <stdint.h> only")
}

/^[ \t]*#[ \t]*include[ \t]*"/ {
    split($0, quoted, "\"")
    check_ours(quoted[2])
    check_plugin(quoted[2])
    check_library(quoted[2])
}
/^[ \t]*#[ \t]*include[ \t]*</ {
    name = $0
    sub(/^[^<]*</, "", name)
    sub(/>.*/, "", name)
    check_library(name)
    if (name ~ /^core\//)
        check_ours(name)
}
END { exit bad }
