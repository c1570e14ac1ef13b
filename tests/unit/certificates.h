/*
 * certificates: a certificate authority and what it signs, made by openssl(1) for one test.
 */
#ifndef PYGMY_TESTS_CERTIFICATES_H
#define PYGMY_TESTS_CERTIFICATES_H

#include "tests/unit/support.h"

#include <errno.h>
#include <sys/wait.h>

#define CERTIFICATES_PATH_BYTES 320

/* Paths of PEM files in the folder. */
struct certificates {
	char ca[CERTIFICATES_PATH_BYTES], certificate[CERTIFICATES_PATH_BYTES], key[CERTIFICATES_PATH_BYTES];
};

/* Makes `<name>.ca.pem`, `<name>.pem` and `<name>.key.pem`: good for both directions at the given address (an IP), for a day. */
static inline void certificates_make(struct certificates *certificates, const char *folder, const char *name, const char *address)
{
	static const char script[] =
		"set -eu; cd \"$1\"; umask 077; exec >\"$2.log\" 2>&1\n"
		"ec='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1'\n"
		"openssl req -x509 $ec -subj /CN=ca -keyout \"$2.ca.key\" -out \"$2.ca.pem\"\n"
		"printf 'subjectAltName=IP:%s,IP:127.0.0.1\\nextendedKeyUsage=serverAuth,clientAuth\\n' \"$3\" >\"$2.ext\"\n"
		"openssl req $ec -subj /CN=node -keyout \"$2.key.pem\" -out \"$2.csr\"\n"
		"openssl x509 -req -days 1 -in \"$2.csr\" -CA \"$2.ca.pem\" -CAkey \"$2.ca.key\" -set_serial 1 -extfile \"$2.ext\" -out \"$2.pem\"\n";
	int status = -1;
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", script, "sh", folder, name, address, (char *)NULL);
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	assert_int_equal(status, 0);
	snprintf(certificates->ca, CERTIFICATES_PATH_BYTES, "%s/%s.ca.pem", folder, name);
	snprintf(certificates->certificate, CERTIFICATES_PATH_BYTES, "%s/%s.pem", folder, name);
	snprintf(certificates->key, CERTIFICATES_PATH_BYTES, "%s/%s.key.pem", folder, name);
}

#endif
