#!/bin/sh
# packages_life.sh - packages installed, upgraded, refused, removed and purged, by dpkg, in a copy of this system
#
# usage: packages_life.sh FOLDER      with rekeyd_*.deb, rekey-plugin-sim_*.deb and rekey-plugin-static_*.deb
#
# Run by packages.sh.  The copy is an overlay that is seen by this process and its children only, and is gone with
# them; systemctl in it is a script that keeps a diary.  Exit status: 0; 1 with what went otherwise; 77 not possible
# here.
set -eu

if [ "${2:-}" = outside ]; then # alone with the mounts
    mount -t tmpfs tmpfs /mnt && mkdir /mnt/up /mnt/work /mnt/root || exit 77
    mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/up,workdir=/mnt/work /mnt/root || exit 77
    for d in dev proc; do mount --rbind /$d /mnt/root/$d || exit 77; done
    mount -t tmpfs tmpfs /mnt/root/run && mkdir -p /mnt/root/packages || exit 77
    mount --bind "$1" /mnt/root/packages || exit 77
    cp "$0" /mnt/root/run/life.sh && exec chroot /mnt/root sh /run/life.sh /packages inside
elif [ "${2:-}" != inside ]; then
    [ "$(id -u)" = 0 ] || exit 77
    exec unshare -m sh "$0" "$1" outside
fi

# ---- inside ----

mkdir -p /run/systemd/system
for p in systemctl deb-systemd-invoke; do
    cat >/usr/bin/$p <<'END'
#!/bin/sh
case $1 in
is-active) cat /run/state ;;
start | restart | stop) echo "$1" >>/run/did ;;
esac
END
    chmod 755 /usr/bin/$p
done

# state WORD - what the unit is, from now on
state() { echo "$1" >/run/state; : >/run/did; }

# did WHAT WORD... - exactly these were asked of systemd
did() {
    what=$1; shift
    now=$(tr '\n' ' ' </run/did)
    [ "$now" = "${*:+$* }" ] || { echo "$what: systemd was asked to: $now, expected: $*"; exit 1; }
}

# quiet COMMAND... - its output is shown when it fails, and is in /run/said
quiet() { "$@" >/run/said 2>&1 || { cat /run/said; exit 1; }; }

three() { ls "$1"/rekeyd_*.deb "$1"/rekey-plugin-sim_*.deb "$1"/rekey-plugin-static_*.deb; }

# The same packages as a later version.
mkdir /run/later
for deb in $(three /packages); do
    rm -rf /run/x && dpkg-deb -R "$deb" /run/x
    sed -i -E '/^Version:|rekeyd \(=/s/(-[0-9]+)/\1.1/' /run/x/DEBIAN/control
    quiet dpkg-deb -Zgzip -b /run/x "/run/later/${deb##*/}"
done

state inactive
quiet dpkg -i $(three /packages)
did install
[ "$(stat -c %a /etc/rekey)" = 700 ] || { echo "/etc/rekey is open"; exit 1; }
head -c 32 /dev/urandom | base64 >/etc/rekey/lab.secret && chmod 600 /etc/rekey/lab.secret
cat >/etc/rekey/rekeyd.yaml <<END
sae: LAB
sources:
  lab: { plugin: static, secret: "file:/etc/rekey/lab.secret" }
devices:
  east: { plugin: sim }
  west: { plugin: sim }
links:
  - { name: lab-1, device: east, interface: port1, peer-device: west, peer-interface: port1, source: lab,
      channel: local, interval: 10s }
END
quiet rekeyctl check /etc/rekey/rekeyd.yaml

state active
quiet dpkg -i $(three /run/later)
did "an upgrade of all" restart
quiet dpkg -i /run/later/rekey-plugin-sim_*.deb
did "and of a plugin" restart restart
state inactive
quiet dpkg -i /run/later/rekeyd_*.deb
did "an upgrade of one that was stopped"

secret=$(cat /etc/rekey/lab.secret)
echo "sae: [$secret" >/etc/rekey/rekeyd.yaml
state active
quiet dpkg -i $(three /run/later)
did "an upgrade with a configuration that is refused"
grep -q "not started again: .* 'rekeyctl check /etc/rekey/rekeyd.yaml' tells why" /run/said ||
    { echo "not said: "; cat /run/said; exit 1; }
! grep -qF "$secret" /run/said || { echo "a part of the configuration was shown"; exit 1; }

mkdir -p /var/lib/rekey && touch /var/lib/rekey/journal.db
quiet dpkg -r rekey-plugin-sim rekey-plugin-static rekeyd
did "a removal" stop
[ -e /var/lib/rekey/journal.db ] || { echo "the journal went with the package"; exit 1; }
quiet dpkg -P rekeyd
[ ! -e /var/lib/rekey ] || { echo "state was left behind by a purge"; exit 1; }
[ -e /etc/rekey/lab.secret ] || { echo "a purge took the operator's secrets"; exit 1; }
