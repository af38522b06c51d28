#!/bin/sh
# Writes a small CA and the server's certificate to secrets/: ca.pem, ca.key, mongo.pem.
# `make certs HOST=192.168.1.10` runs this. Without HOST the certificate is valid on this machine only.
# An existing CA is kept, because the devices trust it: a new HOST or an expired certificate needs a
# new server certificate, and no change on the devices.
#
# Certificates are valid from one day in the past: a Jetson Nano has no clock battery, and until NTP
# answers its clock may be behind. ca.key can sign certificates that every device trusts: it stays on
# this machine, and no container gets it.
set -eu
umask 077

folder=secrets
days=3650

fail() {
  echo "$1" >&2
  exit 1
}

command -v openssl >/dev/null || fail 'make certs needs openssl: install it'
for host in "$@"; do
  case $host in
    *[!A-Za-z0-9.:-]* | -* | '') fail "HOST=$host: give a host name or an address, without a port" ;;
  esac
done

mkdir -p "$folder"
chmod 700 "$folder"
if [ $# -eq 0 ] && [ -e "$folder/mongo.pem" ]; then
  echo "$folder/mongo.pem exists: left unchanged (HOST=... makes a new one)"
  exit 0
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# date takes a time in seconds with -r on BSD and macOS, and with -d @ elsewhere.
start=$(($(date +%s) - 86400))
yesterday=$(date -u -r "$start" +%Y%m%d%H%M%SZ 2>/dev/null || date -u -d "@$start" +%Y%m%d%H%M%SZ)

names='DNS:mongo,DNS:localhost,IP:127.0.0.1'
for host in "$@"; do
  case $host in
    *:*) names="$names,IP:$host" ;;
    *[!0-9.]*) names="$names,DNS:$host" ;;
    *) names="$names,IP:$host" ;;
  esac
done

cat >"$scratch/ca.cnf" <<EOF
[ca]
default_ca = small
[small]
database = $scratch/index.txt
serial = $scratch/serial
new_certs_dir = $scratch
default_md = sha256
policy = any
[any]
commonName = supplied
[req]
distinguished_name = any
[authority]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth, clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = $names
EOF

# request NAME KEY: writes a new private key, and a request to sign it. (`req -x509` cannot set the
# start date before OpenSSL 3.4.)
request() {
  openssl ecparam -name prime256v1 -genkey -noout -out "$2"
  openssl req -new -config "$scratch/ca.cnf" -subj "/CN=$1" -key "$2" -out "$scratch/request.pem"
}

# sign EXTENSIONS OUT [OPTION...]: signs the request and writes the certificate.
sign() {
  extensions=$1 out=$2
  shift 2
  : >"$scratch/index.txt"
  openssl rand -hex 16 >"$scratch/serial"
  openssl ca -batch -notext -config "$scratch/ca.cnf" -extensions "$extensions" \
    -startdate "$yesterday" -days "$days" -in "$scratch/request.pem" -out "$out" "$@" \
    2>"$scratch/errors" || fail "$(cat "$scratch/errors")"
}

if [ ! -e "$folder/ca.key" ]; then
  request "hyperhive CA $(openssl rand -hex 4)" "$scratch/ca.key"
  sign authority "$scratch/ca.pem" -selfsign -keyfile "$scratch/ca.key"
  mv "$scratch/ca.pem" "$folder/ca.pem"
  mv "$scratch/ca.key" "$folder/ca.key"
  echo "$folder/ca.pem and $folder/ca.key written"
fi
request mongo "$scratch/mongo.key"
sign server "$scratch/mongo.crt" -cert "$folder/ca.pem" -keyfile "$folder/ca.key"
cat "$scratch/mongo.crt" "$scratch/mongo.key" >"$folder/mongo.pem.part"
mv "$folder/mongo.pem.part" "$folder/mongo.pem"
echo "$folder/mongo.pem written for $names, valid for $days days; restart the server if it runs"
