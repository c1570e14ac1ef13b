/* control: what the control file may say, and the counts; see peer.h. */
#include "tests/tools/peer_proxy/peer.h"

#include <stdio.h>

struct peer_counts peer_counts;

static const struct control_field fields[] = {
#define X(name) { #name, true, offsetof(struct peer_faults, name), 0 },
	PEER_CHANCES(X)
#undef X
#define X(name, normal) { #name, false, offsetof(struct peer_faults, name), normal },
	PEER_NUMBERS(X)
#undef X
};

void peer_open_control(const char *path)
{
	control_open(path, fields, sizeof fields / sizeof fields[0], sizeof(struct peer_faults));
}

struct peer_faults peer_faults_now(void)
{
	struct peer_faults faults;
	control_read(&faults);
	return faults;
}

/* One line of JSON. */
void peer_print_counts(void)
{
	const char *separator = "{";
#define X(name) \
	printf("%s\"%s\":%lld", separator, #name, atomic_load(&peer_counts.name)); \
	separator = ",";
	PEER_COUNTS(X)
#undef X
	printf(",\"fill_delays\":[");
	for (int i = 0; i < DELAY_CLASSES; i++)
		printf("%s%lld", i > 0 ? "," : "", atomic_load(&peer_counts.delays[i]));
	printf("]}\n");
	fflush(stdout);
}
