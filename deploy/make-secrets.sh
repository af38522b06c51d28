#!/bin/sh
# Writes a password for each login of compose.yaml to secrets/. `make secrets` runs this.
# It overwrites nothing: to change a password, delete its file and run this again.
# A password is never an argument of a command, so it never shows in the process list.
set -eu
umask 077

folder=${1:-secrets}
place='mongo:27017/hyperhive'
options='tls=true&tlsCAFile=/run/secrets/ca.pem'

if command -v openssl >/dev/null; then
  hex() { openssl rand -hex "$1"; }
elif command -v python3 >/dev/null; then
  hex() { python3 -c 'import secrets, sys; print(secrets.token_hex(int(sys.argv[1])))' "$1"; }
else
  echo 'make secrets needs openssl or python3: install one of them' >&2
  exit 1
fi

# missing FILE: succeeds if the file must be made; else says that it exists.
missing() {
  [ ! -e "$folder/$1" ] || {
    echo "$folder/$1 exists: left unchanged"
    return 1
  }
}

# keep FILE: writes standard input to the file, completely or not at all.
keep() {
  cat >"$folder/$1.part"
  mv "$folder/$1.part" "$folder/$1"
  echo "$folder/$1 written"
}

# login FILE USER PASSWORD DATABASE
login() {
  printf 'mongodb://%s:%s@%s?authSource=%s&%s\n' "$2" "$3" "$place" "$4" "$options" | keep "$1"
}

mkdir -p "$folder"
chmod 700 "$folder"
if missing admin.password; then hex 24 | keep admin.password; fi
if missing admin.uri; then login admin.uri admin "$(cat "$folder/admin.password")" admin; fi
for name in coordinator worker viewer; do
  if missing "$name.uri"; then login "$name.uri" "$name" "$(hex 24)" hyperhive; fi
done
