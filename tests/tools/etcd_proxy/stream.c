/*
 * stream: a watch, line by line. Lines with events may be lost, repeated (the same once more, or the one before it), or held back
 * until the next one has gone; each is sent as a chunk of its own.
 */
#include "tests/tools/etcd_proxy/proxy.h"

#include <stdlib.h>
#include <string.h>

#define TICK_MS 20
#define HELD_MAX_TICKS 100            /* a held line waits for the next one so long */

struct line {
	char *bytes;
	size_t len;
};

struct stream {
	struct proxy_connection *connection;
	struct line part;             /* what came of a line whose end is still missing */
	struct line held, previous;
	int held_ticks;
	int64_t cut;                  /* the control's when it was opened */
};

static void line_append(struct line *line, const char *bytes, size_t len)
{
	char *grown = line->len + len <= PROXY_BODY_MAX ? realloc(line->bytes, line->len + len + 1) : NULL;
	if (grown == NULL)
		tool_fail("etcd_proxy: out of memory, or a line is too long");
	memcpy(grown + line->len, bytes, len);
	line->bytes = grown;
	line->len += len;
}

static void line_clear(struct line *line)
{
	free(line->bytes);
	*line = (struct line){ 0 };
}

static bool send_line(struct stream *stream, const struct line *line)
{
	int fd = stream->connection->client.fd;
	return line->len == 0 || (side_printf(fd, "%zx\r\n", line->len) && side_write(fd, line->bytes, line->len) && side_write(fd, "\r\n", 2));
}

static bool send_held(struct stream *stream)
{
	bool good = send_line(stream, &stream->held);
	line_clear(&stream->held);
	return good;
}

static bool send_repeated(struct stream *stream, const struct line *line)
{
	bool is_earlier = stream->previous.len > 0 && tool_random_below(&stream->connection->chance, 2) == 0;
	proxy_count(watch_repeated);
	return send_line(stream, line) && send_line(stream, is_earlier ? &stream->previous : line);
}

/* A whole line, with its end; it is taken. */
static bool pass_line(struct stream *stream, struct line *line)
{
	struct proxy_faults faults = proxy_faults_now();
	struct tool_chance *chance = &stream->connection->chance;
	bool good = true, was_held = stream->held.len > 0;
	if (memmem(line->bytes, line->len, "\"events\":[", 10) == NULL) {
		good = send_line(stream, line);
		line_clear(line);
		return good;
	}
	proxy_count(watch_lines);
	if (control_strikes(chance, faults.watch_lose)) {
		proxy_count(watch_lost);
		line_clear(line);
		return true;
	}
	if (!was_held && control_strikes(chance, faults.watch_reorder)) {
		proxy_count(watch_reordered);
		stream->held = *line;
		stream->held_ticks = 0;
		*line = (struct line){ 0 };
		return true;
	}
	good = control_strikes(chance, faults.watch_repeat) ? send_repeated(stream, line) : send_line(stream, line);
	line_clear(&stream->previous);
	stream->previous = *line;
	*line = (struct line){ 0 };
	return good && (!was_held || send_held(stream));
}

static bool pass_bytes(struct stream *stream, const char *bytes, size_t len)
{
	int64_t delay_ms = proxy_faults_now().delay_ms;
	if (delay_ms > 0) {
		proxy_count(delayed);
		tool_sleep_ms(delay_ms);
	}
	while (len > 0) {
		const char *end = memchr(bytes, '\n', len);
		size_t piece = end != NULL ? (size_t)(end - bytes) + 1 : len;
		line_append(&stream->part, bytes, piece);
		if (end != NULL && !pass_line(stream, &stream->part))
			return false;
		bytes += piece;
		len -= piece;
	}
	return true;
}

/* Between two pieces. False: it ends here. */
static bool tick(struct stream *stream)
{
	if (proxy_faults_now().cut > stream->cut) {
		proxy_count(watch_cut);
		return false;
	}
	if (stream->held.len > 0 && ++stream->held_ticks > HELD_MAX_TICKS)
		return send_held(stream);
	return true;
}

void stream_run(struct proxy_connection *connection, const struct proxy_message *answer)
{
	struct stream stream = { .connection = connection, .cut = proxy_faults_now().cut };
	char *bytes;
	size_t len;
	int got = 0;
	proxy_count(watches);
	if (side_write(connection->client.fd, answer->head, strlen(answer->head)))
		while (tick(&stream) && (got = side_read_chunk(&connection->upstream, TICK_MS, &bytes, &len)) >= 0)
			if (got > 0 && !pass_bytes(&stream, bytes, len))
				break;
	line_clear(&stream.part);
	line_clear(&stream.held);
	line_clear(&stream.previous);
}
