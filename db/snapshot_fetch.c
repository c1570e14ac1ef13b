/* snapshot_fetch: a peer's snapshot into a scratch file, for a replica that is new or far behind. See snapshot.h. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "db/diagnostics.h"
#include "db/monotonic.h"
#include "db/snapshot_internal.h"

#define TELL_EVERY_MS 2000

struct fetch {
	const char *url;
	const atomic_bool *stop;
	int64_t told_ms;
};

static bool go_on(void *context, int64_t bytes, int64_t total)
{
	struct fetch *fetch = context;
	int64_t now_ms = monotonic_ms();
	if (now_ms - fetch->told_ms >= TELL_EVERY_MS) {
		fetch->told_ms = now_ms;
		if (total > 0)
			diagnose_info("snapshot: %" PRId64 " of %" PRId64 " MiB have come from %s", bytes >> 20, total >> 20, fetch->url);
		else
			diagnose_info("snapshot: waiting for %s to make its copy", fetch->url);
	}
	return !atomic_load(fetch->stop);
}

enum pygmy_error snapshot_fetch(const struct cluster_config *config, const char *peer_url, const char *path, const atomic_bool *stop)
{
	char why[SNAPSHOT_WHY_BYTES];
	int64_t began_ms = monotonic_ms();
	struct fetch fetch = { .url = peer_url, .stop = stop, .told_ms = began_ms };
	struct snapshot_source source = { .url = peer_url, .token = config->peer_token, .tls = &config->tls, .go_on = go_on, .context = &fetch };
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return snapshot_file_error(errno, path, NULL);
	enum pygmy_error error = snapshot_download(&source, fd, NULL, why);
	if (error == PYGMY_OK)
		diagnose_info("snapshot: %" PRId64 " bytes came from %s in %" PRId64 " ms", (int64_t)lseek(fd, 0, SEEK_CUR), peer_url,
			      monotonic_ms() - began_ms);
	else
		diagnose_warning("snapshot: none from %s: %s", peer_url, why[0] != '\0' ? why : error_text(error));
	/* Some file systems tell a failed write only now. */
	if (close(fd) != 0 && error == PYGMY_OK)
		error = snapshot_file_error(errno, path, NULL);
	if (error != PYGMY_OK && unlink(path) != 0)
		diagnose_warning("snapshot: can't remove %s: %s", path, strerror(errno));
	return error;
}
