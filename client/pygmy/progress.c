/*
 * progress: formats a line, and decides when to show it.
 */
#include "client/pygmy/progress.h"

#include <inttypes.h>
#include <string.h>

#define PROGRESS_FIRST_MS 500
#define PROGRESS_BAR_EVERY_MS 100
#define PROGRESS_LINE_EVERY_MS 3000
#define PROGRESS_BAR_CELLS 30
#define PROGRESS_LINE_MAX_BYTES 160

void progress_init(struct progress *progress, FILE *out, bool is_terminal, bool quiet, const char *verb, uint64_t total, int64_t now_ms)
{
	*progress = (struct progress){ .out = out, .is_terminal = is_terminal, .quiet = quiet, .verb = verb, .unit = "items", .total = total,
				       .started_ms = now_ms, .shown_ms = now_ms };
}

void count_append(struct text *out, uint64_t count)
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%" PRIu64, count);
	for (int i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			(void)text_append(out, ",", 1);
		(void)text_append(out, digits + i, 1);
	}
}

void progress_format(const struct progress *progress, uint64_t items, uint64_t done, int64_t now_ms, struct text *out)
{
	uint64_t elapsed_ms = now_ms > progress->started_ms ? (uint64_t)(now_ms - progress->started_ms) : 1;
	bool has_total = progress->total > 0;
	double part = !has_total ? 0 : done >= progress->total ? 1 : (double)done / (double)progress->total;
	if (has_total && progress->is_terminal) {
		unsigned full = (unsigned)(part * PROGRESS_BAR_CELLS);
		(void)text_append_string(out, "[");
		for (unsigned i = 0; i < PROGRESS_BAR_CELLS; i++)
			(void)text_append(out, i < full ? "#" : ".", 1);
		(void)text_append_string(out, "] ");
	}
	if (has_total)
		(void)text_append_format(out, "%3.0f%%  ", part * 100);
	count_append(out, items);
	(void)text_append_format(out, " %s %s, ", progress->unit, progress->verb);
	count_append(out, items * 1000 / elapsed_ms);
	(void)text_append_string(out, "/s");
	if (has_total && part > 0.02 && part < 1)
		(void)text_append_format(out, ", %.0f s left", (double)elapsed_ms / 1000 * (1 - part) / part);
}

void progress_update(struct progress *progress, uint64_t items, uint64_t done, int64_t now_ms)
{
	int64_t every_ms = progress->is_terminal ? PROGRESS_BAR_EVERY_MS : PROGRESS_LINE_EVERY_MS;
	if (progress->quiet || now_ms - progress->started_ms < PROGRESS_FIRST_MS || now_ms - progress->shown_ms < every_ms)
		return;
	struct text line = TEXT_INIT(PROGRESS_LINE_MAX_BYTES);
	progress_format(progress, items, done, now_ms, &line);
	(void)fprintf(progress->out, progress->is_terminal ? "\r%s\033[K" : "%s\n", text_borrow(&line));
	(void)fflush(progress->out);
	text_close(&line);
	progress->shown_ms = now_ms;
	progress->shown = progress->is_terminal;
}

void progress_wipe(struct progress *progress)
{
	if (progress->shown)
		(void)fputs("\r\033[K", progress->out);
	(void)fflush(progress->out);
	progress->shown = false;
}
