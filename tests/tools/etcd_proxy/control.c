/* control: what the control file may say, and the counts; see proxy.h. */
#include "tests/tools/etcd_proxy/proxy.h"

#include <stdio.h>

struct proxy_counts proxy_counts;

static const struct control_field fields[] = {
#define X(name) { #name, true, offsetof(struct proxy_faults, name), 0 },
	PROXY_CHANCES(X)
#undef X
#define X(name, normal) { #name, false, offsetof(struct proxy_faults, name), normal },
	PROXY_NUMBERS(X)
#undef X
};

void proxy_open_control(const char *path)
{
	control_open(path, fields, sizeof fields / sizeof fields[0], sizeof(struct proxy_faults));
}

struct proxy_faults proxy_faults_now(void)
{
	struct proxy_faults faults;
	control_read(&faults);
	return faults;
}

void proxy_print_counts(void)
{
#define X(name) printf("%s %lld\n", #name, atomic_load(&proxy_counts.name));
	PROXY_COUNTS(X)
#undef X
	fflush(stdout);
}
