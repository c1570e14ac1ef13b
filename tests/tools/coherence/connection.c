/* connection: see connection.h. */
#include "tests/tools/coherence/connection.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "tests/tools/common/tool.h"

static struct sockaddr_in address_of(const char *url)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	char host[64];
	unsigned port;
	if (sscanf(url, "http://%63[0-9.]:%u", host, &port) != 2 || port > 65535 || inet_pton(AF_INET, host, &address.sin_addr) != 1)
		tool_fail("a frontend is given like http://127.0.0.1:8010, not '%s'", url);
	address.sin_port = htons((uint16_t)port);
	return address;
}

bool connection_open(struct connection *connection, const char *url, int timeout_ms)
{
	struct sockaddr_in address = address_of(url);
	struct timeval limit = { timeout_ms / 1000, timeout_ms % 1000 * 1000 };
	int one = 1;
	if (connection->bytes == NULL)
		connection->bytes = malloc(CONNECTION_BYTES);
	if (connection->bytes == NULL)
		tool_fail("no memory for a connection");
	connection->start = connection->len = 0;
	connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connection->fd < 0)
		tool_fail("no socket for a connection");
	setsockopt(connection->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	setsockopt(connection->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (connect(connection->fd, (struct sockaddr *)&address, sizeof address) == 0)
		return true;
	connection_close(connection);
	return false;
}

void connection_close(struct connection *connection)
{
	if (connection->fd >= 0)
		close(connection->fd);
	connection->fd = -1;
}

void connection_free(struct connection *connection)
{
	connection_close(connection);
	free(connection->bytes);
	connection->bytes = NULL;
}

bool connection_send(struct connection *connection, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t sent = send(connection->fd, bytes, len, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0) {
			connection_close(connection);
			return false;
		}
		bytes += sent;
		len -= (size_t)sent;
	}
	return true;
}

static bool fill(struct connection *connection)
{
	if (connection->start > 0) {
		memmove(connection->bytes, connection->bytes + connection->start, connection->len - connection->start);
		connection->len -= connection->start;
		connection->start = 0;
	}
	for (;;) {
		ssize_t got = connection->len < CONNECTION_BYTES ? recv(connection->fd, connection->bytes + connection->len, CONNECTION_BYTES - connection->len, 0) : 0;
		if (got < 0 && errno == EINTR)
			continue;
		connection->len += got > 0 ? (size_t)got : 0;
		return got > 0;
	}
}

/* The value behind `name:` if the line is of that name. */
static bool is_header(const char *line, size_t len, const char *name, size_t name_len, struct text *value)
{
	if (len <= name_len || strncasecmp(line, name, name_len) != 0)
		return false;
	line += name_len;
	len -= name_len;
	for (; len > 0 && *line == ' '; len--)
		line++;
	*value = (struct text){ line, len };
	return true;
}

#define IS_HEADER(line, len, name, value) is_header((line), (len), name, sizeof(name) - 1, (value))

/* The length of the body; -1 for a head that this program does not understand. */
static int64_t read_head(const char *head, size_t len, struct seen_answer *answer)
{
	struct text value;
	int64_t body_len = 0;
	*answer = (struct seen_answer){ 0 };
	if (len < 12 || strncmp(head, "HTTP/1.1 ", 9) != 0)
		return -1;
	answer->status = (head[9] - '0') * 100 + (head[10] - '0') * 10 + (head[11] - '0');
	for (const char *line = head, *end = head + len; line < end;) {
		const char *next = memchr(line, '\n', (size_t)(end - line));
		size_t line_len = (size_t)(next - line) - 1;
		if (IS_HEADER(line, line_len, "Content-Length:", &value))
			body_len = strtoll(value.ptr, NULL, 10);
		else if (IS_HEADER(line, line_len, "Cache-Status:", &value))
			answer->cache_status = value;
		else if (IS_HEADER(line, line_len, "ETag:", &value))
			answer->etag = value;
		else if (IS_HEADER(line, line_len, "X-Pygmy-Revision:", &value))
			answer->revision = value;
		else if (IS_HEADER(line, line_len, "X-Pygmy-Stale-Ms:", &value))
			answer->may_be_stale = true;
		else if (IS_HEADER(line, line_len, "Connection: close", &value))
			answer->closes = true;
		else if (IS_HEADER(line, line_len, "Transfer-Encoding:", &value))
			return -1;
		line = next + 1;
	}
	answer->hit = answer->cache_status.len > 0 && memmem(answer->cache_status.ptr, answer->cache_status.len, "; hit", 5) != NULL;
	return answer->status == 304 ? 0 : body_len;
}

bool connection_take(struct connection *connection, struct seen_answer *answer)
{
	for (;;) {
		char *from = connection->bytes + connection->start;
		size_t there = connection->len - connection->start;
		char *end = there > 0 ? memmem(from, there, "\r\n\r\n", 4) : NULL;
		if (end != NULL) {
			size_t head_len = (size_t)(end - from) + 4;
			int64_t body_len = read_head(from, head_len - 2, answer);
			if (body_len < 0)
				tool_fail("an answer that makes no sense: %.*s", (int)head_len, from);
			if (there >= head_len + (size_t)body_len) {
				answer->body = (struct text){ from + head_len, (size_t)body_len };
				connection->start += head_len + (size_t)body_len;
				return true;
			}
		}
		if (!fill(connection)) {
			connection_close(connection);
			return false;
		}
	}
}
