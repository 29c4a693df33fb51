#!/bin/sh
# Proves both commands of the README where nothing is there yet: a minimal Debian 12 with Node 20, in a folder, with empty caches.
#
#   sudo scripts/fresh-machine.sh [FOLDER] [STEP ...]
#
# FOLDER  where the root file system is made (default: a new one in /tmp); it may not be there yet, and is removed at the end
# STEP    test, once, demo, long, run (default: test once run); `run` comes after another, which has installed the packages
#
# It needs root, debootstrap, npm, 12 GB and 15 minutes. What is committed is tested: a clone of HEAD, as a stranger has it.
# The registries are those of this machine: its apt sources, its settings of npm, pip and Go, and its certificates go along.
set -eu
if [ "$(id -u)" != 0 ]; then echo "run this as root: it needs debootstrap and chroot" >&2; exit 2; fi
PROJECT=$(cd "$(dirname "$0")/.." && pwd)
ROOT=${1:-$(mktemp -d /tmp/outrigger-fresh-XXXXXX)/root}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- test once run
[ ! -e "$ROOT" ] || { echo "$ROOT is there already: name a folder that is not" >&2; exit 2; }
MIRROR=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | grep -oE 'https?://[^ ]+/debian/?( |$)' | head -1)

say() { printf '\n=== %s  (%s s)\n' "$1" "$(($(date +%s) - BEGAN))"; }
BEGAN=$(date +%s)

# Before the folder is removed: what is mounted in it is the machine's own.
clean() {
  for place in dev/shm dev/pts dev proc; do
    while mountpoint -q "$ROOT/$place"; do umount -l "$ROOT/$place" || break; done
  done
  for place in dev/shm dev/pts dev proc; do
    if mountpoint -q "$ROOT/$place"; then echo "$ROOT/$place is still mounted: not removed" >&2; return; fi
  done
  rm -rf --one-file-system "$ROOT"
}
trap clean EXIT
trap 'exit 130' INT TERM HUP

say 'Debian 12, minimal'
mkdir -p "$ROOT"
debootstrap --variant=minbase --include=ca-certificates bookworm "$ROOT" $MIRROR >"$ROOT.log" 2>&1 || { tail -5 "$ROOT.log" >&2; exit 1; }
rm -f "$ROOT.log"

say 'Node 20 and npm'
WORK=$(mktemp -d)
(cd "$WORK" && echo '{"private":true}' >package.json && npm install --silent --no-audit --no-fund --ignore-scripts=false node@20 npm@10 >/dev/null)
cp -L "$WORK/node_modules/node/bin/node" "$ROOT/usr/local/bin/node"
mkdir -p "$ROOT/usr/local/lib/node_modules"
cp -r "$WORK/node_modules/npm" "$ROOT/usr/local/lib/node_modules/npm"
for name in npm npx; do ln -s "../lib/node_modules/npm/bin/$name-cli.js" "$ROOT/usr/local/bin/$name"; done
rm -rf "$WORK"

say 'the settings of the registries, and a clone'
for file in /etc/resolv.conf /etc/hosts /etc/ssl/certs/ca-certificates.crt /etc/pip.conf "$HOME/.npmrc" "$HOME/.config/pip/pip.conf" "$HOME/.config/go/env"; do
  [ -e "$file" ] || continue
  to=$(printf %s "$file" | sed "s#^$HOME#/root#")
  mkdir -p "$ROOT$(dirname "$to")"
  cp -L "$file" "$ROOT$to"
done
cp -r /etc/apt/apt.conf.d/. "$ROOT/etc/apt/apt.conf.d/"
rm -f "$ROOT/etc/apt/sources.list"
cp -r /etc/apt/sources.list.d/. "$ROOT/etc/apt/sources.list.d/"
if [ -s /etc/apt/sources.list ]; then cp /etc/apt/sources.list "$ROOT/etc/apt/"; fi
git clone -q --no-hardlinks "$PROJECT" "$ROOT/srv/outrigger"

# Of the devices only those that programs expect; of the network only what the machine itself has.
mkdir -p "$ROOT/dev/shm" "$ROOT/dev/pts"
mount -t proc proc "$ROOT/proc"
mount -t tmpfs -o size=1g tmpfs "$ROOT/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$ROOT/dev/pts"
for device in null zero full random urandom tty; do [ -e "$ROOT/dev/$device" ] || cp -a "/dev/$device" "$ROOT/dev/"; done

# Nothing of this machine's environment but where its registries are, and whom it trusts.
SETTINGS=$(env | grep -E '^(GOPROXY|GONOSUMDB|GONOSUMCHECK|GOSUMDB|GOFLAGS|PIP_(INDEX_URL|CERT|DEFAULT_TIMEOUT)|NODE_EXTRA_CA_CERTS|npm_config_registry|SSL_CERT_(FILE|DIR)|[a-zA-Z]+_(proxy|PROXY))=' || true)
# With loopback only; what is started ends with it.
alone() { unshare --net --pid --fork --kill-child /bin/sh -c 'ip link set lo up && exec "$@"' sh "$@"; }
inside() {
  $ALONE chroot "$ROOT" /usr/bin/env -i HOME=/root TERM="${TERM:-dumb}" LANG=C.UTF-8 CI=true \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin $SETTINGS /bin/sh -c "cd /srv/outrigger && $1"
}

for step; do
  ALONE=
  case $step in
    test) command='npm test' ;;
    long) command='npm run test:long' ;;
    once) command='npm run demo -- --once' ;;
    demo) command='timeout -s INT 20 npm run demo -- --plain' ;;
    # One sidecar on the ports of its file, until it answers: in a network of its own, as they may be taken here.
    run) ALONE=alone
      command='(npx outrigger proxy -c examples/minimal/sidecar.yaml & P=$!; node -e "
      const again = left => left > 0 ? setTimeout(ask, 200, left - 1) : process.exit(1)
      const ask = left => fetch(\"http://127.0.0.1:15000/ready\").then(({ ok }) => ok ? process.exit(0) : again(left), () => again(left))
      ask(300)"; E=$?; kill $P; wait $P; exit $E)' ;;
    *) echo "there is no step $step" >&2; exit 2 ;;
  esac
  say "$step"
  inside "$command"
done

say 'what is left in /tmp, what starts at boot, and where the space went'
LEFT=$(ls -A "$ROOT/tmp")
BOOT=$(find "$ROOT/etc/systemd/system" "$ROOT/etc/rc2.d" "$ROOT/etc/rc3.d" -name '*redis*' -o -name '*nginx*' -o -name '*haproxy*' -o -name '*dnsmasq*' 2>/dev/null || true)
du -shx "$ROOT" "$ROOT/srv/outrigger/node_modules" "$ROOT/srv/outrigger/.cache" "$ROOT/usr" "$ROOT/var" "$ROOT/root/.npm" "$ROOT/root/.cache" "$ROOT/root/go" 2>/dev/null || true
if [ -n "$LEFT" ]; then echo "/tmp is not empty: $LEFT" >&2; exit 1; fi
if [ -n "$BOOT" ]; then echo "services start at boot: $BOOT" >&2; exit 1; fi
say 'all of it passed'
