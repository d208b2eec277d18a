#!/bin/bash
# macsec-kills.sh: the same link in a guest, with kill -9 of rekeyd at exact steps, and of hosts and KMEs.
# REKEY_SEED replays the choice of points, victims and moments.
e2e=${top_srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}/tests/e2e
build=${top_builddir:-$PWD}
rig=$e2e/../rig
. "$rig/rig.sh"
. "$e2e/e2e.sh"
e2e_guest 400 guest_kills.py ${REKEY_SEED:-}
