/*
 * etcd_watch: a stream in any pieces gives the same lines, and every line is refused, or read as events whose values fit into
 * what came. The first byte says how the stream is cut.
 */
#include <stdint.h>
#include <stdlib.h>

#include "db/etcd_watch_line.h"
#include "db/line_buffer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LINE_MAX_BYTES 4096

static void read_line(struct etcd_watch_line *line, struct slice text)
{
	static struct etcd_event events[ETCD_WATCH_EVENTS_MAX];
	struct buffer values = buffer_of(LINE_MAX_BYTES);
	size_t count = 0;
	enum etcd_watch_line_kind kind = etcd_watch_line_read(line, text, SLICE_LITERAL("k"));
	if ((line->root != NULL) != (kind == ETCD_WATCH_LINE_EVENTS) || (line->reason[0] != '\0') != (kind == ETCD_WATCH_LINE_ERROR) ||
	    (kind == ETCD_WATCH_LINE_COMPACTED && line->compact_revision == 0))
		abort();
	while (line->root != NULL && etcd_watch_line_take(line, &values, events, &count)) {
		size_t sum = 0;
		for (size_t i = 0; i < count; i++) {
			if (events[i].position.mod_revision == 0 || (events[i].position.version == 0 && !events[i].is_delete))
				abort();
			for (size_t b = 0; b < events[i].value.len; b++)
				sum += (unsigned char)events[i].value.ptr[b] > 0 ? 1 : 0;
		}
		if (count == 0 || sum > text.len)
			abort();
	}
	buffer_close(&values);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct line_buffer lines = line_buffer_of(LINE_MAX_BYTES, 256);
	struct etcd_watch_line line = { 0 };
	struct slice text;
	size_t at = 1, piece = size > 0 ? (size_t)data[0] + 1 : 1, taken = 0, ends = 0;
	bool sound = true;
	while (at < size && sound) {
		size_t len = piece < size - at ? piece : size - at;
		sound = line_buffer_add(&lines, (struct slice){ (const char *)data + at, len });
		at += len;
		while (sound && line_buffer_take(&lines, &text)) {
			if (memchr(text.ptr, '\n', text.len) != NULL || text.len > LINE_MAX_BYTES)
				abort();
			taken++;
			read_line(&line, text);
		}
	}
	for (size_t i = 1; i < at && sound; i++)
		ends += data[i] == '\n' ? 1 : 0;
	if (sound && ends != taken)
		abort();
	etcd_watch_line_close(&line);
	line_buffer_close(&lines);
	return 0;
}
