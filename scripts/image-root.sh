#!/bin/sh
# image-root.sh FOLDER: the root file system of the image, but for the program: Node, nft and iptables with the libraries
# they load, the certificates of authorities, and the two files that name users. It runs inside the build.
set -eu
ROOT=${1:?usage: image-root.sh FOLDER}
mkdir -p "$ROOT/tmp" "$ROOT/etc/ssl/certs" "$ROOT/etc/outrigger" "$ROOT/usr/local/bin" "$ROOT/usr/sbin" "$ROOT/run"
chmod 1777 "$ROOT/tmp"

# Debian keeps /bin and /lib as links into /usr; so does the image.
for link in bin sbin lib lib64; do [ ! -L "/$link" ] || { mkdir -p "$ROOT/usr/$link"; ln -sfn "usr/$link" "$ROOT/$link"; }; done

library() { [ -e "$ROOT$1" ] || { mkdir -p "$ROOT$(dirname "$1")"; cp -L "$1" "$ROOT$1"; }; }
libraries_of() {
  ldd "$1" 2>/dev/null | awk '$2 == "=>" && $3 ~ /^\// { print $3 } $1 ~ /^\/.*ld-/ { print $1 }' | while read -r file; do library "$file"; done
}
program() {
  file=$(readlink -f "$(command -v "$1")")
  mkdir -p "$ROOT$(dirname "$2")"
  cp "$file" "$ROOT$2"
  libraries_of "$file"
}

program node /usr/local/bin/node
# `outrigger` by name, for probes and hooks.
program env /usr/bin/env
ln -sfn ../../../opt/outrigger/bin/outrigger.js "$ROOT/usr/local/bin/outrigger"
# Debug information is a quarter of the binary.
strip --strip-unneeded "$ROOT/usr/local/bin/node"
program nft /usr/sbin/nft
for kind in nft legacy; do
  program "xtables-$kind-multi" "/usr/sbin/xtables-$kind-multi"
  for name in iptables ip6tables iptables-save ip6tables-save iptables-restore ip6tables-restore; do
    family=${name%%-*}; rest=${name#"$family"}
    ln -sfn "xtables-$kind-multi" "$ROOT/usr/sbin/$family-$kind$rest"
    [ "$kind" = legacy ] || ln -sfn "xtables-nft-multi" "$ROOT/usr/sbin/$name"
  done
done
# Matches and targets of iptables are libraries that it loads by name.
folder=$(dirname "$(find /usr/lib -name libxt_REDIRECT.so | head -1)")
mkdir -p "$ROOT$folder"
for file in libxt_standard libxt_REDIRECT libipt_REDIRECT libip6t_REDIRECT libxt_owner libxt_tcp libxt_udp libxt_multiport \
  libxt_addrtype libxt_comment libxt_conntrack libxt_mark libxt_REJECT libipt_REJECT libip6t_REJECT libxt_NAT; do
  if [ -e "$folder/$file.so" ]; then cp -L "$folder/$file.so" "$ROOT$folder/"; libraries_of "$folder/$file.so"; fi
done

cp -L /etc/ssl/certs/ca-certificates.crt "$ROOT/etc/ssl/certs/ca-certificates.crt"
cp /etc/protocols /etc/services "$ROOT/etc/" 2>/dev/null || true
printf 'hosts: files dns\n' > "$ROOT/etc/nsswitch.conf"
printf 'root:x:0:0:root:/:/sbin/nologin\noutrigger:x:1337:1337:outrigger:/:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n' > "$ROOT/etc/passwd"
printf 'root:x:0:\noutrigger:x:1337:\nnogroup:x:65534:\n' > "$ROOT/etc/group"
