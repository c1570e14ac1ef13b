/* response: see response.h. */
#include "client/load/response.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NUMBER_DIGITS_MAX 15

void response_begin(struct response *response)
{
	response->part = RESPONSE_HEAD;
	response->status = 0;
	response->closes = false;
	response->hit = false;
	response->left = 0;
	response->head_len = 0;
	response->kept_len = 0;
}

/* ---- the head --------------------------------------------------------------------------------- */

static bool parse_number(const char *text, size_t len, int base, uint64_t *number)
{
	uint64_t value = 0;
	if (len == 0 || len > NUMBER_DIGITS_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		int digit = text[i] >= '0' && text[i] <= '9' ? text[i] - '0' : (text[i] | 0x20) - 'a' + 10;
		if (digit < 0 || digit >= base)
			return false;
		value = value * (uint64_t)base + (uint64_t)digit;
	}
	*number = value;
	return true;
}

/* Whether a line is the header `name:`; *value is the rest without blanks around it. */
static bool is_header(const char *line, size_t len, const char *name, const char **value, size_t *value_len)
{
	size_t name_len = strlen(name);
	if (len <= name_len || line[name_len] != ':' || strncasecmp(line, name, name_len) != 0)
		return false;
	line += name_len + 1;
	len -= name_len + 1;
	while (len > 0 && (*line == ' ' || *line == '\t')) {
		line++;
		len--;
	}
	while (len > 0 && (line[len - 1] == ' ' || line[len - 1] == '\t'))
		len--;
	*value = line;
	*value_len = len;
	return true;
}

static bool contains(const char *text, size_t len, const char *word)
{
	return memmem(text, len, word, strlen(word)) != NULL;
}

/* One header. False when it makes no sense. */
static bool take_header(struct response *response, const char *line, size_t len, bool *has_length)
{
	const char *value;
	size_t value_len;
	if (is_header(line, len, "Content-Length", &value, &value_len)) {
		*has_length = true;
		return parse_number(value, value_len, 10, &response->left);
	}
	if (is_header(line, len, "Connection", &value, &value_len))
		response->closes = value_len == 5 && strncasecmp(value, "close", 5) == 0;
	else if (is_header(line, len, "Transfer-Encoding", &value, &value_len))
		response->part = RESPONSE_CHUNK_SIZE;
	else if (is_header(line, len, "Cache-Status", &value, &value_len))
		response->hit = contains(value, value_len, "; hit");
	return true;
}

static bool take_status_line(struct response *response, const char *line, size_t len)
{
	uint64_t status;
	if (len < 12 || memcmp(line, "HTTP/1.", 7) != 0 || line[8] != ' ' || !parse_number(line + 9, 3, 10, &status))
		return false;
	response->status = (int)status;
	response->closes = line[7] == '0';
	return status >= 200 && status <= 599;
}

/* The whole head is there. Sets which part comes next. */
static enum response_outcome read_head(struct response *response)
{
	const char *line = response->head, *end = response->head + response->head_len - 2;
	bool first = true, has_length = false;
	response->part = RESPONSE_TO_END;
	while (line < end) {
		const char *line_end = memmem(line, (size_t)(response->head + response->head_len - line), "\r\n", 2);
		size_t len = (size_t)(line_end - line);
		if (first ? !take_status_line(response, line, len) : !take_header(response, line, len, &has_length))
			return RESPONSE_MALFORMED;
		first = false;
		line = line_end + 2;
	}
	if (response->status == 204 || response->status == 304)
		return RESPONSE_DONE;
	if (response->part == RESPONSE_CHUNK_SIZE || !has_length) {
		if (response->part == RESPONSE_TO_END)
			response->closes = true;
		response->left = 0;
		return RESPONSE_MORE;
	}
	response->part = RESPONSE_BODY;
	return response->left == 0 ? RESPONSE_DONE : RESPONSE_MORE;
}

/* Returns how many bytes belonged to the head. */
static size_t take_head(struct response *response, const char *bytes, size_t len, enum response_outcome *outcome)
{
	size_t room = RESPONSE_HEAD_MAX - response->head_len, taken = len < room ? len : room;
	size_t from = response->head_len < 3 ? 0 : response->head_len - 3;
	memcpy(response->head + response->head_len, bytes, taken);
	const char *blank = memmem(response->head + from, response->head_len + taken - from, "\r\n\r\n", 4);
	if (blank == NULL) {
		response->head_len += taken;
		*outcome = response->head_len == RESPONSE_HEAD_MAX ? RESPONSE_MALFORMED : RESPONSE_MORE;
		return taken;
	}
	size_t before = response->head_len;
	response->head_len = (size_t)(blank - response->head) + 4;
	*outcome = read_head(response);
	return response->head_len - before;
}

