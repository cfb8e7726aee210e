#!/bin/sh
# Lays out the file system of an image. Runs in the build stage of deploy/Dockerfile.
#
#   RUNTIME_BASE=... root.sh FOLDER PROGRAM [NAME]...
#
# The program goes to usr/local/bin, with one link for each NAME by which it may be called. On `scratch` come the
# libraries it loads, the trusted roots, and the entries of Debian's package database for them: scanners and the
# bill of materials read those.
set -eu

root=$1
program=$2
shift 2

install -D -m 755 "$program" "$root/usr/local/bin/$(basename "$program")"
for name in "$@"; do
    ln -s "$(basename "$program")" "$root/usr/local/bin/$name"
done
mkdir -p "$root/etc/promemoria"
install -D -m 644 LICENSE "$root/usr/share/doc/promemoria/LICENSE"
[ "$RUNTIME_BASE" = scratch ] || exit 0

# Paths of the loader and of what it would load; the first column of a line without "=>" is the loader itself.
ldd "$program" | awk '$2 == "=>" { print $3 } $1 ~ /^\// { print $1 }' | while read -r file; do
    install -D -m 755 "$(readlink -f "$file")" "$root$file"
done
install -D -m 644 /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
# Names are looked up in files, then by DNS; the user has a name for tools that want one.
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
echo 'nonroot:x:65532:65532::/:/none' >"$root/etc/passwd"
echo 'nonroot:x:65532:' >"$root/etc/group"
mkdir -p "$root/var/lib/dpkg/status.d"
for package in libc6 libgcc-s1 ca-certificates; do
    dpkg-query --status "$package" >"$root/var/lib/dpkg/status.d/$package"
    notice=/usr/share/doc/$package/copyright
    [ ! -e "$notice" ] || install -D -m 644 "$notice" "$root$notice"
done
install -d -m 1777 "$root/tmp"
