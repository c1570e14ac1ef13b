# shellcheck shell=bash
# The cluster's own certificate authority, and a certificate for each machine. Made once, in $PYGMY_SECRETS_DIR/tls.
#
# A certificate names the machine's address (libcurl and etcd compare that) and "pygmy", the name that all machines share (nginx's
# frontends compare that: see nginx/peer/tls_client.conf), and 127.0.0.1, since on one machine every connection comes from there, and
# etcd's members compare that. It serves both directions. It has no common name: etcd's gateway
# would take that for a user's.

readonly cluster_certificate_days=3650

# Makes what is missing for the machines $@.
certificates_make() {
    local machine folder=$PYGMY_SECRETS_DIR/tls
    mkdir -p -- "$folder" || return
    if [[ ! -s $folder/ca.pem ]]; then certificate_make_authority "$folder" || return; fi
    for machine in "$@"; do
        if [[ ! -s $folder/$machine.pem ]]; then certificate_make "$folder" "$machine" "$(in_machine "$machine" certificate_address)" || return; fi
    done
}

certificate_address() { printf '%s' "$reach"; }

# Runs openssl, quietly when it works.
certificate_openssl() {
    local said
    said=$(openssl "$@" 2>&1) || { say "$me: openssl $1 failed: $said" >&2 && return 1; }
}

certificate_make_authority() {
    certificate_openssl req -x509 -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days "$cluster_certificate_days" -subj '/O=Pygmy/OU=cluster' \
        -addext 'basicConstraints=critical,CA:TRUE,pathlen:0' -addext 'keyUsage=critical,keyCertSign,cRLSign' \
        -keyout "$1/ca.key" -out "$1/ca.pem.new" && mv -- "$1/ca.pem.new" "$1/ca.pem"
}

# certificate_make FOLDER MACHINE ADDRESS
certificate_make() {
    local names=DNS:pygmy,IP:127.0.0.1 address=${3//[\[\]]/}
    if [[ $address =~ ^[0-9.]+$ || $address == *:* ]]; then names+=,IP:$address; else names+=,DNS:$address; fi
    certificate_openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /O=Pygmy -keyout "$1/$2.key" -out "$1/$2.request" &&
        certificate_openssl x509 -req -in "$1/$2.request" -CA "$1/ca.pem" -CAkey "$1/ca.key" -CAserial "$1/serial" -CAcreateserial \
            -days "$cluster_certificate_days" -out "$1/$2.pem.new" -extfile <(printf '%s\n' "subjectAltName=$names" 'basicConstraints=critical,CA:FALSE' \
            'keyUsage=critical,digitalSignature' 'extendedKeyUsage=serverAuth,clientAuth') &&
        rm -- "$1/$2.request" && mv -- "$1/$2.pem.new" "$1/$2.pem"
}
