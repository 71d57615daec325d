#!/bin/sh
# Makes the certificates of these tests anew. They protect nothing, and are valid from 2020 to 2120.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
cat > "$work/ca.conf" << END
[ca]
default_ca = tests
[tests]
new_certs_dir = $work
database = $work/index
rand_serial = yes
unique_subject = no
default_md = sha256
policy = names
[names]
commonName = supplied
[authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
[leaf]
subjectAltName = DNS:weir.example,IP:127.0.0.1
extendedKeyUsage = serverAuth,clientAuth
END
touch "$work/index"
make() {
    openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out "$work/$1.key"
    openssl req -new -key "$work/$1.key" -subj "/CN=$1" -out "$work/$1.csr"
    openssl ca -batch -notext -config "$work/ca.conf" -startdate 20200101000000Z -enddate 21200101000000Z \
        -extensions "$2" -in "$work/$1.csr" -out "$1.pem" $3
}
authority() {
    make "$1" authority "-selfsign -keyfile $work/$1.key"
}
signed() {
    make "$1" leaf "-cert $2.pem -keyfile $work/$2.key"
    cp "$work/$1.key" "$1.key"
}
authority authority
authority other_authority
signed server authority
signed renewed authority
signed client authority
signed stranger other_authority
openssl pkey -in server.key -aes256 -passout pass:secret -out encrypted.key
