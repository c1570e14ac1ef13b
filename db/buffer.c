/* buffer: doubling realloc below a maximum; see buffer.h. */
#include "db/buffer.h"

#include <sodium.h>
#include <stdlib.h>

#define CAPACITY_MIN ((size_t)1024)
#define CAPACITY_KEPT ((size_t)256 * 1024)

void buffer_close(struct buffer *buffer)
{
	free(buffer->bytes);
	*buffer = buffer_of(buffer->max_len);
}

void buffer_clear(struct buffer *buffer)
{
	if (buffer->capacity > CAPACITY_KEPT)
		buffer_close(buffer);
	buffer->len = 0;
	buffer->failed = false;
}

char *buffer_reserve(struct buffer *buffer, size_t len)
{
	if (buffer->failed || len > buffer->max_len - buffer->len) {
		buffer->failed = true;
		return NULL;
	}
	size_t needed = buffer->len + len;
	if (buffer->bytes == NULL || needed > buffer->capacity) {
		size_t capacity = CAPACITY_MIN;
		while (capacity < needed)
			capacity *= 2;
		char *grown = realloc(buffer->bytes, capacity);
		if (grown == NULL) {
			buffer->failed = true;
			return NULL;
		}
		buffer->bytes = grown;
		buffer->capacity = capacity;
	}
	return buffer->bytes + buffer->len;
}

bool buffer_append(struct buffer *buffer, struct slice bytes)
{
	char *room = buffer_reserve(buffer, bytes.len);
	if (room == NULL)
		return false;
	if (bytes.len > 0)
		memcpy(room, bytes.ptr, bytes.len);
	buffer->len += bytes.len;
	return true;
}

bool buffer_append_text(struct buffer *buffer, const char *text)
{
	return buffer_append(buffer, slice_of(text));
}

bool buffer_append_base64(struct buffer *buffer, struct slice bytes)
{
	/* (Longer than any maximum, and libsodium aborts far above.) */
	if (bytes.len > buffer->max_len) {
		buffer->failed = true;
		return false;
	}
	size_t size = sodium_base64_encoded_len(bytes.len, sodium_base64_VARIANT_ORIGINAL);
	char *room = buffer_reserve(buffer, size);
	if (room == NULL)
		return false;
	sodium_bin2base64(room, size, (const unsigned char *)bytes.ptr, bytes.len, sodium_base64_VARIANT_ORIGINAL);
	buffer->len += size - 1; /* not the NUL */
	return true;
}
