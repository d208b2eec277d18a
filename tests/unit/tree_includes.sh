#!/bin/sh
# Who may include whom is kept, and the check sees it when it is not.
. "$top_srcdir/tests/unit/tap.sh"
rules=$top_srcdir/tests/unit/tree_includes.awk

whole_tree() { in_tree -name '*.[ch]' >"$tmp/files" && cd "$top_srcdir" &&
    xargs ${AWK:-awk} -f "$rules" <"$tmp/files"; }

caught() { # caught PATH INCLUDE: a file there with this line is refused
    mkdir -p "$tmp/tree/${1%/*}" && printf '#include %s\n' "$2" >"$tmp/tree/$1"
    ! (cd "$tmp/tree" && ${AWK:-awk} -f "$rules" "$1")
}

allowed() { ! caught "$@"; }

plan 22
ok "the tree keeps the rules" whole_tree
ok "base includes nothing of core" caught core/base/x.c '"../ipc/msg.h"'
ok "nor does the configuration the messages" caught core/conf/x.c '"../ipc/msg.h"'
ok "model never includes the daemon" caught core/model/x.c '"../daemon/journal.h"'
ok "the daemon never includes the host" caught core/daemon/x.c '"../host/kdf.h"'
ok "also by the path from the top" caught core/daemon/x.c '"core/host/kdf.h"'
ok "rekeyctl never includes the configuration" caught core/cli/x.c '"../conf/tree.h"'
ok "the host never includes the daemon" caught core/host/x.c '"../daemon/loop.h"'
ok "plugins never include core" caught plugins/device/x/x.c '"../../../core/base/text.h"'
ok "plugins never include core by its path" caught plugins/device/x/x.c '<core/base/text.h>'
ok "plugins never include another" caught plugins/device/x/x.c '"../sim/sim.h"'
ok "a test beside a plugin may use the fake host" allowed plugins/device/x/test-x.c '"tests/plugin/fakehost.h"'
ok "plugins may share what is common" allowed plugins/device/x/x.c '"../../common/tls.h"'
ok "only conf reads YAML" caught core/daemon/x.c '<yaml.h>'
ok "only the host loads modules" caught core/daemon/x.c '<ltdl.h>'
ok "only the daemon has the journal" caught core/host/x.c '<sqlite3.h>'
ok "the daemon has no cryptography" caught core/daemon/x.c '<openssl/evp.h>'
ok "nor has a device" caught plugins/device/x/x.c '<openssl/evp.h>'
ok "only the daemon has the event loop" caught core/cli/x.c '<event2/event.h>'
ok "only plugins talk HTTP" caught core/daemon/x.c '<curl/curl.h>'
ok "public headers need the C library only" caught include/rekey/x.h '<stdio.h>'
ok "public headers never include core" caught include/rekey/x.h '"../../core/base/text.h"'
