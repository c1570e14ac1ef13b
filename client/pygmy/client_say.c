/*
 * client_say: everything that is written for people or scripts, apart from a command's own lines.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "client/pygmy/client.h"
#include "client/pygmy/safe_text.h"

#define SENTENCE_MAX_BYTES 8192
#define TERMINAL_WIDTH_DEFAULT 80

void client_print_safe(const char *bytes, size_t len)
{
	struct text safe = TEXT_INIT(HTTP_ANSWER_MAX_BYTES);
	(void)safe_text_append(&safe, bytes, len);
	(void)fwrite(text_borrow(&safe), 1, safe.len, stdout);
	text_close(&safe);
}

static void write_sentence(FILE *out, const char *sentence)
{
	struct text safe = TEXT_INIT(SENTENCE_MAX_BYTES * 4);
	(void)safe_text_append(&safe, sentence, strlen(sentence));
	(void)fprintf(out, "pygmy: %s\n", text_borrow(&safe));
	text_close(&safe);
}

enum outcome client_fail(const struct client *client, enum outcome outcome, const char *code, const char *format, ...)
{
	char sentence[SENTENCE_MAX_BYTES];
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(sentence, sizeof(sentence), format, arguments);
	va_end(arguments);
	write_sentence(stderr, sentence);
	if (client->json)
		client_print_json_value(json_pack("{s:s, s:s, s:s}", "code", code, "message", sentence, "status", "Failed"));
	return outcome;
}

void client_note(const struct client *client, const char *format, ...)
{
	char sentence[SENTENCE_MAX_BYTES];
	if (client->quiet)
		return;
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(sentence, sizeof(sentence), format, arguments);
	va_end(arguments);
	write_sentence(stderr, sentence);
}

void client_print_json_value(json_t *value)
{
	char *line = value == NULL ? NULL : json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(12));
	(void)printf("%s\n", line != NULL ? line : "{\"code\":\"out_of_memory\",\"status\":\"Failed\"}");
	free(line);
	json_decref(value);
}

void client_print_json(const struct http_answer *answer)
{
	json_t *value = isatty(STDOUT_FILENO) ? json_loadb(text_borrow(&answer->body), answer->body.len, 0, NULL) : NULL;
	if (value != NULL) {
		client_print_json_value(value);
		return;
	}
	size_t len = answer->body.len;
	while (len > 0 && answer->body.bytes[len - 1] == '\n')
		len--;
	(void)fwrite(text_borrow(&answer->body), 1, len, stdout);
	(void)fputc('\n', stdout);
}

static size_t terminal_width(void)
{
	struct winsize size;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		return size.ws_col;
	return TERMINAL_WIDTH_DEFAULT;
}

void client_table_init(const struct client *client, struct table *table, const struct table_column *columns, size_t column_count)
{
	(void)client;
	bool is_terminal = isatty(STDOUT_FILENO) == 1;
	const char *no_color = getenv("NO_COLOR");
	const char *terminal = getenv("TERM");
	bool bold = is_terminal && (no_color == NULL || no_color[0] == '\0') && terminal != NULL && strcmp(terminal, "dumb") != 0;
	table_init(table, stdout, columns, column_count, is_terminal ? terminal_width() : 0, bold);
}
