#!/bin/sh
# Install the system tools that tests use and that are missing: the one list of them.
# Only as root on a system with apt-get; elsewhere it says what is missing, and those tests are
# skipped, except under CI=true, where nothing is skipped.
set -eu

# command      Debian package   what for; a path stands for itself
tools='
ip            iproute2         networks of their own for tests with several hosts
nft           nftables         address translation between them
conntrack     conntrack        makes them forget
turnserver    coturn           the relay that most people run
tmux          tmux             terminals to show the progress bar and the QR code in
mount         mount            small file systems to fill up
unshare       util-linux       mounts that only one test sees
losetup       mount            disks that lose what was not flushed
mkfs.ext4     e2fsprogs        makes their file systems
mkfs.xfs      xfsprogs         makes them
mkfs.btrfs    btrfs-progs      makes them
setpriv       util-linux       lets root enter folders no longer
ntfs-3g       ntfs-3g          file systems of Windows, to receive into
mount.exfat-fuse exfat-fuse    those of memory cards
mkfs.exfat    exfatprogs       makes them
fusefat       fusefat          those of old memory cards
mkfs.vfat     dosfstools       makes them
chromium      chromium         the page in a real browser
chromedriver  chromium-driver  starts it and talks to it
firefox-esr   firefox-esr      the page in another one
go            golang-go        builds the peer that chats are tested with
wormhole-william wormhole-william what the benchmark compares with
unzip         unzip            reads the zips that the page makes
cc            gcc              builds the emulated link of the benchmark
systemd-analyze systemd        checks the unit of a service
groff         groff-base       renders the manual page
/usr/share/gocode/src/github.com/pion/webrtc golang-github-pion-webrtc.v3-dev what that peer is made of
'

packages=$(echo "$tools" | while read -r command package _; do
    # `command -v` finds no folders.
    if [ -n "$command" ] && ! [ -d "$command" ] && ! command -v "$command" > /dev/null 2>&1; then
        echo "$package"
    fi
done | sort -u | tr '\n' ' ')

if [ -z "$packages" ]; then
    exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null 2>&1; then
    echo "installing $packages"
    export DEBIAN_FRONTEND=noninteractive
    # Lists that came with the machine may be missing, or name the browsers of half a year ago, which
    # are still to be had and can't do what the tests ask of them.
    apt-get update -qq || echo "the lists of packages can't be renewed; trying with those here" >&2
    # The package of coturn would start a relay for everybody; a masked service it can't start.
    case $packages in *coturn*)
        mkdir -p /etc/systemd/system
        test -e /etc/systemd/system/coturn.service ||
            ln -s /dev/null /etc/systemd/system/coturn.service ;;
    esac
    # shellcheck disable=SC2086 # several packages, several words
    if apt-get install -y -qq --no-install-recommends $packages > /dev/null
    then
        exit 0
    fi
fi
echo "missing: ${packages% }; tests that need them are skipped, under CI=true they fail" >&2
if [ "${CI:-}" = true ]; then
    exit 1
fi
