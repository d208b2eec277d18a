#!/bin/bash
# macsec-link.sh: two sites, two KMEs over TLS, a real MACsec link in a guest, 60 rotations under traffic: 0 lost.
e2e=${top_srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}/tests/e2e
build=${top_builddir:-$PWD}
rig=$e2e/../rig
. "$rig/rig.sh"
. "$e2e/e2e.sh"
e2e_guest 260 guest_rotate.py 200
