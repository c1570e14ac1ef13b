/* http: see http.h. */
#include "tests/tools/common/http.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/tools/common/tool.h"

#define FILL_BYTES ((size_t)16 * 1024)

void side_close(struct proxy_side *side)
{
	if (side->fd >= 0)
		close(side->fd);
	free(side->bytes);
	*side = (struct proxy_side){ .fd = -1, .other_fd = -1 };
}

static bool make_room(struct proxy_side *side)
{
	if (side->start > 0) {
		memmove(side->bytes, side->bytes + side->start, side->len - side->start);
		side->len -= side->start;
		side->start = 0;
	}
	if (side->size - side->len >= FILL_BYTES)
		return true;
	size_t size = side->size * 2 + FILL_BYTES;
	char *grown = size <= PROXY_BODY_MAX * 2 ? realloc(side->bytes, size) : NULL;
	if (grown == NULL)
		return false;
	side->bytes = grown;
	side->size = size;
	return true;
}

int side_fill(struct proxy_side *side, int limit_ms)
{
	struct pollfd waiting[2] = { { .fd = side->fd, .events = POLLIN }, { .fd = side->other_fd, .events = POLLRDHUP } };
	int ready;
	while ((ready = poll(waiting, 2, limit_ms)) < 0 && errno == EINTR)
		continue;
	if (ready == 0)
		return 0;
	if (waiting[0].revents == 0 || !make_room(side))
		return -1;
	ssize_t got = recv(side->fd, side->bytes + side->len, side->size - side->len, 0);
	if (got <= 0)
		return -1;
	side->len += (size_t)got;
	return 1;
}

bool side_write(int fd, const void *bytes, size_t len)
{
	const char *at = bytes;
	while (len > 0) {
		ssize_t written = send(fd, at, len, MSG_NOSIGNAL);
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return false;
		at += written;
		len -= (size_t)written;
	}
	return true;
}

bool side_printf(int fd, const char *format, ...)
{
	char text[1024];
	va_list args;
	va_start(args, format);
	int len = vsnprintf(text, sizeof text, format, args);
	va_end(args);
	return len >= 0 && (size_t)len < sizeof text && side_write(fd, text, (size_t)len);
}

void message_free(struct proxy_message *message)
{
	free(message->head);
	free(message->body);
	*message = (struct proxy_message){ 0 };
}

static char *take_text(struct proxy_side *side, size_t len)
{
	char *text = malloc(len + 1);
	if (text == NULL)
		tool_fail("proxy: out of memory");
	memcpy(text, side->bytes + side->start, len);
	text[len] = '\0';
	side->start += len;
	return text;
}

bool side_read_head(struct proxy_side *side, struct proxy_message *message)
{
	static const char end[] = "\r\n\r\n";
	*message = (struct proxy_message){ 0 };
	for (;;) {
		char *found = side->len > side->start ? memmem(side->bytes + side->start, side->len - side->start, end, 4) : NULL;
		if (found != NULL) {
			message->head = take_text(side, (size_t)(found - side->bytes) + 4 - side->start);
			message->is_chunked = strcasestr(message->head, "\r\nTransfer-Encoding: chunked\r\n") != NULL;
			return true;
		}
		if (side->len - side->start > PROXY_HEAD_MAX || side_fill(side, -1) < 0)
			return false;
	}
}

/* A chunk's size stands on a line of its own, and its bytes end with another. */
int side_read_chunk(struct proxy_side *side, int limit_ms, char **bytes, size_t *len)
{
	for (;;) {
		char *from = side->bytes + side->start, *line = side->len > side->start ? memmem(from, side->len - side->start, "\r\n", 2) : NULL;
		if (line != NULL) {
			unsigned long size = strtoul(from, NULL, 16);
			size_t head = (size_t)(line - from) + 2;
			if (size > PROXY_BODY_MAX || head > 64)
				return -1;
			if (side->len - side->start >= head + size + 2) {
				*bytes = from + head;
				*len = size;
				side->start += head + size + 2;
				return size > 0 ? 1 : -1;
			}
		}
		int filled = side_fill(side, limit_ms);
		if (filled <= 0)
			return filled;
	}
}

static bool read_chunks(struct proxy_side *side, struct proxy_message *message)
{
	char *bytes;
	size_t len;
	for (;;) {
		len = 1;
		if (side_read_chunk(side, -1, &bytes, &len) < 0)
			return len == 0;
		char *grown = message->body_len + len <= PROXY_BODY_MAX ? realloc(message->body, message->body_len + len) : NULL;
		if (grown == NULL)
			return false;
		memcpy(grown + message->body_len, bytes, len);
		message->body = grown;
		message->body_len += len;
	}
}

bool side_read_body(struct proxy_side *side, struct proxy_message *message)
{
	const char *length = strcasestr(message->head, "\r\nContent-Length:");
	if (message->is_chunked)
		return read_chunks(side, message);
	size_t len = length != NULL ? (size_t)strtoul(length + 17, NULL, 10) : 0;
	if (len > PROXY_BODY_MAX)
		return false;
	while (side->len - side->start < len)
		if (side_fill(side, -1) < 0)
			return false;
	message->body = take_text(side, len);
	message->body_len = len;
	return true;
}
