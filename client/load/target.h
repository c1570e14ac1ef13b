/* load_target: a server, as a request names it. */
#ifndef PYGMY_LOAD_TARGET_H
#define PYGMY_LOAD_TARGET_H

#include <stdbool.h>

#define LOAD_HOST_BYTES 264
#define LOAD_PREFIX_BYTES 256

struct load_target {
	char host[LOAD_HOST_BYTES];           /* with the port, as the header Host has it */
	char prefix[LOAD_PREFIX_BYTES];       /* in front of /lookup; "" or "/..." */
};

/* From http://host:port/prefix. False when it is no URL, or too long. */
bool load_target_read(struct load_target *target, const char *url);

#endif
