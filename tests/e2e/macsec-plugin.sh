#!/bin/bash
# macsec-plugin.sh: linux-macsec against a real kernel, in a User-Mode Linux guest; see macsec-plugin.c.
: "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}" "${top_builddir:=$PWD}"
export top_srcdir top_builddir
rig=$top_srcdir/tests/rig
. "$rig/rig.sh"
program=$top_builddir/plugins/device/linux-macsec/test-kernel
rig_need "$rig_macsec" "$program"
exec "$rig/uml-run" -t 120 -K "$rig_macsec dummy" -- "$program"
