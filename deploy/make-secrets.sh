#!/bin/sh
# Writes secrets/: a password for each login of compose.yaml, and the key of the replica set.
# `make secrets` runs this. Nothing that is there is overwritten: to have a password changed, delete
# its files and run it again. No password is ever in an argument, so none is in the process list.
set -eu
umask 077

folder=${1:-secrets}
place='mongo:27017/hyperhive'
options='tls=true&tlsCAFile=/run/secrets/ca.pem&directConnection=true'

if command -v openssl >/dev/null; then
  hex() { openssl rand -hex "$1"; }
  base64() { openssl rand -base64 "$1"; }
elif command -v python3 >/dev/null; then
  hex() { python3 -c 'import secrets, sys; print(secrets.token_hex(int(sys.argv[1])))' "$1"; }
  base64() {
    python3 -c 'import base64, secrets, sys
print(base64.b64encode(secrets.token_bytes(int(sys.argv[1]))).decode())' "$1"
  }
else
  echo 'make secrets needs openssl or python3: install one of them' >&2
  exit 1
fi

# missing FILE: whether it is to be made; says so if it is not.
missing() {
  [ ! -e "$folder/$1" ] || {
    echo "$folder/$1 is there already: left as it is"
    return 1
  }
}

# keep FILE: writes standard input there, whole or not at all.
keep() {
  cat >"$folder/$1.part"
  mv "$folder/$1.part" "$folder/$1"
  echo "$folder/$1 made"
}

# login FILE USER PASSWORD DATABASE
login() {
  printf 'mongodb://%s:%s@%s?authSource=%s&%s\n' "$2" "$3" "$place" "$4" "$options" | keep "$1"
}

mkdir -p "$folder"
chmod 700 "$folder"
if missing admin.password; then hex 24 | keep admin.password; fi
if missing replica.key; then base64 741 | keep replica.key; fi
if missing admin.uri; then login admin.uri admin "$(cat "$folder/admin.password")" admin; fi
for name in coordinator worker viewer; do
  if missing "$name.uri"; then login "$name.uri" "$name" "$(hex 24)" hyperhive; fi
done
