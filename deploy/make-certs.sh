#!/bin/sh
# Writes a small CA and the server's certificate into secrets/: ca.pem, ca.key, mongo.pem.
# `make certs HOST=192.168.1.10` runs this; without a HOST the certificate is for this machine alone.
# A CA that is there is kept, so devices go on trusting what they trust: a new HOST, or a certificate
# that ran out, takes a new server certificate and nothing on the devices.
#
# Certificates start a day in the past: a Jetson Nano has no clock battery, and until NTP has answered
# its clock stands where it last stood. ca.key can sign a certificate that every device believes: it
# stays on this machine and goes into no container.
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
    *[!A-Za-z0-9.:-]* | -* | '') fail "HOST=$host: a name or an address, without a port, is wanted" ;;
  esac
done

mkdir -p "$folder"
chmod 700 "$folder"
if [ $# -eq 0 ] && [ -e "$folder/mongo.pem" ]; then
  echo "$folder/mongo.pem is there already: left as it is (HOST=... makes another)"
  exit 0
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# BSD's date (macOS) takes seconds with -r, others with -d @.
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

# request NAME KEY: a new private key, and the request to sign it. (Not `req -x509`, which could not
# backdate before OpenSSL 3.4.)
request() {
  openssl ecparam -name prime256v1 -genkey -noout -out "$2"
  openssl req -new -config "$scratch/ca.cnf" -subj "/CN=$1" -key "$2" -out "$scratch/request.pem"
}

# sign EXTENSIONS OUT [OPTION...]: signs the request.
sign() {
  extensions=$1 out=$2
  shift 2
  : >"$scratch/index.txt"
  openssl rand -hex 16 >"$scratch/serial"
  openssl ca -batch -notext -config "$scratch/ca.cnf" -extensions "$extensions" \
    -startdate "$yesterday" -days "$days" -in "$scratch/request.pem" -out "$out" "$@" \
    2>"$scratch/said" || fail "$(cat "$scratch/said")"
}

if [ ! -e "$folder/ca.key" ]; then
  request "hyperhive CA $(openssl rand -hex 4)" "$scratch/ca.key"
  sign authority "$scratch/ca.pem" -selfsign -keyfile "$scratch/ca.key"
  mv "$scratch/ca.pem" "$folder/ca.pem"
  mv "$scratch/ca.key" "$folder/ca.key"
  echo "$folder/ca.pem and $folder/ca.key made"
fi
request mongo "$scratch/mongo.key"
sign server "$scratch/mongo.crt" -cert "$folder/ca.pem" -keyfile "$folder/ca.key"
cat "$scratch/mongo.crt" "$scratch/mongo.key" >"$folder/mongo.pem.part"
mv "$folder/mongo.pem.part" "$folder/mongo.pem"
echo "$folder/mongo.pem made for $names, for $days days; restart the server if it runs"