/* ---- the body --------------------------------------------------------------------------------- */

static void keep(struct response *response, const char *bytes, size_t len)
{
	size_t room = RESPONSE_KEPT_MAX - response->kept_len, taken = len < room ? len : room;
	memcpy(response->kept + response->kept_len, bytes, taken);
	response->kept_len += taken;
}

static size_t take_bytes(struct response *response, const char *bytes, size_t len)
{
	size_t taken = len < response->left ? len : (size_t)response->left;
	keep(response, bytes, taken);
	response->left -= taken;
	return taken;
}

/* Lines between chunks are short; they are collected where the head was. */
static size_t take_line(struct response *response, const char *bytes, size_t len, enum response_outcome *outcome)
{
	const char *end = memchr(bytes, '\n', len);
	size_t taken = end == NULL ? len : (size_t)(end - bytes) + 1;
	if (taken > RESPONSE_HEAD_MAX - response->head_len) {
		*outcome = RESPONSE_MALFORMED;
		return taken;
	}
	memcpy(response->head + response->head_len, bytes, taken);
	response->head_len += taken;
	if (end == NULL)
		return taken;
	size_t line_len = response->head_len >= 2 ? response->head_len - 2 : 0;
	response->head_len = 0;
	if (response->part == RESPONSE_TRAILER) {
		*outcome = line_len == 0 ? RESPONSE_DONE : RESPONSE_MORE;
	} else if (response->part == RESPONSE_CHUNK_END) {
		response->part = RESPONSE_CHUNK_SIZE;
		*outcome = line_len == 0 ? RESPONSE_MORE : RESPONSE_MALFORMED;
	} else {
		const char *extension = memchr(response->head, ';', line_len);
		if (extension != NULL)
			line_len = (size_t)(extension - response->head);
		*outcome = parse_number(response->head, line_len, 16, &response->left) ? RESPONSE_MORE : RESPONSE_MALFORMED;
		response->part = response->left > 0 ? RESPONSE_CHUNK : RESPONSE_TRAILER;
	}
	return taken;
}

static size_t take_part(struct response *response, const char *bytes, size_t len, enum response_outcome *outcome)
{
	size_t taken = len;
	switch (response->part) {
	case RESPONSE_HEAD:
		taken = take_head(response, bytes, len, outcome);
		if (*outcome == RESPONSE_MORE && response->part != RESPONSE_HEAD)
			response->head_len = 0;
		break;
	case RESPONSE_BODY:
		taken = take_bytes(response, bytes, len);
		*outcome = response->left == 0 ? RESPONSE_DONE : RESPONSE_MORE;
		break;
	case RESPONSE_CHUNK:
		taken = take_bytes(response, bytes, len);
		if (response->left == 0)
			response->part = RESPONSE_CHUNK_END;
		break;
	case RESPONSE_CHUNK_SIZE:
	case RESPONSE_CHUNK_END:
	case RESPONSE_TRAILER:
		taken = take_line(response, bytes, len, outcome);
		break;
	case RESPONSE_TO_END:
		keep(response, bytes, len);
		break;
	}
	return taken;
}

enum response_outcome response_take(struct response *response, const char *bytes, size_t len)
{
	enum response_outcome outcome = RESPONSE_MORE;
	while (len > 0 && outcome == RESPONSE_MORE) {
		size_t taken = take_part(response, bytes, len, &outcome);
		bytes += taken;
		len -= taken;
	}
	return outcome == RESPONSE_DONE && len > 0 ? RESPONSE_MALFORMED : outcome;
}

bool response_is_ended_by_close(const struct response *response)
{
	return response->part == RESPONSE_TO_END;
}

bool response_is_overload(const struct response *response)
{
	return response->status == 503 && contains(response->kept, response->kept_len, "\"code\":\"overloaded\"");
}

int64_t response_order_id(const struct response *response)
{
	static const char before[] = "\"order\":{\"id\":";
	const char *at = memmem(response->kept, response->kept_len, before, sizeof before - 1);
	if (at == NULL)
		return 0;
	at += sizeof before - 1;
	size_t len = 0;
	uint64_t id = 0;
	while (at + len < response->kept + response->kept_len && at[len] >= '0' && at[len] <= '9')
		len++;
	return parse_number(at, len, 10, &id) ? (int64_t)id : 0;
}
