/* auth: see auth.h. */
#include "fcgi/common/auth.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "db/diagnostics.h"

static bool is_token(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f')))
			return false;
	return true;
}

static bool read_token(int fd, const char *path, char token[TOKEN_HEX_LEN])
{
	struct stat status;
	char text[TOKEN_HEX_LEN + 2];
	if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
		diagnose_error("auth: %s is not a regular file; what needs this token answers 401", path);
		return false;
	}
	if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
		diagnose_error("auth: %s is accessible by group or others; make it 0600 (what needs this token answers 401)", path);
		return false;
	}
	ssize_t len = read(fd, text, sizeof text);
	bool whole = len == TOKEN_HEX_LEN || (len == TOKEN_HEX_LEN + 1 && text[TOKEN_HEX_LEN] == '\n');
	bool good = whole && is_token(text, TOKEN_HEX_LEN);
	if (good)
		memcpy(token, text, TOKEN_HEX_LEN);
	else
		diagnose_error("auth: %s does not hold %d lowercase hex digits; what needs this token answers 401", path, TOKEN_HEX_LEN);
	sodium_memzero(text, sizeof text);
	return good;
}

static bool load(const char *secrets_dir, const char *name, char token[TOKEN_HEX_LEN])
{
	char path[PATH_MAX];
	int len = snprintf(path, sizeof path, "%s/%s", secrets_dir, name);
	if (len < 0 || len >= (int)sizeof path)
		return false;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0) {
		diagnose_warning("auth: can't open %s (%s); what needs this token answers 401", path, strerror(errno));
		return false;
	}
	bool good = read_token(fd, path, token);
	close(fd);
	return good;
}

void auth_load(struct auth *auth, const char *secrets_dir)
{
	memset(auth, 0, sizeof *auth);
	auth->has_admin = load(secrets_dir, "admin.token", auth->admin);
	auth->has_peer = load(secrets_dir, "peer.token", auth->peer);
}

static bool is_token_of(struct slice given, bool has_token, const char token[TOKEN_HEX_LEN])
{
	return has_token && sodium_memcmp(given.ptr, token, TOKEN_HEX_LEN) == 0;
}

bool auth_allows(const struct auth *auth, enum auth_role role, struct slice authorization)
{
	static const char SCHEME[] = "Bearer ";
	const size_t scheme_len = sizeof SCHEME - 1;
	if (role == AUTH_NONE)
		return true;
	if (authorization.len != scheme_len + TOKEN_HEX_LEN || strncasecmp(authorization.ptr, SCHEME, scheme_len) != 0)
		return false;
	struct slice given = { authorization.ptr + scheme_len, TOKEN_HEX_LEN };
	bool admin = is_token_of(given, auth->has_admin, auth->admin), peer = is_token_of(given, auth->has_peer, auth->peer);
	return (role != AUTH_PEER && admin) || (role != AUTH_ADMIN && peer);
}
